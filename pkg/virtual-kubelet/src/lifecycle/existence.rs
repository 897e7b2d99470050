//! Which instance is the pod's, and whether there can be none.

use std::sync::Arc;

use provider::names::tag;
use triton::id::InstanceId;
use triton::reflector::{Entry, Lookup};

use super::{Observed, recorded_instance};

/// What exists of a pod at Triton.
#[derive(Debug)]
pub(super) enum Existence<'a> {
    /// This instance, and others that should not be.
    Present {
        /// The pod's instance.
        main: &'a Arc<Entry>,
        /// Duplicates, by id.
        others: Vec<&'a Arc<Entry>>,
    },
    /// The instance that the pod had is not in sight, which proves nothing.
    Unproven(InstanceId),
    /// None, proved as well as it can be.
    Absent {
        /// The instance that the pod had last, if it had one.
        gone: Option<InstanceId>,
        /// Instances that were made for the pod and never came to life. Each is a row without a zone, which cannot
        /// be deleted and does not count.
        failed: Vec<InstanceId>,
    },
}

/// Finds what exists of a pod. The store must be synced.
///
/// Of several instances the one is the pod's that is not being deleted, then the one that the status names, then one
/// that runs, then that of the lowest id: the same choice whoever makes it, and stable once the status is written.
pub(super) fn existence<'a>(observed: &'a Observed<'a>) -> Existence<'a> {
    let recorded = observed.recorded.as_ref();
    let named = recorded.and_then(|recorded| match &recorded.lookup {
        Lookup::Present(entry) if !is_anothers(entry, observed) => Some(entry),
        _ => None,
    });
    let elsewhere = named.filter(|entry| observed.instances.iter().all(|other| other.id() != entry.id()));
    let all = || observed.instances.iter().chain(elsewhere);
    let mut alive: Vec<&Arc<Entry>> = all().filter(|entry| entry.observed().state.is_active()).collect();
    alive.sort_by_key(|entry| {
        let is_recorded = named.is_some_and(|named| named.id() == entry.id());
        (entry.is_deleting(), !is_recorded, !entry.observed().state.is_running(), entry.id())
    });
    let mut alive = alive.into_iter();
    if let Some(main) = alive.next() {
        return Existence::Present { main, others: alive.collect() };
    }
    if let Some(recorded) = recorded.filter(|recorded| matches!(recorded.lookup, Lookup::Unknown)) {
        return Existence::Unproven(recorded.id);
    }
    let anothers = |lookup: &Lookup| matches!(lookup, Lookup::Present(entry) if is_anothers(entry, observed));
    Existence::Absent {
        gone: recorded.filter(|recorded| !anothers(&recorded.lookup)).map(|recorded| recorded.id),
        failed: all().filter(|entry| entry.observed().state.is_failed()).map(|entry| entry.id()).collect(),
    }
}

/// Whether an instance says that it is another pod's. One without any such tag may have lost it, and of the one that
/// the status names the status is believed: tags are easily edited.
pub(super) fn is_anothers(entry: &Entry, observed: &Observed<'_>) -> bool {
    if recorded_instance(observed.pod) == Some(entry.id()) {
        return false;
    }
    let uid = observed.pod.metadata.uid.as_deref();
    entry.observed().tags.get(tag::UID).is_some_and(|value| value.as_str() != uid)
}
