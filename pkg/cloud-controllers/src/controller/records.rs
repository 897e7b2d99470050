//! What this process remembers of each Node, Service or instance between looks. Losing it is safe.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Name;
use crate::node::Note;

/// The first and the longest pause after something failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What is remembered of one object.
#[derive(Debug, Default)]
pub(super) struct Record<M> {
    /// What the plan remembers.
    pub(super) memory: M,
    /// What was said after the last look: it is not said again while it is so.
    said: Vec<Note>,
    /// Failures in a row.
    failures: u32,
    /// What this process has changed.
    pub(super) outdated: Outdated,
}

/// How long a watch may take to show a write. Should it be later, what was written is written again, or refused.
const LAG: Duration = Duration::from_secs(5);

/// Versions that an object has no more, because this process wrote it: nothing is to be decided by them while the watch
/// has yet to show what was written.
#[derive(Debug, Default)]
pub(super) struct Outdated {
    versions: Vec<String>,
    until: Option<Instant>,
}

impl Outdated {
    /// A write has made another version of this one.
    pub(super) fn note(&mut self, version: Option<&str>, now: Instant) {
        self.versions.extend(version.map(str::to_owned));
        self.until = Some(now + LAG);
    }

    /// Until when a look at this version is to wait for the watch. Forgets all when it is another one.
    pub(super) fn wait(&mut self, version: Option<&str>, now: Instant) -> Option<Instant> {
        let is_old = version.is_some_and(|version| self.versions.iter().any(|old| old == version));
        let until = self.until.filter(|until| is_old && *until > now);
        if until.is_none() {
            *self = Self::default();
        }
        until
    }
}

impl<M> Record<M> {
    /// Something failed. When to try again.
    pub(super) fn failed(&mut self, now: Instant) -> Instant {
        let pause = PAUSE.0 * 2_u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        now + pause.min(PAUSE.1)
    }

    /// Nothing failed.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// What of this is news.
    pub(super) fn news(&mut self, notes: Vec<Note>) -> Vec<Note> {
        let news = notes.iter().filter(|note| !self.said.contains(note)).cloned().collect();
        self.said = notes;
        news
    }
}

/// The records of all objects. A look takes an object's record and puts it back, so that no lock is held during it.
#[derive(Debug)]
pub(super) struct Records<M, K = Name>(Mutex<HashMap<K, Record<M>>>);

impl<M, K> Default for Records<M, K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M: Default, K: Clone + Eq + Hash> Records<M, K> {
    /// Takes the record of an object, a new one when there is none.
    pub(super) fn take(&self, key: &K) -> Record<M> {
        self.lock().remove(key).unwrap_or_default()
    }

    /// Puts a record back.
    pub(super) fn put(&self, key: &K, record: Record<M>) {
        self.lock().insert(key.clone(), record);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Record<M>>> {
        // Nothing panics while holding the lock; should it ever, the records are still usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use runtime::events::Severity;

    use super::*;

    #[tokio::test]
    async fn pauses_double_up_to_a_minute_and_start_again_after_a_success() {
        let now = Instant::now();
        let mut record = Record::<()>::default();
        let pauses: Vec<u128> = (0..9).map(|_| (record.failed(now) - now).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        record.succeeded();
        assert_eq!((record.failed(now) - now).as_millis(), 500);
    }

    #[tokio::test]
    async fn nothing_is_decided_by_a_version_that_was_written_over_unless_the_watch_is_late() {
        let now = Instant::now();
        let mut outdated = Outdated::default();
        assert_eq!(outdated.wait(Some("1"), now), None);
        outdated.note(Some("1"), now);
        outdated.note(Some("2"), now);
        assert_eq!(outdated.wait(Some("1"), now), Some(now + LAG));
        assert_eq!(outdated.wait(Some("2"), now), Some(now + LAG));
        assert_eq!(outdated.wait(Some("1"), now + LAG), None, "the watch is late");
        outdated.note(Some("1"), now);
        assert_eq!(outdated.wait(Some("3"), now), None);
        assert_eq!(outdated.wait(Some("1"), now), None, "all is forgotten");
    }

    #[test]
    fn what_stays_true_is_said_once() {
        let note = |text: &str| Note { severity: Severity::Warning, reason: "R", text: text.to_owned() };
        let mut record = Record::<()>::default();
        assert_eq!(record.news(vec![note("a")]), [note("a")]);
        assert_eq!(record.news(vec![note("a"), note("b")]), [note("b")]);
        assert_eq!(record.news(vec![]), []);
        assert_eq!(record.news(vec![note("a")]), [note("a")]);
    }
}
