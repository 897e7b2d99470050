//! The one way to watch the Kubernetes API.

use std::fmt::Debug;

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::backoff::Backoff;
use crate::clients::ApiError;

/// A list or watch failed. The stream goes on after a pause.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {plural}{remedy}")]
pub struct WatchError {
    operation: &'static str,
    plural: String,
    remedy: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
    /// When the watch is tried again.
    retry: Instant,
}

impl WatchError {
    /// When the watch is tried again.
    pub fn retry(&self) -> Instant {
        self.retry
    }
}

/// Watches objects for ever: lists them, follows their changes, resumes where it was after an interruption, and lists
/// again when it must. Each failure is an item, after which the stream waits, twice as long each time.
///
/// `api` should be of a client of [`Clients`](crate::clients::Clients), whose pace also slows watches that end at once
/// without a failure. `random` spreads the pauses.
pub fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    random: fastrand::Rng,
) -> impl Stream<Item = Result<Event<K>, WatchError>> + Send
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let state =
        State { events: Box::pin(watcher(api, config)), backoff: Backoff::default(), random, wait: None };
    stream::unfold(state, |mut state| async {
        if let Some(until) = state.wait.take() {
            tokio::time::sleep_until(until).await;
        }
        let event = match state.events.next().await? {
            Ok(event) => Ok(event),
            Err(error) => {
                let now = Instant::now();
                let retry = now + state.backoff.failed(now, state.random.f64());
                state.wait = Some(retry);
                Err(explain(error, &K::plural(&()), retry))
            }
        };
        Some((event, state))
    })
}

struct State<S> {
    events: std::pin::Pin<Box<S>>,
    backoff: Backoff,
    random: fastrand::Rng,
    /// Until when to wait before the next event is asked for.
    wait: Option<Instant>,
}

fn explain(error: watcher::Error, plural: &str, retry: Instant) -> WatchError {
    use watcher::Error as Failure;
    let (operation, error) = match error {
        Failure::InitialListFailed(error) => ("list", error),
        Failure::WatchStartFailed(error) | Failure::WatchFailed(error) => ("watch", error),
        Failure::WatchError(status) => ("watch", kube::Error::Api(status)),
        Failure::NoResourceVersion => ("list", kube::Error::Service(Failure::NoResourceVersion.into())),
    };
    let error = ApiError::from(error);
    let forbidden = error.code() == Some(403);
    let remedy = if forbidden { "; the role needs list and watch on them" } else { "" };
    WatchError { operation, plural: plural.to_owned(), remedy, source: error.into(), retry }
}
