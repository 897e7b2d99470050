//! The token bucket itself: how many requests may start, and when. Pure; time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// The longest `Retry-After` that is honoured. A server that asks for more is asked again after this long,
/// so that one absurd header cannot silence a process.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Many requests in flight are throttled together; within this time they count as one signal.
const DECREASE_EVERY: Duration = Duration::from_secs(1);

/// Without trouble for this long, the rate rises by one step.
const INCREASE_EVERY: Duration = Duration::from_secs(5);

/// The share of the configured rate that one step of recovery gives back.
const INCREASE_STEP: f64 = 0.1;

/// The lowest share of the configured rate that throttling can bring us to.
const LOWEST_SHARE: f64 = 0.1;

/// How fast one account may send requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Sustained requests per second; greater than zero.
    pub rate: f64,
    /// Requests that may start at once after a quiet time; at least 1.
    pub burst: u32,
}

impl Default for Limits {
    /// CloudAPI's own defaults: 10 requests/s with a burst of 30 (reference 2.5).
    fn default() -> Self {
        Self { rate: 10.0, burst: 30 }
    }
}

impl Limits {
    /// The limits with values that would stop all requests for ever (zero, negative, not a number) lifted to
    /// the smallest that works.
    fn sane(self) -> Self {
        let rate = if self.rate.is_finite() { self.rate.max(0.01) } else { Self::default().rate };
        Self { rate, burst: self.burst.max(1) }
    }
}

/// A token bucket whose rate follows what the server tolerates: halved when it throttles, restored in steps.
#[derive(Debug)]
pub(super) struct Bucket {
    limits: Limits,
    rate: f64,
    tokens: f64,
    refilled: Instant,
    closed_until: Option<Instant>,
    decreased: Option<Instant>,
    increased: Instant,
}

impl Bucket {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let limits = limits.sane();
        Self {
            limits,
            rate: limits.rate,
            tokens: f64::from(limits.burst),
            refilled: now,
            closed_until: None,
            decreased: None,
            increased: now,
        }
    }

    /// Takes one token, or says when to try again. The returned instant is later than `now`.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.closed_until {
            if now < until {
                return Err(until);
            }
            self.closed_until = None;
            self.refilled = now;
        }
        let elapsed = now.saturating_duration_since(self.refilled);
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.rate).min(f64::from(self.limits.burst));
        self.refilled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.tokens) / self.rate;
        // Never less than a timer tick, else rounding could make a waiter spin.
        Err(now + Duration::from_secs_f64(missing).max(Duration::from_millis(1)))
    }

    /// The server refused a request for being one too many (429), or said that it is overloaded (503).
    /// `pause` closes the bucket for that long at most [`LONGEST_RETRY_AFTER`].
    pub(super) fn slow_down(&mut self, now: Instant, pause: Option<Duration>) {
        let recent = self.decreased.is_some_and(|at| now.saturating_duration_since(at) < DECREASE_EVERY);
        if !recent {
            self.rate = (self.rate / 2.0).max(self.limits.rate * LOWEST_SHARE);
            self.tokens = 0.0;
            self.refilled = now;
            self.decreased = Some(now);
        }
        self.increased = now;
        if let Some(pause) = pause {
            let until = now + pause.min(LONGEST_RETRY_AFTER);
            self.closed_until = Some(self.closed_until.map_or(until, |at| at.max(until)));
            self.tokens = 0.0;
        }
    }

    /// The server served a request: after a quiet time, the rate goes up by one step.
    pub(super) fn served(&mut self, now: Instant) {
        if self.rate < self.limits.rate && now.saturating_duration_since(self.increased) >= INCREASE_EVERY {
            self.rate = (self.rate + self.limits.rate * INCREASE_STEP).min(self.limits.rate);
            self.increased = now;
        }
    }

    /// Requests per second that are allowed now.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// How many tokens can be had between `from` and `from + span`, waiting as told.
    fn taken(bucket: &mut Bucket, from: Instant, span: Duration) -> u32 {
        let mut now = from;
        let mut count = 0;
        while now <= from + span {
            match bucket.take(now) {
                Ok(()) => count += 1,
                Err(at) => {
                    assert!(at > now, "a refused taker must be told a later time");
                    now = at;
                }
            }
        }
        count
    }

    #[test]
    fn gives_the_burst_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Limits { rate: 10.0, burst: 30 }, start);
        assert_eq!(taken(&mut bucket, start, Duration::ZERO), 30);
        let later = taken(&mut bucket, start, seconds(10));
        assert!((99..=101).contains(&later), "10 s at 10/s gave {later}");
    }

    #[test]
    fn never_saves_up_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Limits { rate: 10.0, burst: 30 }, start);
        assert_eq!(taken(&mut bucket, start + seconds(3600), Duration::ZERO), 30);
    }

    #[test]
    fn a_volley_of_throttled_requests_halves_the_rate_once() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Limits::default(), start);
        for ms in 0..30 {
            bucket.slow_down(start + Duration::from_millis(ms), None);
        }
        assert!((bucket.rate() - 5.0).abs() < 1e-9);
        assert!(bucket.take(start + Duration::from_millis(30)).is_err(), "saved tokens are gone");
    }

    #[test]
    fn throttling_for_ever_leaves_a_tenth_of_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Limits::default(), start);
        for s in 0..100 {
            bucket.slow_down(start + seconds(s * 2), None);
        }
        assert!((bucket.rate() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn retry_after_closes_the_bucket_but_not_for_longer_than_the_cap() {
        let start = Instant::now();
        for (asked, granted) in [(seconds(7), seconds(7)), (seconds(1 << 40), LONGEST_RETRY_AFTER)] {
            let mut bucket = Bucket::new(Limits::default(), start);
            bucket.slow_down(start, Some(asked));
            assert_eq!(bucket.take(start), Err(start + granted));
            let reopened = start + granted;
            let first = bucket.take(reopened).err().unwrap_or(reopened);
            assert!(first <= reopened + seconds(1), "reopens with the reduced rate");
        }
    }

    #[test]
    fn a_served_server_gets_its_rate_back_in_steps() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Limits::default(), start);
        bucket.slow_down(start, None);
        let mut now = start;
        let mut rates = vec![bucket.rate()];
        for _ in 0..40 {
            now += seconds(1);
            bucket.served(now);
            rates.push(bucket.rate());
        }
        assert!(rates.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!((bucket.rate() - 10.0).abs() < 1e-9);
        assert!((rates[4] - 5.0).abs() < 1e-9, "not before the quiet time");
    }

    #[test]
    fn limits_that_would_stop_everything_are_lifted() {
        let start = Instant::now();
        for rate in [0.0, -3.0, f64::NAN, f64::INFINITY] {
            let mut bucket = Bucket::new(Limits { rate, burst: 0 }, start);
            assert!(bucket.take(start).is_ok());
            assert!(bucket.take(start).is_err_and(|at| at <= start + seconds(101)));
        }
    }
}
