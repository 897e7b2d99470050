//! What the store knows of one instance, and how sure it is.

use std::sync::Arc;

use tokio::time::Instant;

use super::pending::{Expectation, Pending};
use crate::id::InstanceId;
use crate::types::Instance;

/// Where the newest knowledge of an instance came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The answer to a write of ours.
    Write,
    /// A row of a list.
    List,
    /// A read of this instance.
    Get,
    /// An event of the changefeed.
    Feed,
}

/// Why an instance that is still in the store may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// When the doubt arose.
    pub since: Instant,
    /// Clean lists in a row that did not show it.
    pub missed_lists: u32,
    /// When it was first answered with 404 since it was last seen.
    pub(super) first_not_found: Option<Instant>,
    /// When the youngest clean list began that showed others but not it.
    pub(super) last_missed: Option<Instant>,
}

/// One instance in the store. Cheap to clone through its `Arc`; never changes, newer knowledge is a new entry.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(super) observed: Arc<Instance>,
    /// `observed` under the writes that are pending; the same `Arc` when they show nothing.
    pub(super) expected: Arc<Instance>,
    pub(super) pending: Vec<Pending>,
    pub(super) source: Source,
    /// The knowledge is at least as young as this: when the read began, or when the event arrived.
    pub(super) as_of: Instant,
    /// Since when the store has had this instance.
    pub(super) known_since: Instant,
    pub(super) doubt: Option<Doubt>,
}

impl Entry {
    pub(super) fn new(instance: Instance, source: Source, as_of: Instant, now: Instant) -> Self {
        let observed = Arc::new(instance);
        Self {
            expected: Arc::clone(&observed),
            observed,
            pending: Vec::new(),
            source,
            as_of,
            known_since: now,
            doubt: None,
        }
    }

    /// An entry that shows this instance and belongs to no store, for tests of what is decided on entries.
    pub fn detached(instance: Instance, as_of: Instant) -> Self {
        Self::new(instance, Source::Get, as_of, as_of)
    }

    /// The same entry with one more write that is waiting to be seen; see [`Entry::detached`].
    #[must_use]
    pub fn expecting(mut self, expectation: Expectation, expires: Instant) -> Self {
        self.pending.push(Pending { expectation, expires });
        self.apply_pending();
        self
    }

    /// The instance's id.
    pub fn id(&self) -> InstanceId {
        self.observed.id
    }

    /// The instance as CloudAPI last showed it. `dns_names` are those of the last read of this instance.
    pub fn observed(&self) -> &Arc<Instance> {
        &self.observed
    }

    /// The instance as it will be when our pending writes have been carried out: decide on this, so that a
    /// write is not repeated. Existence and state are always the observed ones.
    pub fn expected(&self) -> &Arc<Instance> {
        &self.expected
    }

    /// The writes that reads do not show yet, oldest first.
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// Whether its deletion was asked for and is not confirmed yet.
    pub fn is_deleting(&self) -> bool {
        self.pending.iter().any(|pending| pending.expectation == Expectation::Gone)
    }

    /// Where the newest knowledge came from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The knowledge is at least as young as this.
    pub fn as_of(&self) -> Instant {
        self.as_of
    }

    /// Why the instance may be gone although nothing proves it.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    pub(super) fn apply_pending(&mut self) {
        // Most writes are about existence or state, which are not shown: then there is nothing to copy.
        if self.pending.iter().all(|pending| pending.expectation.shows_nothing()) {
            self.expected = Arc::clone(&self.observed);
            return;
        }
        let mut expected = Instance::clone(&self.observed);
        for pending in &self.pending {
            pending.expectation.overlay(&mut expected);
        }
        self.expected = Arc::new(expected);
    }
}
