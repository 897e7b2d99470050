//! The store's content and the rules by which observations change it. Pure; time is an argument.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::checks::{Checks, Reason};
use super::entry::{Doubt, Entry, Source};
use super::keys::Keys;
use super::pending::{Expectation, PENDING_FOR, Pending};
use super::tombstones::{Proof, Tombstone, Tombstones};
use crate::changefeed::Event;
use crate::id::InstanceId;
use crate::types::{Instance, InstanceState, InstanceSummary, TagValue};

/// Two 404 for one instance prove something only when at least this long apart.
pub const NOT_FOUND_APART: Duration = Duration::from_secs(60);

/// Until there is proof, an instance that is answered with 404 is read again at this interval.
const NOT_FOUND_AGAIN: Duration = Duration::from_secs(300);

/// Events come in bursts (stopping, stopped, nics, …): one read after the burst is enough.
const AFTER_BURST: Duration = Duration::from_secs(1);

/// Two different views of one millisecond are settled by a read after this, unless a third settles it before.
const AFTER_TIE: Duration = Duration::from_millis(100);

/// When a read shows an older instance than was known, the reader may lag: look again after this.
const AFTER_LAG: Duration = Duration::from_secs(5);

/// An event of an instance that is not known yet is kept for the answer to its creation, which may come later.
const EARLY_FOR: Duration = Duration::from_secs(30);

/// No more such events are kept: a read tells as well.
const EARLY_AT_MOST: usize = 4096;

/// A write that the feed has not shown by now is looked for with a read.
const AFTER_WRITE: Duration = Duration::from_secs(15);

/// No list shows a failed instance, so its end may go unnoticed when its event is lost: it is read when nothing
/// was heard of it for this long.
const FAILED_UNSEEN: Duration = Duration::from_secs(1800);

/// One walk through all pages of ListMachines.
#[derive(Debug)]
pub(super) struct List {
    /// When the first page was asked for.
    pub(super) begun: Instant,
    /// The rows of all pages, each instance once.
    pub(super) rows: Vec<Instance>,
    /// Every page came and every row could be read, so that a missing row may mean something.
    pub(super) clean: bool,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<InstanceId, Arc<Entry>>,
    keys: Keys,
    tombstones: Tombstones,
    expiries: BTreeSet<(Instant, InstanceId)>,
    /// Instances whose deletion we ask for or have asked for.
    doomed: HashSet<InstanceId>,
    /// The newest event of each instance that is not known yet, and when it came.
    early: HashMap<InstanceId, (Box<Instance>, Instant)>,
    pub(super) checks: Checks,
}

/// The instances whose entry changed.
pub(super) type Changed = Vec<InstanceId>;

impl Index {
    pub(super) fn get(&self, id: InstanceId) -> Option<&Arc<Entry>> {
        self.entries.get(&id)
    }

    pub(super) fn tombstone(&self, id: InstanceId) -> Option<&Tombstone> {
        self.tombstones.get(id)
    }

    pub(super) fn named(&self, name: &str) -> Vec<Arc<Entry>> {
        self.keys.named(name).filter_map(|id| self.entries.get(&id).cloned()).collect()
    }

    pub(super) fn tagged(&self, key: &str, value: &TagValue) -> Vec<Arc<Entry>> {
        self.keys.tagged(key, value).filter_map(|id| self.entries.get(&id).cloned()).collect()
    }

    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// A list was read.
    pub(super) fn apply_list(&mut self, list: List, now: Instant) -> Changed {
        let mut changed = Changed::new();
        let mut shown = HashSet::with_capacity(list.rows.len());
        for instance in list.rows {
            let id = instance.id;
            if instance.state.is_deleted() {
                self.ask_about_death(id, now);
                continue;
            }
            shown.insert(id);
            self.checks.settled_by_list(id, list.begun);
            if self.observe(instance, Source::List, Some(list.begun), now) {
                changed.push(id);
            }
        }
        if list.clean {
            self.doubt_missing(&shown, list.begun, now);
        }
        changed
    }

    /// A read of one instance showed it.
    pub(super) fn apply_found(&mut self, instance: Instance, begun: Instant, now: Instant) -> Changed {
        let id = instance.id;
        if instance.state.is_deleted() {
            return self.apply_gone(id, Some(instance), now);
        }
        self.checks.settled_by_read(id, begun);
        if self.observe(instance, Source::Get, Some(begun), now) { vec![id] } else { Changed::new() }
    }

