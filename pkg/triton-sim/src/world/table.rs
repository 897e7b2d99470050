//! The rows of all instances, with the indexes that keep requests cheap when there are many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use triton::id::{AccountId, InstanceId};

use super::machine::Machine;
use super::{Change, World};

/// All instances. A row is shared with readers and copied only when it changes while one of them has it.
#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<InstanceId, Arc<Machine>>,
    by_owner: BTreeMap<AccountId, Owned>,
    /// Destroyed and failed instances, the oldest first.
    tombstones: VecDeque<InstanceId>,
    active: usize,
}

/// The instances of one account.
#[derive(Default)]
struct Owned {
    all: BTreeSet<InstanceId>,
    active: BTreeSet<InstanceId>,
    /// Names of active instances.
    names: BTreeMap<String, BTreeSet<InstanceId>>,
}

impl Table {
    /// One instance.
    pub(super) fn get(&self, id: InstanceId) -> Option<&Arc<Machine>> {
        self.rows.get(&id)
    }

    /// All instances of all accounts, by id.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Arc<Machine>> {
        self.rows.values()
    }

    /// The active instances of an account, by id and from the highest.
    pub(super) fn active_of(&self, owner: AccountId) -> impl Iterator<Item = &Arc<Machine>> + use<'_> {
        let ids = self.by_owner.get(&owner).map(|owned| &owned.active);
        ids.into_iter().flatten().rev().filter_map(|id| self.rows.get(id))
    }

    /// All instances of an account, also destroyed and failed ones, by id and from the highest.
    pub(super) fn all_of(&self, owner: AccountId) -> impl Iterator<Item = &Arc<Machine>> + use<'_> {
        let ids = self.by_owner.get(&owner).map(|owned| &owned.all);
        ids.into_iter().flatten().rev().filter_map(|id| self.rows.get(id))
    }

    /// The active instances of an account with exactly this name.
    pub(super) fn named(
        &self,
        owner: AccountId,
        name: &str,
    ) -> impl Iterator<Item = &Arc<Machine>> + use<'_> {
        let ids = self.by_owner.get(&owner).and_then(|owned| owned.names.get(name));
        ids.into_iter().flatten().filter_map(|id| self.rows.get(id))
    }

    /// How many instances are active, of all accounts.
    pub(super) fn active_count(&self) -> usize {
        self.active
    }

    fn link(&mut self, machine: &Machine) {
        let owned = self.by_owner.entry(machine.owner).or_default();
        owned.all.insert(machine.id);
        if machine.is_active() {
            owned.active.insert(machine.id);
            owned.names.entry(machine.name.clone()).or_default().insert(machine.id);
            self.active += 1;
        } else {
            self.tombstones.push_back(machine.id);
        }
    }

    fn unlink(&mut self, owner: AccountId, id: InstanceId, name: &str) {
        let Some(owned) = self.by_owner.get_mut(&owner) else {
            return;
        };
        owned.all.remove(&id);
        if owned.active.remove(&id) {
            self.active -= 1;
        }
        if let Some(ids) = owned.names.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                owned.names.remove(name);
            }
        }
    }

    /// Adds a row.
    pub(super) fn insert(&mut self, machine: Machine) {
        self.link(&machine);
        self.rows.insert(machine.id, Arc::new(machine));
    }

    /// Changes a row and keeps the indexes right.
    fn edit(&mut self, id: InstanceId, change: impl FnOnce(&mut Machine)) -> Option<&Arc<Machine>> {
        let row = self.rows.get_mut(&id)?;
        let (name, active) = (row.name.clone(), row.is_active());
        change(Arc::make_mut(row));
        if row.name != name || row.is_active() != active {
            let row = row.clone();
            self.unlink(row.owner, id, &name);
            self.link(&row);
        }
        self.rows.get(&id)
    }

    /// Forgets the oldest destroyed or failed instances beyond `most`, and says which.
    fn prune(&mut self, most: usize) -> Vec<Arc<Machine>> {
        let excess = self.tombstones.len().saturating_sub(most);
        let ids: Vec<InstanceId> = self.tombstones.drain(..excess).collect();
        let forgotten: Vec<Arc<Machine>> = ids.iter().filter_map(|id| self.rows.remove(id)).collect();
        for machine in &forgotten {
            self.unlink(machine.owner, machine.id, &machine.name);
        }
        forgotten
    }
}

impl World {
    /// Changes an instance, notes the time, and publishes which of VMAPI's properties changed.
    pub(super) fn edit(
        &mut self,
        at: Timestamp,
        id: InstanceId,
        sub_resources: &[&'static str],
        change: impl FnOnce(&mut Machine),
    ) {
        let changed = self.machines.edit(id, |machine| {
            change(machine);
            machine.updated = at;
        });
        let Some(machine) = changed.cloned() else {
            return;
        };
        self.publish(at, machine, sub_resources);
        for machine in self.machines.prune(self.settings.max_tombstones) {
            self.forget_jobs(machine.id);
            self.forget_role_tags(machine.owner, &format!("machines/{}", machine.id));
        }
    }

    /// Changes what only the simulator knows of an instance, which nobody hears of.
    pub(super) fn edit_silently(&mut self, id: InstanceId, change: impl FnOnce(&mut Machine)) {
        self.machines.edit(id, change);
    }

    /// Publishes a change of an instance.
    pub(super) fn publish(&mut self, at: Timestamp, machine: Arc<Machine>, sub_resources: &[&'static str]) {
        let mut sub_resources = sub_resources.to_vec();
        sub_resources.push("last_modified");
        self.outbox.push(Change {
            at,
            instance: machine.id,
            owner: machine.owner,
            sub_resources,
            state: machine.state(),
            machine,
        });
    }
}
