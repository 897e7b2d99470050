//! Which keys to look at, and when. Pure; time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

/// Keys that somebody asked to look at: each at most once at a time, and soonest first. What is asked for while a
/// key is being looked at comes after that look, so nothing is missed and nothing runs twice at once.
#[derive(Debug)]
pub(super) struct Schedule<K> {
    due: BTreeSet<(Instant, K)>,
    at: HashMap<K, Instant>,
    /// Keys that are being looked at, with what was asked for meanwhile.
    running: HashMap<K, Option<Instant>>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), at: HashMap::new(), running: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> Schedule<K> {
    /// Asks for a look at this instant, unless there is to be one sooner.
    pub(super) fn ask(&mut self, key: &K, at: Instant) {
        if let Some(again) = self.running.get_mut(key) {
            *again = Some(again.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        match self.at.get(key) {
            Some(&earlier) if earlier <= at => return,
            Some(&later) => {
                self.due.remove(&(later, key.clone()));
            }
            None => {}
        }
        self.at.insert(key.clone(), at);
        self.due.insert((at, key.clone()));
    }

    /// Takes the key that has been due for longest, which is then being looked at.
    pub(super) fn take(&mut self, now: Instant) -> Option<K> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.at.remove(&key);
        self.running.insert(key.clone(), None);
        Some(key)
    }

    /// The look at a key is over.
    pub(super) fn done(&mut self, key: &K) {
        if let Some(Some(again)) = self.running.remove(key) {
            self.ask(key, again);
        }
    }

    /// When the next key is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many keys wait or are being looked at.
    pub(super) fn len(&self) -> usize {
        self.at.len() + self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_soonest_ask_counts_and_the_longest_due_goes_first() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        schedule.ask(&"a", later(5));
        schedule.ask(&"a", later(9));
        schedule.ask(&"b", later(3));
        schedule.ask(&"a", later(1));
        assert_eq!(schedule.take(now), None);
        assert_eq!((schedule.next_due(), schedule.len()), (Some(later(1)), 2));
        assert_eq!(schedule.take(later(10)), Some("a"));
        assert_eq!(schedule.take(later(10)), Some("b"));
        assert_eq!(schedule.take(later(10)), None);
    }

    #[tokio::test]
    async fn what_is_asked_for_during_a_look_comes_after_it() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.ask(&"a", now);
        assert_eq!(schedule.take(now), Some("a"));
        schedule.ask(&"a", now + Duration::from_secs(7));
        schedule.ask(&"a", now);
        assert_eq!(schedule.take(now), None, "one look at a time");
        schedule.done(&"a");
        assert_eq!(schedule.take(now), Some("a"));
        schedule.done(&"a");
        assert_eq!((schedule.take(now), schedule.len()), (None, 0));
    }
}