    /// A read of one instance was answered with 410, which proves that it is gone for ever.
    pub(super) fn apply_gone(&mut self, id: InstanceId, last: Option<Instance>, now: Instant) -> Changed {
        self.checks.remove(id);
        self.bury(id, last, Proof::Destroyed, now)
    }

    /// A list of the destroyed, made for these deletions (sorted by id), showed these instances. Each that it was made for
    /// and that it shows as deleted is proved gone, as by a 410; the others are read.
    pub(super) fn apply_destroyed(
        &mut self,
        asked: &[InstanceId],
        rows: &[InstanceSummary],
        now: Instant,
    ) -> Changed {
        let mut changed = Changed::new();
        for row in rows {
            if row.state.is_deleted() && asked.binary_search(&row.id).is_ok() {
                changed.extend(self.apply_gone(row.id, None, now));
            }
        }
        self.checks.read_deletions(asked, now);
        changed
    }

    /// A read of one instance was answered with 404, which proves nothing yet.
    pub(super) fn apply_not_found(&mut self, id: InstanceId, begun: Instant, now: Instant) -> Changed {
        self.checks.settled_by_read(id, begun);
        let Some(entry) = self.entries.get(&id).filter(|entry| entry.as_of <= begun) else {
            return Changed::new();
        };
        if entry.pending.iter().any(|pending| pending.expectation == Expectation::Created) {
            self.checks.ask(id, Reason::Content, now, now + AFTER_WRITE);
            return Changed::new();
        }
        let mut entry = Entry::clone(entry);
        let doubt = entry.doubt.get_or_insert(new_doubt(begun));
        let first = *doubt.first_not_found.get_or_insert(begun);
        let apart = begun.saturating_duration_since(first) >= NOT_FOUND_APART;
        let missed = doubt.last_missed.is_some_and(|missed| missed >= first);
        if apart && missed && lists_would_show(&entry.observed.state) {
            return self.bury(id, None, Proof::NotFound, now);
        }
        let due = if apart { now + NOT_FOUND_AGAIN } else { first + NOT_FOUND_APART };
        self.checks.ask(id, Reason::NotFound, now, due);
        self.put(entry);
        Changed::new()
    }

    /// An event arrived.
    pub(super) fn apply_event(&mut self, event: Event, now: Instant) -> Changed {
        let id = event.id;
        if event.claims_destroyed() {
            self.ask_about_death(id, now);
            return Changed::new();
        }
        let Some(instance) = event.instance else {
            if self.tombstones.get(id).is_none() {
                self.checks.ask(id, Reason::Content, now, now + AFTER_BURST);
            }
            return Changed::new();
        };
        if self.observe(*instance, Source::Feed, None, now) { vec![id] } else { Changed::new() }
    }

    /// A create was answered with this instance.
    pub(super) fn apply_created(&mut self, instance: Instance, now: Instant) -> Changed {
        let id = instance.id;
        let mut changed = self.observe(instance, Source::Write, Some(now), now);
        // An event may have been faster than the answer; then there is nothing left to wait for.
        if let Some((event, _)) = self.early.remove(&id)
            && self.observe(*event, Source::Feed, None, now)
        {
            self.checks.settled_by_read(id, now);
            changed = true;
        }
        if self.entries.get(&id).is_some_and(|entry| entry.source == Source::Write) {
            return self.expect(id, Expectation::Created, now);
        }
        if changed { vec![id] } else { Changed::new() }
    }

    /// A deletion of this instance is about to be asked for.
    pub(super) fn apply_deleting(&mut self, id: InstanceId) {
        if self.entries.contains_key(&id) {
            self.doomed.insert(id);
        }
    }

    /// A write to this instance was accepted.
    pub(super) fn expect(&mut self, id: InstanceId, expectation: Expectation, now: Instant) -> Changed {
        let Some(entry) = self.entries.get(&id) else {
            return Changed::new();
        };
        let mut entry = Entry::clone(entry);
        entry.pending.retain_mut(|earlier| earlier.expectation.yield_to(&expectation));
        let expires = now + PENDING_FOR;
        entry.pending.push(Pending { expectation, expires });
        entry.apply_pending();
        self.expiries.insert((expires, id));
        self.checks.ask(id, Reason::Unseen, now, now + AFTER_WRITE);
        self.put(entry);
        vec![id]
    }

