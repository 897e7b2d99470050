//! How long to wait after a watch failed: a pure function of the failures so far.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause; client-go's.
const FIRST: Duration = Duration::from_millis(800);

/// The longest pause, without its jitter; client-go's.
const LONGEST: Duration = Duration::from_secs(30);

/// Without a failure for this long the next one counts as the first again; client-go's.
const FORGET: Duration = Duration::from_secs(120);

/// The failures of one watch. Only time makes them forgotten: a list that succeeds before each watch that fails must
/// not begin the back-off anew, for lists are what costs.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Instant>,
}

impl Backoff {
    /// The watch failed. Returns how long to wait: doubling, and up to as much again at random (`share`, 0 to 1).
    pub(super) fn failed(&mut self, now: Instant, share: f64) -> Duration {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) > FORGET) {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        let pause = pause.mul_f64(1.0 + share.clamp(0.0, 1.0));
        self.last = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_forgotten_with_time() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = backoff.failed(now, 0.0);
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.failed(now + Duration::from_secs(119), 1.0).as_secs(), 60);
        assert_eq!(backoff.failed(now + Duration::from_secs(600), 0.5).as_millis(), 1200);
    }
}
