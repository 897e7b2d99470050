//! A process that is started again whenever it ends, as a Deployment does.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use suites::process::{Process, Program};
use tokio::process::Command;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A process that ends by itself is not started more often than this.
const PAUSE: Duration = Duration::from_millis(200);

/// What is said of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Vital {
    /// Its process id, while there is one.
    id: Option<u32>,
    /// How many have ended.
    ended: u32,
}

/// Whoever can be killed. Clones are handles on the same.
#[derive(Debug, Clone)]
pub(super) struct Victim(watch::Sender<Vital>);

impl Victim {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Vital::default()))
    }

    /// Kills the process that runs now, as the kernel does when memory runs out, and returns when it has ended. Does
    /// nothing when none runs.
    pub(super) async fn kill(&self) {
        let before = *self.0.borrow();
        let Some(id) = before.id else { return };
        let mut command = Command::new("kill");
        let _ = command.args(["-s", "KILL", &id.to_string()]).stderr(Stdio::null()).status().await;
        let mut vital = self.0.subscribe();
        let _ = vital.wait_for(|vital| vital.ended > before.ended).await;
    }

    /// How many have ended so far.
    pub(super) fn ended(&self) -> u32 {
        self.0.borrow().ended
    }
}

/// Keeps one process running.
pub(super) struct Supervisor {
    record: Arc<Mutex<Record>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What became of the processes so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// What each has logged.
    pub(super) logs: Vec<String>,
    /// How those ended that nobody killed.
    pub(super) unasked: Vec<String>,
}

impl Supervisor {
    /// Starts it, and again whenever it ends.
    pub(super) fn start(
        program: Program,
        kubeconfig: PathBuf,
        variables: Vec<(String, String)>,
        arguments: Vec<String>,
        victim: Victim,
    ) -> Self {
        let record = Arc::<Mutex<Record>>::default();
        let noted = Arc::clone(&record);
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            loop {
                let variables = variables.iter().map(|(name, value)| (name, value));
                let mut process = match Process::spawn(program, &kubeconfig, variables, &arguments) {
                    Ok(process) => process,
                    Err(error) => return note(&noted, String::new(), Some(format!("{error:#}"))),
                };
                victim.0.send_modify(|vital| vital.id = process.id());
                let ended = tokio::select! {
                    ended = process.ended() => ended.map_or_else(|error| error.to_string(), |it| it.to_string()),
                    _ = &mut stopped => {
                        let _ = process.stop("KILL").await;
                        return note(&noted, process.log(), None);
                    }
                };
                let unasked = (!ended.contains("signal: 9")).then_some(ended);
                let pause = unasked.is_some();
                note(&noted, process.log(), unasked);
                victim.0.send_modify(|vital| *vital = Vital { id: None, ended: vital.ended + 1 });
                if pause {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { record, stop: Some(stop), task }
    }

    /// Kills the process for good, and says what became of all of them.
    pub(super) async fn stop(mut self) -> Record {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The process goes with the task.
        self.task.abort();
    }
}

fn note(record: &Mutex<Record>, log: String, unasked: Option<String>) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    record.logs.push(log);
    record.unasked.extend(unasked);
}
