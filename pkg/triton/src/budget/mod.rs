//! The request budget: one token bucket per account and process, with priorities.
//!
//! CloudAPI allows about 10 requests/s with a burst of 30 per account, and answers more with a 429 that does
//! not say when to come back (reference 2.5). Every request of this library passes here first, so a process
//! spends that allowance on what matters most: a [`Priority::Safety`] check that stands between an instance
//! and its deletion goes before a [`Priority::Refresh`] of a list. Nobody starves: one grant in eight goes to
//! whoever has waited longest. The rate halves when the server throttles and recovers in steps.

mod bucket;
mod queue;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::bucket::Bucket;
pub use self::bucket::{LONGEST_RETRY_AFTER, Limits};
use self::queue::{Queue, Ticket};

/// What a request is for, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Proof that an instance is gone, or that it is not, before something is deleted on its account.
    Safety = 0,
    /// Taking an instance out of load balancing.
    Withdraw = 1,
    /// Creating and deleting instances and what belongs to them.
    Lifecycle = 2,
    /// Reading and writing state that users look at.
    Status = 3,
    /// Keeping caches fresh.
    Refresh = 4,
}

impl Priority {
    const COUNT: usize = 5;

    /// All priorities, most urgent first.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Safety, Self::Withdraw, Self::Lifecycle, Self::Status, Self::Refresh];

    /// A stable name for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Withdraw => "withdraw",
            Self::Lifecycle => "lifecycle",
            Self::Status => "status",
            Self::Refresh => "refresh",
        }
    }
}

/// What the budget has done so far and is doing, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Requests per second that are allowed now; below the configured rate after throttling.
    pub rate: f64,
    /// Requests granted since the start.
    pub granted: u64,
    /// The same by priority, in the order of [`Priority::ALL`].
    pub granted_to: [u64; Priority::COUNT],
    /// How often since the start a less urgent request was granted while one of this priority waited, in the order of
    /// [`Priority::ALL`]: not more often than one grant in eight, which goes to whoever has waited longest.
    pub passed_over: [u64; Priority::COUNT],
    /// Answers that asked us to slow down (429 and 503) since the start.
    pub throttled: u64,
    /// Requests waiting, in the order of [`Priority::ALL`].
    pub waiting: [usize; Priority::COUNT],
}

/// A shared request budget. Cloning gives another handle on the same budget.
#[derive(Debug, Clone)]
pub struct Budget {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    queue: Queue,
    wake: HashMap<Ticket, Arc<Notify>>,
    granted_to: [u64; Priority::COUNT],
    passed_over: [u64; Priority::COUNT],
    throttled: u64,
}

