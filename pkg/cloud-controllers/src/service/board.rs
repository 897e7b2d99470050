//! Who is in what: what was decided for each Service, and what the instances carry. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use provider::cns::{ServiceKey, foreign_names, own_names};
use triton::grammar::cns::CnsService;
use triton::id::InstanceId;
use triton::types::Instance;

/// The entries of nodes' instances for one Service.
pub type Members = BTreeMap<InstanceId, Vec<CnsService>>;

/// What was decided for all Services.
#[derive(Debug, Default)]
pub struct Board {
    services: BTreeMap<ServiceKey, Members>,
    by_instance: HashMap<InstanceId, BTreeSet<ServiceKey>>,
}

impl Board {
    /// Notes what was decided for a Service; gives the instances for which that changes something.
    pub fn decide(&mut self, key: &ServiceKey, members: Members) -> BTreeSet<InstanceId> {
        let before = self.services.get(key);
        let entries = |members: Option<&Members>, id| members.and_then(|all| all.get(&id)).cloned();
        let ids = before.into_iter().flat_map(Members::keys).chain(members.keys()).copied();
        let changed: BTreeSet<InstanceId> =
            ids.filter(|id| entries(before, *id).as_ref() != members.get(id)).collect();
        for id in &changed {
            if members.contains_key(id) {
                self.by_instance.entry(*id).or_default().insert(key.clone());
            } else if let Some(keys) = self.by_instance.get_mut(id) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_instance.remove(id);
                }
            }
        }
        self.services.insert(key.clone(), members);
        changed
    }

    /// Forgets a Service that is gone; gives the instances that were in it.
    pub fn forget(&mut self, key: &ServiceKey) -> BTreeSet<InstanceId> {
        let changed = self.decide(key, Members::new());
        self.services.remove(key);
        changed
    }

    /// Whether something was decided for a Service.
    pub fn is_decided(&self, key: &ServiceKey) -> bool {
        self.services.contains_key(key)
    }

    /// The Services for which something was decided.
    pub fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.services.keys()
    }

    /// The Services that an instance is in.
    pub fn services_of(&self, id: InstanceId) -> impl Iterator<Item = &ServiceKey> {
        self.by_instance.get(&id).into_iter().flatten()
    }

    /// The entries that an instance should have, in the order of its Services' names.
    pub fn entries_of(&self, id: InstanceId) -> Vec<CnsService> {
        let members = self.services_of(id).filter_map(|key| self.services.get(key)?.get(&id));
        members.flatten().cloned().collect()
    }
}

/// Which instances carry which names of CNS services, by this cluster and by others.
#[derive(Debug, Default)]
pub struct Carried {
    names: HashMap<InstanceId, Names>,
    own: HashMap<String, BTreeSet<InstanceId>>,
    foreign: HashMap<String, BTreeSet<InstanceId>>,
}

/// The names on one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    own: BTreeSet<String>,
    foreign: BTreeSet<String>,
}

/// What a change to an instance changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The names of ours that came or went.
    pub own: BTreeSet<String>,
    /// Whether names of others came or went.
    pub foreign: bool,
}

impl Carried {
    /// Notes what an instance carries: what CloudAPI shows, and what it will show when our writes are carried out.
    pub fn see(&mut self, observed: &Instance, expected: &Instance, cluster: &str) -> Change {
        let mut own = own_names(&observed.tags, cluster);
        own.append(&mut own_names(&expected.tags, cluster));
        let foreign = foreign_names(&observed.tags, cluster);
        self.put(observed.id, Names { own, foreign })
    }

    /// An instance is gone.
    pub fn forget(&mut self, id: InstanceId) -> Change {
        self.put(id, Names::default())
    }

    /// The instances that carry this name by us.
    pub fn own(&self, name: &str) -> impl Iterator<Item = InstanceId> {
        self.own.get(name).into_iter().flatten().copied()
    }

    /// The names of ours that an instance carries.
    pub fn names_of(&self, id: InstanceId) -> impl Iterator<Item = &str> {
        self.names.get(&id).into_iter().flat_map(|names| names.own.iter().map(String::as_str))
    }

    /// Whether a name is others': they carry it, and no instance does by us. Somebody who takes a name of ours must not
    /// end a Service.
    pub fn is_foreign(&self, name: &str) -> bool {
        self.foreign.contains_key(name) && !self.own.contains_key(name)
    }

    /// The instances that carry this name not by us.
    pub fn foreign(&self, name: &str) -> impl Iterator<Item = InstanceId> {
        self.foreign.get(name).into_iter().flatten().copied()
    }

