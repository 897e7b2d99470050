//! Which Nodes an instance concerns. Pure.

use std::collections::{BTreeSet, HashMap};

use triton::id::InstanceId;

use super::Name;

/// What the last look at each Node found.
#[derive(Debug, Default)]
pub(super) struct Matches {
    by_node: HashMap<Name, InstanceId>,
    by_instance: HashMap<InstanceId, BTreeSet<Name>>,
    unmatched: BTreeSet<Name>,
}

impl Matches {
    /// A Node is this instance.
    pub(super) fn found(&mut self, name: &Name, id: InstanceId) {
        if self.by_node.get(name) == Some(&id) {
            return;
        }
        self.forget(name);
        self.by_node.insert(Name::clone(name), id);
        self.by_instance.entry(id).or_default().insert(Name::clone(name));
    }

    /// A Node waits for an instance that nobody knows.
    pub(super) fn unmatched(&mut self, name: &Name) {
        self.forget(name);
        self.unmatched.insert(Name::clone(name));
    }

    /// A Node is gone, or is none of ours.
    pub(super) fn forget(&mut self, name: &Name) {
        self.unmatched.remove(name);
        let Some(id) = self.by_node.remove(name) else { return };
        if let Some(names) = self.by_instance.get_mut(&id) {
            names.remove(name);
            if names.is_empty() {
                self.by_instance.remove(&id);
            }
        }
    }

    /// The Nodes to look at when this instance changes: its own, else all that wait for one.
    pub(super) fn concerned(&self, id: InstanceId) -> BTreeSet<Name> {
        self.by_instance.get(&id).unwrap_or(&self.unmatched).clone()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_instance_concerns_its_node_and_a_new_one_those_that_wait() {
        let id = |number| InstanceId::from(Uuid::from_u128(number));
        let name = |text: &str| Name::from(text);
        let concerned = |matches: &Matches, number| {
            let names: Vec<String> = matches.concerned(id(number)).iter().map(ToString::to_string).collect();
            names.join(" ")
        };
        let mut matches = Matches::default();
        matches.found(&name("a"), id(1));
        matches.unmatched(&name("b"));
        assert_eq!([1, 2].map(|it| concerned(&matches, it)), ["a", "b"]);
        matches.found(&name("b"), id(2));
        matches.found(&name("a"), id(3));
        assert_eq!([1, 2, 3].map(|it| concerned(&matches, it)), ["", "b", "a"]);
        matches.forget(&name("b"));
        matches.forget(&name("a"));
        assert!(matches.by_node.is_empty() && matches.by_instance.is_empty() && matches.unmatched.is_empty());
    }
}
