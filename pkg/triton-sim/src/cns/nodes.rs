//! Which compute nodes CNS takes for down (reference 3.4).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use triton::id::ComputeNodeId;

/// How long after its last heartbeat a compute node is taken for running. The comment in the real CNS says a
/// minute, its constant says an hour (reference 3.4).
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// The compute nodes that do not answer, and since when.
///
/// The other rule of the real CNS is not here: a node that booted less than two minutes ago is down, too.
/// What CNS sees of the data centre does not say when nodes boot.
#[derive(Debug, Default)]
pub(super) struct SilentNodes {
    nodes: BTreeMap<ComputeNodeId, Silence>,
}

#[derive(Debug)]
struct Silence {
    since: Timestamp,
    is_down: bool,
}

impl SilentNodes {
    /// Notes whether a node answers. True when it was taken for down until now and its instances must be
    /// looked at anew.
    pub(super) fn see(&mut self, node: ComputeNodeId, answers: bool, now: Timestamp) -> bool {
        if answers {
            return self.nodes.remove(&node).is_some_and(|silence| silence.is_down);
        }
        self.nodes.entry(node).or_insert(Silence { since: now, is_down: false });
        false
    }

    /// Whether CNS takes a node for down.
    pub(super) fn is_down(&self, node: ComputeNodeId) -> bool {
        self.nodes.get(&node).is_some_and(|silence| silence.is_down)
    }

    /// Takes the nodes for down that have been silent for more than an hour. True when there are new ones
    /// and their instances must be looked at anew.
    pub(super) fn check(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        for silence in self.nodes.values_mut().filter(|silence| !silence.is_down) {
            silence.is_down = now.duration_since(silence.since) > PATIENCE;
            any |= silence.is_down;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_is_down_after_an_hour_and_up_with_its_first_heartbeat() {
        let node: ComputeNodeId = "44454c4c-5300-1057-8050-b7c04f533532".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        let mut nodes = SilentNodes::default();
        assert!(!nodes.see(node, false, at(0)));
        assert!(!nodes.see(node, false, at(1800)), "a second look does not restart the hour");
        assert!(!nodes.check(at(3600)) && !nodes.is_down(node), "a heartbeat of exactly an hour ago will do");
        assert!(nodes.check(at(3601)) && nodes.is_down(node));
        assert!(!nodes.check(at(3602)), "it is told once");
        assert!(nodes.see(node, true, at(3603)) && !nodes.is_down(node));
        assert!(!nodes.see(node, false, at(3604)) && !nodes.check(at(3605)), "a new hour begins");
    }
}
