//! The queue, and the task that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Happening;
use super::series::{SeriesSet, Write, namespace};
use crate::clients::ApiError;

/// Happenings that wait to be looked at. A burst larger than this loses its end.
const QUEUE: usize = 1024;

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
        let writer = Writer { client, reporter, series: SeriesSet::default(), dropped: dropped.clone() };
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

struct Writer {
    client: kube::Client,
    reporter: Reporter,
    series: SeriesSet,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self, mut happenings: mpsc::Receiver<Happening>, wall_clock: impl Fn() -> Timestamp) {
        loop {
            let due = self.series.next_due();
            let writes = tokio::select! {
                happening = happenings.recv() => match happening {
                    Some(happening) => {
                        self.series.record(happening, Instant::now(), wall_clock()).into_iter().collect()
                    }
                    None => return,
                },
                () = at(due) => self.series.due(Instant::now()),
            };
            for write in writes {
                self.perform(&write).await;
            }
        }
    }

    /// Performs a write, with a few attempts. What cannot be written is lost.
    async fn perform(&mut self, write: &Write) {
        let mut pauses = RETRIES.into_iter();
        loop {
            let Err(error) = self.attempt(write).await else { return };
            let pause = pauses.next().filter(|_| may_pass(error.code()));
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
                continue;
            }
            let (Write::Create { name, .. } | Write::Repeat { name, .. }) = write;
            tracing::debug!(event = %name, %error, "event lost");
            self.series.forget_event(name);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }

    async fn attempt(&self, write: &Write) -> Result<(), ApiError> {
        match write {
            Write::Create { name, happening, at } => {
                let event = self.event(name, happening, *at);
                let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace(&happening.regarding));
                let params = PostParams {
                    field_manager: Some(self.reporter.controller.clone()),
                    ..PostParams::default()
                };
                match api.create(&params, &event).await.map_err(ApiError::from) {
                    // An earlier attempt got through, and only its answer was lost.
                    Err(error) if error.code() == Some(409) => Ok(()),
                    created => created.map(drop),
                }
            }
            Write::Repeat { namespace, name, count, last } => {
                let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(*last)}});
                let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
                let params = PatchParams::apply(&self.reporter.controller);
                Ok(api.patch(name, &params, &Patch::Merge(&series)).await.map(drop)?)
            }
        }
    }

    fn event(&self, name: &str, happening: &Happening, at: Timestamp) -> Event {
        let happening = happening.clone();
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace(&happening.regarding)),
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
