//! The schedule, shared by those who ask and the one who looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::schedule::Schedule;
use crate::pod::PodKey;

/// The pods to look at. Cloning gives another handle.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    schedule: Mutex<Schedule>,
    news: Notify,
}

impl Queue {
    /// Asks for a look at a pod now.
    pub(super) fn ask(&self, key: &PodKey) {
        self.ask_at(key, Instant::now());
    }

    /// Asks for a look at a pod at this instant, unless there is to be one sooner.
    pub(super) fn ask_at(&self, key: &PodKey, at: Instant) {
        self.schedule().ask(key, at);
        self.0.news.notify_one();
    }

    /// Waits for the next pod and takes it; [`Queue::done`] must follow. For one caller at a time. Safe to cancel.
    pub(super) async fn next(&self) -> PodKey {
        loop {
            let due = {
                let mut schedule = self.schedule();
                match schedule.take(Instant::now()) {
                    Some(key) => return key,
                    None => schedule.next_due(),
                }
            };
            match due {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.0.news.notified() => {}
                },
                None => self.0.news.notified().await,
            }
        }
    }

    /// The look at a pod is over.
    pub(super) fn done(&self, key: &PodKey) {
        self.schedule().done(key);
        self.0.news.notify_one();
    }

    /// How many pods wait or are being looked at.
    pub(super) fn len(&self) -> usize {
        self.schedule().len()
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        // Nothing panics while holding the lock; should it ever, the schedule is still usable.
        self.0.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
