//! What is known of machines: the reflector's answers as values, and the reflector as one of the process's caches.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::watching::{Cache, CacheState};
use tokio::time::Instant;
use triton::reflector::{Lookup, Proof, Store};
use triton::types::Instance;

/// So many lists in a row must fail before the store counts as old: one failure is repeated within seconds.
const FAILED_LISTS: u32 = 2;

/// A list that is older than this makes the store old whatever the reason: three relists.
const OLD: Duration = Duration::from_secs(900);

/// What is known of one instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// It exists, as far as anybody knows.
    Present(Seen),
    /// It is proved gone.
    Gone {
        /// What proved it.
        proof: Proof,
        /// When that was known.
        at: Instant,
    },
    /// Never seen, or gone for so long that it is forgotten. Proves nothing.
    Unknown,
}

/// An instance that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// As CloudAPI last showed it.
    pub instance: Arc<Instance>,
    /// Whether a list missed it or a read did not find it since.
    pub doubted: bool,
    /// The knowledge is at least as young as this.
    pub as_of: Instant,
}

impl From<Lookup> for Known {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Present(entry) => Self::Present(Seen {
                instance: Arc::clone(entry.observed()),
                doubted: entry.doubt().is_some(),
                as_of: entry.as_of(),
            }),
            Lookup::Gone(tombstone) => Self::Gone { proof: tombstone.proof, at: tombstone.at },
            Lookup::Unknown => Self::Unknown,
        }
    }
}

/// The reflector of instances as one of the caches behind `/readyz`.
#[derive(Debug)]
pub struct InstanceCache(pub Store);

impl Cache for InstanceCache {
    fn name(&self) -> &str {
        "instances"
    }

    fn state(&self) -> CacheState {
        let health = self.0.health();
        let failures = health.list_failures;
        let age = health.staleness(Instant::now());
        match age {
            None if failures == 0 => CacheState::Waiting(None),
            None => CacheState::Waiting(Some(format!("CloudAPI could not be listed {failures} times"))),
            Some(_) if failures >= FAILED_LISTS => {
                CacheState::Stale(format!("CloudAPI could not be listed {failures} times in a row"))
            }
            Some(age) if age > OLD => {
                CacheState::Stale(format!("CloudAPI was last listed {} s ago", age.as_secs()))
            }
            Some(_) => CacheState::Synced,
        }
    }

    fn synced(&self) -> BoxFuture<'_, ()> {
        self.0.synced().boxed()
    }
}
