//! Instances that are proved gone, remembered for a while. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::InstanceId;
use crate::types::Instance;

/// How long a gone instance is remembered: long enough for every late event and stale list about it.
const REMEMBER_FOR: Duration = Duration::from_secs(3600);

/// No more are remembered, so that churn cannot fill the memory.
const REMEMBER_AT_MOST: usize = 5_000;

/// What proved that an instance is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// CloudAPI answered 410, or showed it in state `deleted`.
    Destroyed,
    /// CloudAPI answered 404 at least twice over a time in which a clean list showed other instances only.
    NotFound,
}

/// An instance that is gone.
#[derive(Debug, Clone)]
pub struct Tombstone {
    /// The instance as it was last known.
    pub instance: Arc<Instance>,
    /// What proved it.
    pub proof: Proof,
    /// When that was known.
    pub at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Tombstones {
    by_id: HashMap<InstanceId, Tombstone>,
    oldest_first: VecDeque<(Instant, InstanceId)>,
}

impl Tombstones {
    pub(super) fn get(&self, id: InstanceId) -> Option<&Tombstone> {
        self.by_id.get(&id)
    }

    pub(super) fn insert(&mut self, tombstone: Tombstone) {
        self.forget_old(tombstone.at);
        let id = tombstone.instance.id;
        self.oldest_first.push_back((tombstone.at, id));
        self.by_id.insert(id, tombstone);
    }

    /// Forgets one, because the instance turned out to exist.
    pub(super) fn remove(&mut self, id: InstanceId) {
        self.by_id.remove(&id);
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.oldest_first.front() {
            let expired = now.saturating_duration_since(at) > REMEMBER_FOR;
            if !expired && self.oldest_first.len() < REMEMBER_AT_MOST {
                break;
            }
            self.oldest_first.pop_front();
            // A younger tombstone of the same instance stays.
            if self.by_id.get(&id).is_some_and(|tombstone| tombstone.at == at) {
                self.by_id.remove(&id);
            }
        }
    }
}
