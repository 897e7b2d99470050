//! What a controller looks at next: keys of objects, each at most once at a time, soonest first.
//!
//! Whoever learns something about an object asks for a look at its key; asks for the same key are one. A look may ask
//! for another one later, which is how a controller waits: for a back-off, a grace period, an answer.

mod schedule;

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use self::schedule::Schedule;

/// The pause after a look that broke off.
const BROKEN: Duration = Duration::from_secs(30);

/// The keys to look at. Cloning gives another handle on the same queue.
#[derive(Debug)]
pub struct Queue<K>(Arc<Shared<K>>);

#[derive(Debug)]
struct Shared<K> {
    schedule: Mutex<Schedule<K>>,
    news: Notify,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self(Arc::new(Shared { schedule: Mutex::default(), news: Notify::new() }))
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// Asks for a look at a key now.
    pub fn ask(&self, key: &K) {
        self.ask_at(key, Instant::now());
    }

    /// Asks for a look at a key at this instant, unless there is to be one sooner.
    pub fn ask_at(&self, key: &K, at: Instant) {
        self.schedule().ask(key, at);
        self.0.news.notify_one();
    }

    /// Waits for the next key and takes it; [`Queue::done`] must follow. For one caller at a time. Safe to cancel.
    pub async fn next(&self) -> K {
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

    /// The look at a key is over.
    pub fn done(&self, key: &K) {
        self.schedule().done(key);
        self.0.news.notify_one();
    }

    /// How many keys wait or are being looked at.
    pub fn len(&self) -> usize {
        self.schedule().len()
    }

    /// Whether there is nothing to look at, now or later.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule<K>> {
        // Nothing panics while holding the lock; should it ever, the schedule is still usable.
        self.0.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Ord + Hash + Debug> Queue<K> {
    /// Looks at each key when it is due, at most so many at once, for ever. A look that breaks off concerns its own
    /// key only, which is looked at again after a pause. Dropping this ends the looks that are under way. For one
    /// caller at a time.
    pub async fn work<F>(&self, at_once: usize, look: impl Fn(K) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut looks = JoinSet::new();
        let mut keys: HashMap<Id, K> = HashMap::new();
        loop {
            tokio::select! {
                key = self.next(), if looks.len() < at_once.max(1) => {
                    let handle = looks.spawn(look(key.clone()));
                    keys.insert(handle.id(), key);
                }
                Some(ended) = looks.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, ())) => *id,
                        Err(broken) => broken.id(),
                    };
                    let Some(key) = keys.remove(&id) else { continue };
                    if let Err(broken) = ended {
                        // A fault of this program, which must not concern other keys.
                        tracing::error!(?key, error = %broken, "a look broke off");
                        self.ask_at(&key, Instant::now() + BROKEN);
                    }
                    self.done(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_for_its_time_and_a_sooner_ask_wakes_whoever_waits() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.ask_at(&"late", start + Duration::from_secs(60));
        let sooner = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            queue.ask(&"soon");
        };
        let (first, ()) = tokio::join!(queue.next(), sooner);
        assert_eq!((first, start.elapsed().as_secs()), ("soon", 5));
        queue.done(&"soon");
        assert_eq!((queue.next().await, start.elapsed().as_secs()), ("late", 60));
        queue.done(&"late");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_breaks_off_is_repeated_and_disturbs_no_other() {
        let queue = Queue::default();
        let seen: Arc<Mutex<Vec<(&str, u64)>>> = Arc::default();
        let start = Instant::now();
        queue.ask(&"broken");
        queue.ask(&"sound");
        let looks = seen.clone();
        let work = queue.work(8, move |key| {
            let looks = looks.clone();
            async move {
                looks.lock().unwrap().push((key, start.elapsed().as_secs()));
                let first = looks.lock().unwrap().iter().filter(|(seen, _)| *seen == key).count() == 1;
                assert!(key == "sound" || !first, "breaks off once");
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(100), work).await;
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, [("broken", 0), ("broken", 30), ("sound", 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_looks_than_asked_for_go_on_at_once() {
        let queue = Queue::default();
        for key in 0..10 {
            queue.ask(&key);
        }
        let now: Arc<Mutex<(usize, usize)>> = Arc::default();
        let counted = now.clone();
        let work = queue.work(3, move |_| {
            let counted = counted.clone();
            async move {
                {
                    let mut counted = counted.lock().unwrap();
                    counted.0 += 1;
                    counted.1 = counted.1.max(counted.0);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                counted.lock().unwrap().0 -= 1;
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(100), work).await;
        assert_eq!(*now.lock().unwrap(), (0, 3));
        assert!(queue.is_empty());
    }
}