    /// Stops believing the writes that did not come true in time.
    pub(super) fn expire(&mut self, now: Instant) -> Changed {
        let mut changed = Changed::new();
        self.early.retain(|_, (_, since)| *since + EARLY_FOR > now);
        while let Some(&(at, id)) = self.expiries.first().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, id));
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            if entry.pending.iter().all(|pending| pending.expires > now) {
                continue;
            }
            let mut entry = Entry::clone(entry);
            entry.pending.retain(|pending| pending.expires > now);
            entry.apply_pending();
            self.put(entry);
            self.checks.ask(id, Reason::Content, now, now);
            changed.push(id);
        }
        changed
    }

    /// When the next write stops being believed.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Takes in what one source shows of a living instance. `begun` is when the read began; an event has none.
    /// True when the entry changed.
    fn observe(&mut self, mut seen: Instance, source: Source, begun: Option<Instant>, now: Instant) -> bool {
        let id = seen.id;
        if !self.passes_tombstone(id, source, begun, now) {
            return false;
        }
        let Some(entry) = self.entries.get(&id) else {
            if source == Source::Feed {
                // Perhaps a late word about an instance that is gone: a read tells.
                self.checks.ask(id, Reason::Content, now, now + AFTER_BURST);
                self.keep_early(seen, now);
                return false;
            }
            self.put(Entry::new(seen, source, begun.unwrap_or(now), now));
            return true;
        };
        if fill_gaps(&mut seen, &entry.observed, source) {
            self.checks.ask(id, Reason::Content, now, now + AFTER_BURST);
        }
        let began_later = begun.is_some_and(|begun| begun >= entry.as_of);
        let by_time = match (seen.updated, entry.observed.updated) {
            (Some(seen), Some(known)) => seen.cmp(&known),
            _ => Ordering::Equal,
        };
        let by_time = by_time.then_with(|| within_one_instant(&seen, entry));
        let same = by_time == Ordering::Equal && seen == *entry.observed;
        match by_time {
            Ordering::Less if !began_later => return false,
            Ordering::Less => self.checks.ask(id, Reason::Content, now, now + AFTER_LAG),
            Ordering::Equal if !same && !began_later => {
                self.checks.ask(id, Reason::Tie, now, now + AFTER_TIE);
                return false;
            }
            Ordering::Equal => {}
            Ordering::Greater => self.checks.settled_by_later(id),
        }
        let mut entry = Entry::clone(entry);
        entry.as_of = begun.unwrap_or(now).max(entry.as_of);
        entry.source = source;
        if begun.is_some_and(|begun| entry.doubt.is_some_and(|doubt| begun >= doubt.since)) {
            entry.doubt = None;
        }
        if !same {
            entry.observed = Arc::new(seen);
        }
        let waiting = entry.pending.len();
        entry.pending.retain(|pending| !pending.expectation.is_met(&entry.observed));
        let changed = !same || waiting != entry.pending.len();
        if changed {
            entry.apply_pending();
        }
        if entry.pending.is_empty() {
            self.checks.settled_by_sight(id);
        } else if !self.checks.contains(id) {
            self.checks.ask(id, Reason::Unseen, now, now + AFTER_WRITE);
        }
        self.put(entry);
        changed
    }

    /// Whether news of an instance that is known to be gone is to be believed. An UUID is never used again,
    /// so after a 410 only a read of that very instance is.
    fn passes_tombstone(
        &mut self,
        id: InstanceId,
        source: Source,
        begun: Option<Instant>,
        now: Instant,
    ) -> bool {
        let Some(tombstone) = self.tombstones.get(id) else {
            return true;
        };
        let later = begun.is_some_and(|begun| begun > tombstone.at);
        match (tombstone.proof, source) {
            (_, Source::Get) if later => {}
            (Proof::NotFound, Source::List) if later => {}
            (Proof::Destroyed, Source::List) if later => {
                self.checks.ask(id, Reason::Content, now, now);
                return false;
            }
            (Proof::NotFound, Source::Feed) => {
                self.checks.ask(id, Reason::Content, now, now + AFTER_BURST);
                return false;
            }
            _ => return false,
        }
        self.tombstones.remove(id);
        true
    }

    fn ask_about_death(&mut self, id: InstanceId, now: Instant) {
        if let Some(entry) = self.entries.get(&id) {
            let is_ours = entry.is_deleting() || self.doomed.contains(&id);
            let reason = if is_ours { Reason::Deleted } else { Reason::Destroyed };
            self.checks.ask(id, reason, now, now);
        }
    }

    /// Keeps an event of an instance that is not known yet, unless a newer one is kept.
    fn keep_early(&mut self, seen: Instance, now: Instant) {
        let is_older = |kept: &Instance| seen.updated < kept.updated;
        if self.early.get(&seen.id).is_some_and(|(kept, _)| is_older(kept)) {
            return;
        }
        if self.early.len() < EARLY_AT_MOST || self.early.contains_key(&seen.id) {
            self.early.insert(seen.id, (Box::new(seen), now));
        }
    }

    /// A clean list that began at `begun` showed these instances: the others are in doubt.
    fn doubt_missing(&mut self, shown: &HashSet<InstanceId>, begun: Instant, now: Instant) {
        let missing: Vec<Arc<Entry>> = self
            .entries
            .values()
            .filter(|entry| !shown.contains(&entry.id()) && entry.as_of < begun && entry.known_since < begun)
            .filter(|entry| !entry.pending.iter().any(|pending| pending.expectation == Expectation::Created))
            .cloned()
            .collect();
        for entry in missing {
            let mut entry = Entry::clone(&entry);
            let id = entry.id();
            // Lists leave out failed instances, so that one is missing says nothing.
            if entry.observed.state == InstanceState::Failed {
                if now.saturating_duration_since(entry.as_of) >= FAILED_UNSEEN {
                    self.checks.ask(id, Reason::Missing, now, now);
                }
                continue;
            }
            let doubt = entry.doubt.get_or_insert(new_doubt(begun));
            doubt.missed_lists = doubt.missed_lists.saturating_add(1);
            // A list that shows nothing at all is no witness.
            if !shown.is_empty() {
                doubt.last_missed = Some(begun);
            }
            if doubt.first_not_found.is_none() {
                self.checks.ask(id, Reason::Missing, now, now);
            }
            self.put(entry);
        }
    }

    fn put(&mut self, entry: Entry) {
        let entry = Arc::new(entry);
        let old = self.entries.insert(entry.id(), Arc::clone(&entry));
        self.keys.update(old.as_ref().map(|old| &*old.expected), Some(&entry.expected));
    }

    fn bury(&mut self, id: InstanceId, last: Option<Instance>, proof: Proof, now: Instant) -> Changed {
        self.doomed.remove(&id);
        let old = self.entries.remove(&id);
        if let Some(old) = &old {
            self.keys.update(Some(&old.expected), None);
        }
        let last = last.filter(|last| last.id == id).map(Arc::new);
        let Some(instance) = last.or_else(|| old.map(|old| Arc::clone(&old.observed))) else {
            return Changed::new();
        };
        self.tombstones.insert(Tombstone { instance, proof, at: now });
        vec![id]
    }
}

