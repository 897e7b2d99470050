//! One attempt of a probe.

mod grpc;
mod http_get;
mod tcp;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::{Action, Finding};
use crate::pod::PodKey;

/// How a command is run in an instance.
#[async_trait]
pub trait Exec: Send + Sync {
    /// Runs a command in the pod's instance, and answers with its exit code. Safe to cancel.
    ///
    /// # Errors
    /// Why it could not be run, in words for a user.
    async fn exec(&self, pod: &PodKey, command: &[String]) -> Result<i32, String>;
}

/// What an attempt is made on.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The pod.
    pub pod: &'a PodKey,
    /// The pod's address.
    pub address: IpAddr,
    /// The way to run commands in it, if there is one.
    pub exec: Option<&'a dyn Exec>,
}

/// Makes an attempt, which fails if it takes longer than `timeout`.
pub async fn attempt(action: &Action, subject: Subject<'_>, timeout: Duration) -> Finding {
    let seconds = timeout.as_secs_f32();
    match tokio::time::timeout(timeout, attempt_without_limit(action, subject)).await {
        Ok(result) => result,
        Err(_) => Finding::Failure(format!("no answer within {seconds} s")),
    }
}

async fn attempt_without_limit(action: &Action, subject: Subject<'_>) -> Finding {
    match action {
        Action::Tcp { host, port } => tcp::connects(host.as_deref(), subject.address, *port).await,
        Action::Http(get) => http_get::answers(get, subject.address).await,
        Action::Grpc { port, service } => grpc::serves(subject.address, *port, service).await,
        Action::Exec { command } => match subject.exec {
            Some(exec) => match exec.exec(subject.pod, command).await {
                Ok(0) => Finding::Success,
                Ok(code) => Finding::Failure(format!("the command ended with exit code {code}")),
                Err(why) => Finding::Impossible(why),
            },
            None => Finding::Impossible(
                "a probe by a command needs a way into the instance: configure the SSH user and key of the \
                 virtual kubelet, or probe by tcpSocket, httpGet or grpc"
                    .to_owned(),
            ),
        },
        Action::Impossible { why } => Finding::Impossible(why.clone()),
    }
}

/// An error with its causes in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
