//! What a reflector's events and failures say about what it holds. Pure; time is an argument.

use kube::runtime::watcher::Event;
use tokio::time::Instant;

use super::caches::CacheState;
use crate::clients::DEADLINE;

/// One failure is the end of a connection; the next one says that it cannot be had again.
const STALE_AFTER: u32 = 2;

/// What a reflector has met so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Freshness {
    complete: bool,
    /// Failures since the last sign of life, the last of them, and when it is known that there is no further one.
    failures: u32,
    error: Option<String>,
    over: Option<Instant>,
}

impl Freshness {
    /// An event came. Returns whether that says anything new.
    pub(super) fn heard<K>(&mut self, event: &Event<K>) -> bool {
        match event {
            // A list has begun or goes on: no sign of being complete, nor of being fresh.
            Event::Init | Event::InitApply(_) => return false,
            Event::Apply(_) | Event::Delete(_) | Event::InitDone => {}
        }
        if self.complete && self.failures == 0 {
            return false;
        }
        *self = Self { complete: true, ..Self::default() };
        true
    }

    /// The watch failed, and is tried again at `retry`.
    pub(super) fn failed(&mut self, error: String, retry: Instant, now: Instant) {
        let again = self.over.is_some_and(|over| now < over);
        self.failures = if again { self.failures + 1 } else { 1 };
        self.error = Some(error);
        // A watch that resumes says nothing until something changes. But one that fails again does so within the
        // deadline of its call.
        self.over = Some(retry + DEADLINE);
    }

    /// How things stand.
    pub(super) fn state(&self, now: Instant) -> CacheState {
        if !self.complete {
            return CacheState::Waiting(self.error.clone());
        }
        let troubled = self.failures >= STALE_AFTER && self.over.is_some_and(|over| now < over);
        match &self.error {
            Some(error) if troubled => CacheState::Stale(error.clone()),
            _ => CacheState::Synced,
        }
    }

    /// Whether the first list is complete.
    pub(super) fn complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What happens, and at which second.
    enum Step {
        Hear(Event<()>),
        /// Fails, to be tried again so many seconds later.
        Fail(u64),
    }
    use Step::{Fail, Hear};

    fn state(steps: &[(u64, Step)], at: u64) -> &'static str {
        let start = Instant::now();
        let second = |n: u64| start + Duration::from_secs(n);
        let mut freshness = Freshness::default();
        for (when, step) in steps {
            match step {
                Hear(event) => drop(freshness.heard(event)),
                Fail(pause) => freshness.failed("refused".into(), second(when + pause), second(*when)),
            }
        }
        match freshness.state(second(at)) {
            CacheState::Waiting(None) => "waiting",
            CacheState::Waiting(Some(_)) => "waiting, failed",
            CacheState::Synced => "synced",
            CacheState::Stale(_) => "stale",
        }
    }

    #[test]
    fn a_cache_is_complete_after_its_first_list_and_not_before() {
        assert_eq!(state(&[], 0), "waiting");
        assert_eq!(state(&[(0, Hear(Event::Init)), (0, Hear(Event::InitApply(())))], 1), "waiting");
        assert_eq!(state(&[(0, Hear(Event::Init)), (1, Fail(1))], 2), "waiting, failed");
        assert_eq!(state(&[(0, Hear(Event::Init)), (0, Hear(Event::InitDone))], 1), "synced");
    }

    #[test]
    fn one_broken_connection_makes_nothing_stale_but_a_second_failure_does() {
        let done = || (0, Hear(Event::InitDone));
        assert_eq!(state(&[done(), (5, Fail(1))], 6), "synced");
        assert_eq!(state(&[done(), (5, Fail(1)), (6, Fail(2))], 6), "stale");
        // The second is long after the first: between them, the watch was well.
        assert_eq!(state(&[done(), (5, Fail(1)), (100, Fail(2))], 101), "synced");
    }

    #[test]
    fn a_watch_that_resumed_is_fresh_by_its_next_event_or_by_failing_no_more() {
        let failing = || vec![(0, Hear(Event::InitDone)), (5, Fail(1)), (6, Fail(2)), (8, Fail(4))];
        assert_eq!(state(&failing(), 12 + 29), "stale");
        assert_eq!(state(&failing(), 12 + 30), "synced");
        let mut resumed = failing();
        resumed.push((13, Hear(Event::Apply(()))));
        assert_eq!(state(&resumed, 13), "synced");
        let mut listing = failing();
        listing.push((13, Hear(Event::Init)));
        assert_eq!(state(&listing, 13), "stale", "a list that has only begun proves nothing");
    }
}