fn new_doubt(since: Instant) -> Doubt {
    Doubt { since, missed_lists: 0, first_not_found: None, last_missed: None }
}

/// Which of two views of the same instant is the later: no instance goes back to provisioning, or from stopped to
/// stopping, and what shows a write of ours is younger than what does not.
fn within_one_instant(seen: &Instance, entry: &Entry) -> Ordering {
    use InstanceState::{Provisioning, Stopped, Stopping};
    match (&entry.observed.state, &seen.state) {
        (Provisioning, Provisioning) => Ordering::Equal,
        (Provisioning, _) | (Stopping, Stopped) => Ordering::Greater,
        (_, Provisioning) | (Stopped, Stopping) => Ordering::Less,
        _ if entry.pending.iter().any(|pending| pending.expectation.is_met(seen)) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Whether an instance that was last in this state would be in a list if it existed. A failed one is not, and
/// one that was provisioning may have failed since (reference 2.12); for these only a 410 is proof.
fn lists_would_show(last: &InstanceState) -> bool {
    !matches!(last, InstanceState::Failed | InstanceState::Provisioning)
}

/// Completes what a source does not carry from what is known: events have no package, and only reads have
/// DNS names (reference 2.11). True when the filled-in value may be out of date.
fn fill_gaps(seen: &mut Instance, known: &Instance, source: Source) -> bool {
    if source != Source::Get && seen.dns_names.is_none() {
        seen.dns_names.clone_from(&known.dns_names);
    }
    if source == Source::Feed && seen.package.is_none() {
        seen.package.clone_from(&known.package);
        return seen.memory_mib != known.memory_mib;
    }
    false
}
