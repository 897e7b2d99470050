//! Instances of ours that no pod stands for. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use triton::id::InstanceId;

/// No more are deleted in one sweep, so that a cluster that lost its memory loses its instances slowly and somebody
/// sees the events.
pub(super) const AT_ONCE: usize = 50;

/// What is known at a sweep.
pub(super) struct Sweep<'a> {
    /// Our instances, each with the UID of its pod.
    pub(super) instances: &'a [(InstanceId, Box<str>)],
    /// The UIDs of the pods of this node.
    pub(super) pods: &'a HashSet<&'a str>,
    /// Whether both caches are complete and fresh: without that, absence means nothing.
    pub(super) trusted: bool,
    /// How long an instance must have been an orphan, at least from one sweep to another.
    pub(super) grace: Duration,
    /// Now.
    pub(super) now: Instant,
}

/// Since when each instance has been seen without its pod.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashMap<InstanceId, Instant>);

impl Suspects {
    /// Those that are without their pods now, orphans or not yet.
    pub(super) fn all(&self) -> impl Iterator<Item = InstanceId> {
        self.0.keys().copied()
    }

    /// Looks at the instances, and says which are orphans by now.
    pub(super) fn sweep(&mut self, sweep: &Sweep<'_>) -> Vec<InstanceId> {
        if !sweep.trusted {
            // What was seen before a time of blindness does not count.
            self.0.clear();
            return Vec::new();
        }
        let alone = sweep.instances.iter().filter(|(_, uid)| !sweep.pods.contains(&**uid)).map(|(id, _)| *id);
        let since = std::mem::take(&mut self.0);
        self.0 = alone.map(|id| (id, since.get(&id).copied().unwrap_or(sweep.now))).collect();
        let mut orphans: Vec<(Instant, InstanceId)> = self
            .0
            .iter()
            .filter(|(_, since)| **since < sweep.now)
            .filter(|(_, since)| sweep.now.saturating_duration_since(**since) >= sweep.grace)
            .map(|(id, since)| (*since, *id))
            .collect();
        orphans.sort_unstable();
        orphans.into_iter().take(AT_ONCE).map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const GRACE: Duration = Duration::from_secs(300);

    fn instance(n: u128) -> (InstanceId, Box<str>) {
        (Uuid::from_u128(n).into(), n.to_string().into())
    }

    fn sweep<'a>(
        instances: &'a [(InstanceId, Box<str>)],
        pods: &'a HashSet<&'a str>,
        trusted: bool,
        now: Instant,
    ) -> Sweep<'a> {
        Sweep { instances, pods, trusted, grace: GRACE, now }
    }

    #[tokio::test]
    async fn an_orphan_is_one_that_was_seen_twice_five_minutes_apart_with_healthy_caches() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let both = [instance(1), instance(2)];
        let one = HashSet::from(["1"]);
        let none = HashSet::new();
        let mut suspects = Suspects::default();
        assert!(suspects.sweep(&sweep(&both, &one, true, at(0))).is_empty());
        assert!(suspects.sweep(&sweep(&both, &one, true, at(299))).is_empty());
        assert_eq!(suspects.sweep(&sweep(&both, &one, true, at(300))), [both[1].0]);
        // Blindness starts everything again.
        assert!(suspects.sweep(&sweep(&both, &none, false, at(301))).is_empty());
        assert!(suspects.sweep(&sweep(&both, &one, true, at(700))).is_empty());
        // A pod that is seen again clears its instance.
        assert!(suspects.sweep(&sweep(&both, &HashSet::from(["2"]), true, at(800))).is_empty());
        assert!(suspects.sweep(&sweep(&both, &one, true, at(1001))).is_empty());
        assert_eq!(suspects.sweep(&sweep(&both, &one, true, at(1301))), [both[1].0]);
    }

    #[tokio::test]
    async fn few_are_deleted_at_once() {
        let start = Instant::now();
        let many: Vec<_> = (0..200).map(instance).collect();
        let none = HashSet::new();
        let mut suspects = Suspects::default();
        suspects.sweep(&sweep(&many, &none, true, start));
        assert_eq!(suspects.sweep(&sweep(&many, &none, true, start + GRACE)).len(), AT_ONCE);
    }

    #[tokio::test]
    async fn nothing_is_deleted_on_the_first_sight_even_without_grace() {
        let (start, one, none) = (Instant::now(), [instance(1)], HashSet::new());
        let mut suspects = Suspects::default();
        let at = |now| Sweep { grace: Duration::ZERO, ..sweep(&one, &none, true, now) };
        assert!(suspects.sweep(&at(start)).is_empty());
        assert_eq!(suspects.sweep(&at(start + Duration::from_secs(1))), [one[0].0]);
    }
}
