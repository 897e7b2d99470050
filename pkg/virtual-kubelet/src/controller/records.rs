//! What this process remembers of each pod between looks.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::lifecycle::Memory;
use crate::pod::PodKey;

/// The first and the longest pause after the API server did not take a write.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// How long the watch may take to show a status that was written. A write that changes nothing is never shown.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// What this process remembers of one pod. Losing it is safe.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What the plan remembers.
    pub(super) memory: Memory,
    /// Writes to the API server that failed in a row.
    failures: u32,
    /// The version of the pod that the last status was made of, until the watch shows a later one, and until when to
    /// wait for that.
    replaced: Option<(String, Instant)>,
}

impl Record {
    /// A write to the API server failed. When to try again.
    pub(super) fn failed(&mut self, now: Instant) -> Instant {
        let pause = PAUSE.0 * 2_u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        now + pause.min(PAUSE.1)
    }

    /// The status of this pod was written.
    pub(super) fn wrote(&mut self, pod: &Pod, now: Instant) {
        self.failures = 0;
        self.replaced = pod.metadata.resource_version.clone().map(|version| (version, now + WATCH_LAG));
    }

    /// Until when to wait for the watch, which still shows the pod as it was before its status was written: a plan
    /// that is made of that does everything twice.
    pub(super) fn awaits(&mut self, pod: &Pod, now: Instant) -> Option<Instant> {
        let (version, until) = self.replaced.as_ref()?;
        if pod.metadata.resource_version.as_ref() == Some(version) && *until > now {
            return Some(*until);
        }
        self.replaced = None;
        None
    }
}

/// The records of all pods. A look takes a pod's record and puts it back, so that no lock is held during it.
#[derive(Debug, Default)]
pub(super) struct Records(Mutex<HashMap<PodKey, Box<Record>>>);

impl Records {
    /// Takes the record of a pod, a new one when there is none.
    pub(super) fn take(&self, key: &PodKey) -> Box<Record> {
        self.lock().remove(key).unwrap_or_default()
    }

    /// Puts a record back.
    pub(super) fn put(&self, key: &PodKey, record: Box<Record>) {
        self.lock().insert(key.clone(), record);
    }

    /// All pods but these are gone.
    pub(super) fn forget_all_but(&self, live: &HashSet<PodKey>) {
        self.lock().retain(|key, _| live.contains(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PodKey, Box<Record>>> {
        // Nothing panics while holding the lock; should it ever, the records are still usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pauses_double_up_to_a_minute_and_start_again_after_a_success() {
        let now = Instant::now();
        let mut record = Record::default();
        let pauses: Vec<u128> = (0..9).map(|_| (record.failed(now) - now).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        record.wrote(&pod("1"), now);
        assert_eq!((record.failed(now) - now).as_millis(), 500);
    }

    fn pod(version: &str) -> Pod {
        serde_json::from_value(serde_json::json!({"metadata": {"resourceVersion": version}})).unwrap()
    }

    #[tokio::test]
    async fn a_pod_is_not_planned_for_before_the_watch_shows_its_status() {
        let now = Instant::now();
        let mut record = Record::default();
        assert_eq!(record.awaits(&pod("1"), now), None);
        record.wrote(&pod("1"), now);
        assert_eq!(record.awaits(&pod("1"), now), Some(now + WATCH_LAG));
        assert_eq!(record.awaits(&pod("2"), now), None);
        record.wrote(&pod("2"), now);
        assert_eq!(record.awaits(&pod("2"), now + WATCH_LAG), None, "nothing had changed");
    }
}
