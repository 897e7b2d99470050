//! The queue, and the task that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Happening;
use super::outbox::Outbox;
use super::series::{SeriesSet, What, Write};
use crate::clients::ApiError;

/// Happenings that wait to be looked at, which takes no time. A thousand pods that come, or go, at the same instant
/// have three each at most.
const QUEUE: usize = 4096;

/// Writes that wait for the API server. With some 700 bytes each these are 3 MB while it hangs; what comes then is lost.
const WAITING: usize = 4096;

/// Writes that are under way at once, each on a connection of its own. With answers in 10 ms these are 800 a second,
/// more than a process may ask for by default.
const AT_ONCE: usize = 8;

/// Pauses before further attempts at a write that the API server did not take for reasons of its own.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// In whose name events are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// The controller, such as `service-controller`; also the field manager.
    pub controller: String,
    /// This process, such as its name in leader election; at most 128 bytes.
    pub instance: String,
}

/// Records events. Cloning gives another handle on the same queue.
#[derive(Debug, Clone)]
pub struct EventRecorder {
    queue: mpsc::Sender<Happening>,
    dropped: Arc<AtomicU64>,
}

impl EventRecorder {
    /// Starts a recorder. Its task ends when the last handle is dropped and the queue is written. Needs a tokio
    /// runtime.
    ///
    /// `client` should have [`Priority::Background`](crate::clients::Priority::Background). `wall_clock` tells when things
    /// happened, usually [`Timestamp::now`].
    pub fn start(
        client: kube::Client,
        reporter: Reporter,
        wall_clock: impl Fn() -> Timestamp + Send + 'static,
    ) -> Self {
        let (queue, happenings) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            post: Arc::new(Post { client, reporter }),
            series: SeriesSet::default(),
            outbox: Outbox::new(WAITING),
            dropped: dropped.clone(),
        };
        tokio::spawn(writer.run(happenings, wall_clock));
        Self { queue, dropped }
    }

    /// A recorder that writes nothing, for a process that only looks.
    pub fn muted() -> Self {
        let (queue, _) = mpsc::channel(1);
        Self { queue, dropped: Arc::default() }
    }

    /// Records something that happened, now or never.
    pub fn record(&self, happening: Happening) {
        if self.queue.try_send(happening).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events were lost since the start: the queue was full, or the API server refused them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Decides what is written when.
struct Writer {
    post: Arc<Post>,
    series: SeriesSet,
    outbox: Outbox,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self, mut happenings: mpsc::Receiver<Happening>, wall_clock: impl Fn() -> Timestamp) {
        let mut under_way = FuturesUnordered::new();
        let mut goes_on = true;
        loop {
            while under_way.len() < AT_ONCE
                && let Some(write) = self.outbox.take()
            {
                under_way.push(Arc::clone(&self.post).perform(write));
            }
            if !goes_on && under_way.is_empty() {
                return;
            }
            let due = self.series.next_due();
            tokio::select! {
                happening = happenings.recv(), if goes_on => match happening {
                    Some(happening) => {
                        let write = self.series.record(happening, Instant::now(), wall_clock());
                        write.into_iter().for_each(|write| self.put(write));
                    }
                    None => goes_on = false,
                },
                Some((write, written)) = under_way.next() => {
                    self.outbox.done(write.object);
                    if !written {
                        self.lost(&write);
                    }
                }
                () = at(due), if goes_on => {
                    self.series.due(Instant::now()).into_iter().for_each(|write| self.put(write));
                }
            }
        }
    }

    fn put(&mut self, write: Write) {
        if let Err(write) = self.outbox.put(write) {
            self.lost(&write);
        }
    }

    fn lost(&mut self, write: &Write) {
        self.series.forget_event(&write.name);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes events.
struct Post {
    client: kube::Client,
    reporter: Reporter,
}

impl Post {
    /// Performs a write, with a few attempts; says whether it was written.
    async fn perform(self: Arc<Self>, write: Write) -> (Write, bool) {
        let mut pauses = RETRIES.into_iter();
        loop {
            let Err(error) = self.attempt(&write).await else { return (write, true) };
            let pause = pauses.next().filter(|_| may_pass(error.code()));
            let Some(pause) = pause else {
                tracing::debug!(event = %write.name, %error, "event lost");
                return (write, false);
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, write: &Write) -> Result<(), ApiError> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &write.namespace);
        match &write.what {
            What::Create { happening, at } => {
                let params = PostParams {
                    field_manager: Some(self.reporter.controller.clone()),
                    ..PostParams::default()
                };
                let event = self.event(write, happening, *at);
                match api.create(&params, &event).await.map_err(ApiError::from) {
                    // An earlier attempt got through, and only its answer was lost.
                    Err(error) if error.code() == Some(409) => Ok(()),
                    created => created.map(drop),
                }
            }
            What::Repeat { count, last } => {
                let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(*last)}});
                let params = PatchParams::apply(&self.reporter.controller);
                Ok(api.patch(&write.name, &params, &Patch::Merge(&series)).await.map(drop)?)
            }
        }
    }

    fn event(&self, write: &Write, happening: &Happening, at: Timestamp) -> Event {
        let happening = happening.clone();
        Event {
            metadata: ObjectMeta {
                name: Some(write.name.to_string()),
                namespace: Some(write.namespace.to_string()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(at)),
            reporting_controller: Some(self.reporter.controller.clone()),
            reporting_instance: Some(self.reporter.instance.clone()),
            type_: Some(happening.severity.as_str().to_owned()),
            reason: Some(happening.reason),
            action: Some(happening.action),
            note: Some(happening.note),
            regarding: Some(happening.regarding),
            ..Event::default()
        }
    }
}

/// Whether a refusal may pass: no answer, overload, or a fault of the server's.
fn may_pass(code: Option<u16>) -> bool {
    code.is_none_or(|code| code == 429 || code >= 500)
}

/// Waits for an instant; for ever without one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
