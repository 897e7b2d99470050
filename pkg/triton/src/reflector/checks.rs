//! Which instances are to be read again, and when. Pure.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::id::InstanceId;

/// The delays between failed reads of one instance: from the first to the longest, doubling.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Why an instance is to be read again, from the weakest reason to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// A write of ours has not been seen yet. Whatever shows it settles it.
    Unseen,
    /// Two views of the same instant differ. A later one settles it.
    Tie,
    /// Something about it changed or is unclear. A list would tell as well.
    Content,
    /// A clean list did not show it.
    Missing,
    /// It was answered with 404.
    NotFound,
    /// We deleted it, and an event or a list said that it is destroyed: a list of the destroyed would prove it, too.
    Deleted,
    /// An event or a list said that it is destroyed, or proof was asked for.
    Destroyed,
}

#[derive(Debug, Clone, Copy)]
struct Check {
    reason: Reason,
    /// Knowledge from before this time does not settle it.
    since: Instant,
    due: Instant,
    failures: u32,
}

/// The reads to be made, at most one per instance.
#[derive(Debug, Default)]
pub(super) struct Checks {
    by_id: HashMap<InstanceId, Check>,
    /// Those that only a read settles.
    by_due: BTreeSet<(Instant, InstanceId)>,
    /// Those of [`Reason::Deleted`].
    deletions: BTreeSet<(Instant, InstanceId)>,
}

impl Checks {
    /// Asks for a read not before `due`. The strongest reason and the earliest time win.
    pub(super) fn ask(&mut self, id: InstanceId, reason: Reason, now: Instant, due: Instant) {
        let check = match self.by_id.get(&id) {
            None => Check { reason, since: now, due, failures: 0 },
            Some(old) if old.failures > 0 => Check { reason: old.reason.max(reason), since: now, ..*old },
            Some(old) => {
                Check { reason: old.reason.max(reason), since: now, due: old.due.min(due), failures: 0 }
            }
        };
        self.put(id, check);
    }

    /// A read of this instance that began at `as_of` was answered.
    pub(super) fn settled_by_read(&mut self, id: InstanceId, as_of: Instant) {
        if self.by_id.get(&id).is_some_and(|check| as_of >= check.since) {
            self.remove(id);
        }
    }

    /// A list that began at `as_of` showed this instance alive: that settles what is not a claim of death.
    pub(super) fn settled_by_list(&mut self, id: InstanceId, as_of: Instant) {
        let settles = |check: &Check| as_of >= check.since && check.reason < Reason::Deleted;
        if self.by_id.get(&id).is_some_and(settles) {
            self.remove(id);
        }
    }

    /// All writes to this instance have been seen.
    pub(super) fn settled_by_sight(&mut self, id: InstanceId) {
        if self.by_id.get(&id).is_some_and(|check| check.reason == Reason::Unseen) {
            self.remove(id);
        }
    }

    /// A later view came than those that differ.
    pub(super) fn settled_by_later(&mut self, id: InstanceId) {
        if self.by_id.get(&id).is_some_and(|check| check.reason == Reason::Tie) {
            self.remove(id);
        }
    }

    /// Whether this instance is to be read.
    pub(super) fn contains(&self, id: InstanceId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// How many deletions wait for proof, and since when the first.
    pub(super) fn deletions(&self, now: Instant) -> Option<(usize, Instant)> {
        let (oldest, _) = *self.deletions.first().filter(|(due, _)| *due <= now)?;
        Some((self.deletions.iter().take_while(|(due, _)| *due <= now).count(), oldest))
    }

    /// Takes all deletions that wait for proof, for one list, sorted by id. They stay listed as in [`Checks::take_due`].
    pub(super) fn take_deletions(&mut self, now: Instant) -> Vec<InstanceId> {
        let due = self.deletions.iter().take_while(|(due, _)| *due <= now);
        let mut ids: Vec<InstanceId> = due.map(|(_, id)| *id).collect();
        ids.sort_unstable();
        for id in &ids {
            if let Some(check) = self.by_id.get(id).copied() {
                self.put(*id, Check { due: now + LONGEST_RETRY, ..check });
            }
        }
        ids
    }

    /// Has these deletions proved by reads.
    pub(super) fn read_deletions(&mut self, ids: &[InstanceId], now: Instant) {
        for id in ids {
            if let Some(check) = self.by_id.get(id).copied().filter(|check| check.reason == Reason::Deleted) {
                self.put(*id, Check { reason: Reason::Destroyed, due: now, ..check });
            }
        }
    }

    /// A read failed: it is made again later.
    pub(super) fn failed(&mut self, id: InstanceId, reason: Reason, now: Instant) {
        let old = self.by_id.get(&id).copied();
        let failures = old.map_or(0, |check| check.failures).saturating_add(1);
        let delay = FIRST_RETRY.saturating_mul(1 << failures.min(10).saturating_sub(1)).min(LONGEST_RETRY);
        let reason = old.map_or(reason, |check| check.reason.max(reason));
        self.put(id, Check { reason, since: now, due: now + delay, failures });
    }

    /// Takes up to `limit` reads that are due, the strongest reasons first. What is taken stays listed, far
    /// in the future, until it is settled or has failed: an answer that is lost does not lose the check.
    pub(super) fn take_due(&mut self, now: Instant, limit: usize) -> Vec<(InstanceId, Reason)> {
        let mut due: Vec<(InstanceId, Reason)> = self
            .by_due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter_map(|(_, id)| Some((*id, self.by_id.get(id)?.reason)))
            .collect();
        due.sort_by_key(|(_, reason)| std::cmp::Reverse(*reason));
        due.truncate(limit);
        for (id, _) in &due {
            if let Some(check) = self.by_id.get(id).copied() {
                self.put(*id, Check { due: now + LONGEST_RETRY, ..check });
            }
        }
        due
    }

    /// How many reads are due that a list would make unnecessary.
    pub(super) fn due_for_content(&self, now: Instant) -> usize {
        self.by_due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter(|(_, id)| self.by_id.get(id).is_some_and(|check| check.reason <= Reason::Content))
            .count()
    }

    /// Puts off the reads that the list which begins now will make unnecessary, should it succeed.
    pub(super) fn leave_content_to_list(&mut self, now: Instant, until: Instant) {
        let due: Vec<InstanceId> =
            self.by_due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for id in due {
            if let Some(check) = self.by_id.get(&id).copied().filter(|check| check.reason <= Reason::Content)
            {
                self.put(id, Check { due: until, ..check });
            }
        }
    }

    /// When the next read is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// When the next deletion is due that does not wait for proof yet.
    pub(super) fn next_deletion(&self, now: Instant) -> Option<Instant> {
        self.deletions.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    fn put(&mut self, id: InstanceId, check: Check) {
        self.remove(id);
        self.queue(check.reason).insert((check.due, id));
        self.by_id.insert(id, check);
    }

    pub(super) fn remove(&mut self, id: InstanceId) {
        if let Some(old) = self.by_id.remove(&id) {
            self.queue(old.reason).remove(&(old.due, id));
        }
    }

    fn queue(&mut self, reason: Reason) -> &mut BTreeSet<(Instant, InstanceId)> {
        if reason == Reason::Deleted { &mut self.deletions } else { &mut self.by_due }
    }
}
