//! When the next list is due. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// No two lists begin closer together, however often the feed is cut.
const LEAST_GAP: Duration = Duration::from_secs(10);

/// The first delay after a list that failed; it doubles up to the usual interval.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// The share of the interval by which chance lengthens it, so that many processes do not list together.
const JITTER: f64 = 0.1;

#[derive(Debug)]
pub(super) struct Relist {
    due: Instant,
    begun: Option<Instant>,
    failures: u32,
}

impl Relist {
    /// The first list is due after `patience`, which gives the feed time to stand.
    pub(super) fn new(now: Instant, patience: Duration) -> Self {
        Self { due: now + patience, begun: None, failures: 0 }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// A list is wanted as soon as the least gap allows.
    pub(super) fn hurry(&mut self, now: Instant) {
        let earliest = self.begun.map_or(now, |begun| now.max(begun + LEAST_GAP));
        self.due = self.due.min(earliest);
    }

    pub(super) fn begin(&mut self, now: Instant, interval: Duration) {
        self.begun = Some(now);
        self.due = now + interval;
    }

    /// The list that was begun is in the store. `chance` is between 0 and 1.
    pub(super) fn succeeded(&mut self, interval: Duration, chance: f64) {
        self.failures = 0;
        let begun = self.begun.unwrap_or(self.due);
        self.due = begun + interval.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0));
    }

    /// The list that was begun failed.
    pub(super) fn failed(&mut self, now: Instant, interval: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.due = now + FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(16)).min(interval);
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const INTERVAL: Duration = Duration::from_secs(300);

    #[test]
    fn lists_come_at_the_interval_and_never_closer_than_the_gap() {
        let start = Instant::now();
        let mut relist = Relist::new(start, s(5));
        assert_eq!(relist.due(), start + s(5));
        relist.hurry(start + s(1));
        assert_eq!(relist.due(), start + s(1), "the feed stands, no reason to wait");
        relist.begin(start + s(1), INTERVAL);
        relist.succeeded(INTERVAL, 0.5);
        assert_eq!(relist.due(), start + s(1) + s(315));
        relist.hurry(start + s(2));
        assert_eq!(relist.due(), start + s(11), "a cut feed does not make a storm of lists");
        relist.hurry(start + s(60));
        assert_eq!(relist.due(), start + s(11), "hurrying never delays");
    }

    #[test]
    fn failures_back_off_up_to_the_interval_and_a_success_forgets_them() {
        let start = Instant::now();
        let mut relist = Relist::new(start, s(0));
        let mut delays = Vec::new();
        for _ in 0..40 {
            relist.begin(start, INTERVAL);
            relist.failed(start, INTERVAL);
            delays.push((relist.due() - start).as_secs());
        }
        assert_eq!(delays[..9], [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(delays[9..].iter().all(|&delay| delay == 300));
        relist.succeeded(INTERVAL, 0.0);
        relist.failed(start, INTERVAL);
        assert_eq!(relist.due(), start + s(2));
    }
}