    fn put(&mut self, id: InstanceId, names: Names) -> Change {
        let before = self.names.remove(&id).unwrap_or_default();
        let own: BTreeSet<String> = before.own.symmetric_difference(&names.own).cloned().collect();
        let foreign = before.foreign != names.foreign;
        update(&mut self.own, id, &before.own, &names.own);
        update(&mut self.foreign, id, &before.foreign, &names.foreign);
        if names != Names::default() {
            self.names.insert(id, names);
        }
        Change { own, foreign }
    }
}

fn update(
    index: &mut HashMap<String, BTreeSet<InstanceId>>,
    id: InstanceId,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) {
    for name in before.difference(after) {
        if let Some(ids) = index.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                index.remove(name);
            }
        }
    }
    for name in after.difference(before) {
        index.entry(name.clone()).or_default().insert(id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> InstanceId {
        Uuid::from_u128(number).into()
    }

    fn key(name: &str) -> ServiceKey {
        ServiceKey { namespace: "default".into(), name: name.into() }
    }

    fn members(list: &[(u128, &str)]) -> Members {
        list.iter().map(|(number, name)| (id(*number), vec![CnsService::new(name).unwrap()])).collect()
    }

    fn texts(board: &Board, number: u128) -> String {
        let entries = board.entries_of(id(number));
        entries.iter().map(CnsService::text).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn the_board_tells_what_each_instance_should_have_and_for_whom_that_changed() {
        let mut board = Board::default();
        assert_eq!(board.decide(&key("b"), members(&[(1, "b"), (2, "b")])), [id(1), id(2)].into());
        assert_eq!(board.decide(&key("a"), members(&[(1, "a")])), [id(1)].into());
        assert_eq!([1, 2, 3].map(|number| texts(&board, number)), ["a,b", "b", ""]);
        assert_eq!(board.decide(&key("a"), members(&[(1, "a")])), [].into(), "nothing changed");
        assert_eq!(board.decide(&key("b"), members(&[(1, "x"), (3, "b")])), [id(1), id(2), id(3)].into());
        assert_eq!([1, 2, 3].map(|number| texts(&board, number)), ["a,x", "", "b"]);
        assert!(board.is_decided(&key("a")) && !board.is_decided(&key("c")));
        assert_eq!(board.forget(&key("b")), [id(1), id(3)].into());
        assert_eq!(board.forget(&key("a")), [id(1)].into());
        assert!(board.services.is_empty() && board.by_instance.is_empty());
    }

    fn instance(number: u128, services: &str, own: &str) -> Instance {
        serde_json::from_value(json!({
            "id": id(number), "name": "x", "state": "running",
            "tags": {"triton.cns.services": services, "k8s.cns": own, "k8s.cluster": "c"},
        }))
        .unwrap()
    }

    #[test]
    fn names_are_ours_or_others() {
        let mut carried = Carried::default();
        let see = |carried: &mut Carried, instance: Instance| carried.see(&instance, &instance, "c");
        let change = see(&mut carried, instance(1, "web:80,other", "web:80"));
        assert_eq!(change, Change { own: ["web".to_owned()].into(), foreign: true });
        assert!(!carried.is_foreign("web") && carried.is_foreign("other"));
        let change = see(&mut carried, instance(2, "web:80", ""));
        assert_eq!(change, Change { own: [].into(), foreign: true });
        assert!(!carried.is_foreign("web"), "it is ours on another instance");
        assert_eq!(carried.own("web").collect::<Vec<_>>(), [id(1)]);
        assert_eq!(carried.names_of(id(1)).collect::<Vec<_>>(), ["web"]);
        assert_eq!(carried.forget(id(1)), Change { own: ["web".to_owned()].into(), foreign: true });
        assert!(carried.is_foreign("web"), "it is free of us");
        assert_eq!(carried.forget(id(2)), Change { own: [].into(), foreign: true });
        assert_eq!(carried.forget(id(2)), Change::default());
        assert!(carried.names.is_empty() && carried.own.is_empty() && carried.foreign.is_empty());
    }

    #[test]
    fn what_was_written_counts_before_it_is_seen_and_what_is_seen_until_it_is_gone() {
        let mut carried = Carried::default();
        let (before, after) = (instance(1, "web", "web"), instance(1, "api", "api"));
        carried.see(&before, &after, "c");
        assert_eq!(carried.names_of(id(1)).collect::<Vec<_>>(), ["api", "web"]);
        let change = carried.see(&after, &after, "c");
        assert_eq!(change.own, ["web".to_owned()].into());
    }
}
