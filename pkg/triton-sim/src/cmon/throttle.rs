//! How many requests a login may make: a bucket of tokens for each. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How many requests CMON takes from one login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Requests per second.
    pub rate: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// Reference 4.1.
impl Default for Throttle {
    fn default() -> Self {
        Self { rate: 100, burst: 1000 }
    }
}

/// The tokens of one login, counted as the time until which they are used up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    empty_until: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self { empty_until: now }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant, throttle: Throttle) -> bool {
        let each = Duration::from_secs(1) / throttle.rate.max(1);
        let used = self.empty_until.max(now) + each;
        let allowed = used <= now + each * throttle.burst.max(1);
        if allowed {
            self.empty_until = used;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let throttle = Throttle { rate: 10, burst: 3 };
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let mut taken = |milliseconds, count: u32| {
            let now = start + Duration::from_millis(milliseconds);
            (0..count).filter(|_| bucket.take(now, throttle)).count()
        };
        assert_eq!(taken(0, 10), 3);
        assert_eq!(taken(50, 10), 0);
        assert_eq!(taken(100, 10), 1);
        assert_eq!(taken(350, 10), 2);
        assert_eq!(taken(60_000, 10), 3);
    }
}