impl Budget {
    /// A full bucket with these limits.
    pub fn new(limits: Limits) -> Self {
        let state = State {
            bucket: Bucket::new(limits, Instant::now()),
            queue: Queue::default(),
            wake: HashMap::new(),
            granted_to: [0; Priority::COUNT],
            passed_over: [0; Priority::COUNT],
            throttled: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits until one request of this priority may start. Dropping the future gives up the place in the
    /// queue and costs nothing.
    pub async fn acquire(&self, priority: Priority) {
        let place = Place::take(self, priority);
        loop {
            let turn = self.lock().try_grant(place.ticket, Instant::now());
            match turn {
                Turn::Granted => return,
                Turn::At(at) => {
                    // Woken early when a more urgent request takes the head of the queue, or the owner of it
                    // gives up; then the question is asked again.
                    let _ = tokio::time::timeout_at(at, place.wake.notified()).await;
                }
                Turn::Later => place.wake.notified().await,
            }
        }
    }

    /// The server answered 429, or 503 with or without `Retry-After`. `pause` stops all requests for that
    /// long, capped at [`LONGEST_RETRY_AFTER`]; pass `None` where only the rate should fall.
    pub fn slow_down(&self, pause: Option<Duration>) {
        let mut state = self.lock();
        state.throttled += 1;
        state.bucket.slow_down(Instant::now(), pause);
    }

    /// The server served a request.
    pub fn served(&self) {
        self.lock().bucket.served(Instant::now());
    }

    /// A snapshot for metrics.
    pub fn usage(&self) -> Usage {
        let state = self.lock();
        Usage {
            rate: state.bucket.rate(),
            granted: state.granted_to.iter().sum(),
            granted_to: state.granted_to,
            passed_over: state.passed_over,
            throttled: state.throttled,
            waiting: state.queue.waiting(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; should it ever, the numbers in it are still usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Turn {
    Granted,
    At(Instant),
    Later,
}

impl State {
    fn try_grant(&mut self, ticket: Ticket, now: Instant) -> Turn {
        if self.queue.head() != Some(ticket) {
            return Turn::Later;
        }
        match self.bucket.take(now) {
            Err(at) => Turn::At(at),
            Ok(()) => {
                if let Some(priority) = self.queue.grant(ticket) {
                    self.count(priority);
                }
                self.wake.remove(&ticket);
                self.wake_head();
                Turn::Granted
            }
        }
    }

    fn count(&mut self, granted: Priority) {
        let waiting = self.queue.waiting();
        for (priority, waiting) in Priority::ALL.into_iter().zip(waiting) {
            let at = priority as usize;
            // The enum's discriminants are the indices of both arrays, whose length is their count.
            self.granted_to[at] += u64::from(priority == granted);
            self.passed_over[at] += u64::from(priority < granted && waiting > 0);
        }
    }

    fn wake_head(&self) {
        if let Some(wake) = self.queue.head().and_then(|head| self.wake.get(&head)) {
            wake.notify_one();
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    budget: &'a Budget,
    ticket: Ticket,
    wake: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(budget: &'a Budget, priority: Priority) -> Self {
        let wake = Arc::new(Notify::new());
        let mut state = budget.lock();
        let ticket = state.queue.push(priority);
        state.wake.insert(ticket, Arc::clone(&wake));
        drop(state);
        Self { budget, ticket, wake }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if state.queue.remove(self.ticket) {
            state.wake.remove(&self.ticket);
            state.wake_head();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::stream::{FuturesUnordered, StreamExt as _};

    use super::*;

    fn budget(rate: f64, burst: u32) -> Budget {
        Budget::new(Limits { rate, burst })
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_requests_take_the_time_that_the_limits_say() {
        let budget = budget(10.0, 30);
        let start = Instant::now();
        for _ in 0..100 {
            budget.acquire(Priority::Status).await;
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(6900) && took <= Duration::from_millis(7200), "{took:?}");
        assert_eq!(budget.usage().granted, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_deletion_overtakes_queued_refreshes() {
        let budget = budget(1.0, 1);
        budget.acquire(Priority::Refresh).await;
        let mut waiting = FuturesUnordered::new();
        for n in 0..3 {
            waiting.push(budget.acquire(Priority::Refresh).map(move |()| format!("refresh {n}")).boxed());
        }
        // Let the refreshes take their places first.
        assert!(waiting.next().now_or_never().is_none());
        waiting.push(budget.acquire(Priority::Safety).map(|()| "safety".to_owned()).boxed());
        let order: Vec<String> = waiting.collect().await;
        assert_eq!(order, ["safety", "refresh 0", "refresh 1", "refresh 2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_passed_over_is_counted_and_that_is_one_turn_in_eight() {
        let budget = budget(1.0, 1);
        let mut waiting = FuturesUnordered::new();
        for _ in 0..40 {
            waiting.push(budget.acquire(Priority::Lifecycle).boxed());
        }
        // The first is granted, the others take their places.
        assert!(waiting.next().now_or_never().is_some());
        assert!(waiting.next().now_or_never().is_none());
        for _ in 0..20 {
            waiting.push(budget.acquire(Priority::Withdraw).boxed());
        }
        while waiting.next().await.is_some() {}
        let usage = budget.usage();
        assert_eq!((usage.granted, usage.granted_to), (60, [0, 20, 40, 0, 0]));
        // 20 turns for the urgent, and every eighth of all turns meanwhile for those who have waited longest.
        assert_eq!(usage.passed_over, [0, 2, 0, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_gives_up_passes_its_turn_on() {
        let budget = budget(1.0, 1);
        budget.acquire(Priority::Status).await;
        let mut first = Box::pin(budget.acquire(Priority::Safety));
        assert!((&mut first).now_or_never().is_none());
        let second = budget.acquire(Priority::Refresh);
        drop(first);
        let start = Instant::now();
        second.await;
        assert!(start.elapsed() <= Duration::from_millis(1100));
        assert_eq!(budget.usage().waiting, [0; 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_back_those_who_already_wait() {
        let budget = budget(10.0, 1);
        budget.acquire(Priority::Status).await;
        let waiter = budget.clone();
        let task = tokio::spawn(async move {
            waiter.acquire(Priority::Safety).await;
            Instant::now()
        });
        tokio::task::yield_now().await;
        let start = Instant::now();
        budget.slow_down(Some(Duration::from_secs(20)));
        let granted = task.await.unwrap();
        assert!(granted - start >= Duration::from_secs(20));
        assert_eq!(budget.usage().throttled, 1);
    }
}
