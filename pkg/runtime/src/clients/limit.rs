//! One limit on requests for the whole process, spent on what matters most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// One turn in this many goes to whoever has waited longest, so that nobody starves.
const FAIR: u64 = 8;

/// How urgent a client's requests are, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// What others wait for: taints that keep pods away, readiness, deletions.
    Urgent,
    /// A controller's usual reads and writes.
    Normal,
    /// What may come late: events, periodic refreshes.
    Background,
}

impl Priority {
    /// All priorities, most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Background];

    /// A stable name for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Background => "background",
        }
    }
}

/// How many requests may be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests per second in the long run; what is not above zero counts as 20.
    pub rate: f64,
    /// Requests at once after a quiet time; at least 1.
    pub burst: u32,
}

impl Default for Limits {
    /// What the Go cloud controller manager has: `--kube-api-qps=20 --kube-api-burst=30` (reference, Kubernetes 2.2).
    fn default() -> Self {
        Self { rate: 20.0, burst: 30 }
    }
}

/// What a limiter has done and is doing, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Turns given since the start.
    pub granted: u64,
    /// Requests waiting, in the order of [`Priority::ALL`].
    pub waiting: [usize; 3],
}

/// A token bucket with a queue by priority. Cloning gives another handle on the same limiter.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limits: Limits,
    tokens: f64,
    filled: Instant,
    granted: u64,
    next_ticket: u64,
    queue: BTreeMap<(Priority, u64), Arc<Notify>>,
}

impl Limiter {
    /// A full bucket.
    pub fn new(limits: Limits) -> Self {
        let rate = if limits.rate.is_finite() && limits.rate > 0.0 { limits.rate } else { 20.0 };
        let limits = Limits { rate, burst: limits.burst.max(1) };
        Self(Arc::new(Mutex::new(State {
            limits,
            tokens: f64::from(limits.burst),
            filled: Instant::now(),
            granted: 0,
            next_ticket: 0,
            queue: BTreeMap::new(),
        })))
    }

    /// Waits until one request of this priority may be sent. Dropping the future gives up the place and costs
    /// nothing.
    pub async fn turn(&self, priority: Priority) {
        let place = Place::take(self, priority);
        loop {
            let step = self.lock().step(place.key, Instant::now());
            match step {
                Step::Granted => return,
                // Woken early when somebody more urgent came, or the head of the queue gave up.
                Step::At(at) => drop(tokio::time::timeout_at(at, place.wake.notified()).await),
                Step::NotYet => place.wake.notified().await,
            }
        }
    }

    /// A snapshot for metrics.
    pub fn usage(&self) -> Usage {
        let state = self.lock();
        let waiting = Priority::ALL
            .map(|priority| state.queue.keys().filter(|(waiting, _)| *waiting == priority).count());
        Usage { granted: state.granted, waiting }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; should it ever, the numbers in it are still usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Step {
    Granted,
    At(Instant),
    NotYet,
}

impl State {
    /// Whose turn is next.
    fn head(&self) -> Option<(Priority, u64)> {
        if self.granted % FAIR == FAIR - 1 {
            return self.queue.keys().min_by_key(|(_, ticket)| *ticket).copied();
        }
        self.queue.keys().next().copied()
    }

    fn step(&mut self, key: (Priority, u64), now: Instant) -> Step {
        if self.head() != Some(key) {
            return Step::NotYet;
        }
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.limits.rate;
        self.tokens = (self.tokens + gained).min(f64::from(self.limits.burst));
        self.filled = now;
        if self.tokens < 1.0 {
            let missing = Duration::from_secs_f64((1.0 - self.tokens) / self.limits.rate);
            // Never less than a timer's tick, else rounding could make a waiter spin.
            return Step::At(now + missing.max(Duration::from_millis(1)));
        }
        self.tokens -= 1.0;
        self.granted += 1;
        self.queue.remove(&key);
        self.wake_head();
        Step::Granted
    }

    fn wake_head(&self) {
        if let Some(wake) = self.head().and_then(|head| self.queue.get(&head)) {
            wake.notify_one();
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    limiter: &'a Limiter,
    key: (Priority, u64),
    wake: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(limiter: &'a Limiter, priority: Priority) -> Self {
        let mut state = limiter.lock();
        let key = (priority, state.next_ticket);
        state.next_ticket += 1;
        let wake = Arc::new(Notify::new());
        state.queue.insert(key, wake.clone());
        Self { limiter, key, wake }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        if state.queue.remove(&self.key).is_some() {
            state.wake_head();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A limiter with an empty bucket.
    async fn exhausted(rate: f64) -> Limiter {
        let limiter = Limiter::new(Limits { rate, burst: 1 });
        limiter.turn(Priority::Normal).await;
        limiter
    }

    #[tokio::test(start_paused = true)]
    async fn gives_the_burst_at_once_and_then_the_rate() {
        let limiter = Limiter::new(Limits::default());
        let start = Instant::now();
        for turn in 1..=130 {
            limiter.turn(Priority::Normal).await;
            if turn == 30 {
                assert_eq!(start.elapsed(), Duration::ZERO);
            }
        }
        let elapsed = start.elapsed().as_secs_f64();
        assert!((4.9..5.3).contains(&elapsed), "100 more at 20/s took {elapsed} s");
        assert_eq!(limiter.usage(), Usage { granted: 130, waiting: [0, 0, 0] });
    }

    #[tokio::test(start_paused = true)]
    async fn the_urgent_go_first_and_nobody_starves() {
        let limiter = exhausted(10.0).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for (priority, count) in [(Priority::Background, 2), (Priority::Normal, 2), (Priority::Urgent, 12)] {
            for _ in 0..count {
                let (limiter, order) = (limiter.clone(), order.clone());
                waiting.spawn(async move {
                    limiter.turn(priority).await;
                    order.lock().unwrap().push(priority.as_str().as_bytes()[0] as char);
                });
            }
            tokio::task::yield_now().await;
        }
        while limiter.usage().waiting != [12, 2, 2] {
            tokio::task::yield_now().await;
        }
        waiting.join_all().await;
        let order: String = order.lock().unwrap().iter().collect();
        // The seventh and the fifteenth go to who waited longest: the first turn is spent already.
        assert_eq!(order, "uuuuuubuuuuuunbn");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_costs_nothing_and_holds_nobody_up() {
        let limiter = exhausted(1.0).await;
        let start = Instant::now();
        let gives_up = tokio::time::timeout(Duration::from_millis(500), limiter.turn(Priority::Urgent));
        let (given_up, ()) = tokio::join!(gives_up, limiter.turn(Priority::Background));
        assert!(given_up.is_err());
        assert!((1000..1010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        assert_eq!(limiter.usage(), Usage { granted: 2, waiting: [0, 0, 0] });
    }

    #[tokio::test(start_paused = true)]
    async fn limits_that_would_stop_everything_are_lifted() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let limiter = Limiter::new(Limits { rate, burst: 0 });
            let two = async {
                limiter.turn(Priority::Normal).await;
                limiter.turn(Priority::Normal).await;
            };
            assert!(tokio::time::timeout(Duration::from_secs(1), two).await.is_ok(), "{rate}");
        }
    }
}
