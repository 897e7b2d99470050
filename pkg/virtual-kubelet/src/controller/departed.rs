//! Pods whose object was deleted while their instance may still be there: forced deletions.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pod::PodKey;

/// How long a deletion is remembered: longer than a create that was under way can take to show.
const REMEMBER: Duration = Duration::from_secs(3600);

/// The pods of this node that the API server was seen to delete.
#[derive(Debug, Default)]
pub(super) struct Departed(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    at: HashMap<PodKey, Instant>,
    oldest_first: VecDeque<(Instant, PodKey)>,
}

impl Departed {
    /// The API server said that this pod was deleted.
    pub(super) fn note(&self, key: &PodKey, now: Instant) {
        let mut seen = self.lock();
        while seen.oldest_first.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > REMEMBER) {
            if let Some((_, old)) = seen.oldest_first.pop_front() {
                seen.at.remove(&old);
            }
        }
        if seen.at.insert(key.clone(), now).is_none() {
            seen.oldest_first.push_back((now, key.clone()));
        }
    }

    /// Whether this pod was seen to be deleted.
    pub(super) fn contains(&self, key: &PodKey) -> bool {
        self.lock().at.contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while holding the lock; should it ever, what was seen is still usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
