//! Compute nodes, and on which of them a new instance goes (reference 2.15).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use triton::grammar::affinity::AffinityRule;
use triton::id::{AccountId, ComputeNodeId, InstanceId};

use super::World;
use super::affinity::{self, Wanted};
use super::settings::LostNode;

/// A physical server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputeNode {
    /// Its id.
    pub id: ComputeNodeId,
    /// Its name.
    pub hostname: String,
    /// Memory for instances in MiB.
    pub memory_mib: u64,
    /// Disk for instances in MiB.
    pub disk_mib: u64,
    /// Whether its disks are encrypted.
    pub encrypted: bool,
    /// Whether it answers.
    pub up: bool,
    /// When it last began or ceased to answer.
    pub since: Option<Timestamp>,
    /// What its instances use.
    pub(super) used: Used,
}

/// What the instances of a node use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Used {
    memory_mib: u64,
    disk_mib: u64,
    instances: BTreeMap<AccountId, u64>,
}

impl ComputeNode {
    /// A node that answers and has no instances.
    pub fn new(id: ComputeNodeId, hostname: impl Into<String>, memory_mib: u64, disk_mib: u64) -> Self {
        Self {
            id,
            hostname: hostname.into(),
            memory_mib,
            disk_mib,
            encrypted: false,
            up: true,
            since: None,
            used: Used::default(),
        }
    }

    /// Memory that is left, in MiB.
    pub fn free_memory_mib(&self) -> u64 {
        self.memory_mib.saturating_sub(self.used.memory_mib)
    }

    /// Disk that is left, in MiB.
    pub fn free_disk_mib(&self) -> u64 {
        self.disk_mib.saturating_sub(self.used.disk_mib)
    }

    /// How many instances it has, of all accounts.
    pub fn instances(&self) -> u64 {
        self.used.instances.values().sum()
    }

    fn instances_of(&self, owner: AccountId) -> u64 {
        self.used.instances.get(&owner).copied().unwrap_or_default()
    }
}

/// What an instance needs of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) owner: AccountId,
    pub(super) memory_mib: u64,
    pub(super) disk_mib: u64,
}

impl World {
    /// Adds a compute node; one of the same id is replaced.
    pub fn add_compute_node(&mut self, node: ComputeNode) {
        self.nodes.insert(node.id, node);
    }

    /// All compute nodes, by id.
    pub fn compute_nodes(&self) -> impl Iterator<Item = &ComputeNode> {
        self.nodes.values()
    }

    /// A compute node.
    pub fn compute_node(&self, id: ComputeNodeId) -> Option<&ComputeNode> {
        self.nodes.get(&id)
    }

    /// Changes what a node can hold. Instances that it has already stay. Says whether there is such a node.
    pub fn set_compute_node_capacity(&mut self, id: ComputeNodeId, memory_mib: u64, disk_mib: u64) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else {
            return false;
        };
        (node.memory_mib, node.disk_mib) = (memory_mib, disk_mib);
        true
    }

    /// A node is lost, or comes back. Its instances run on meanwhile, or say that they do; their jobs fail. Says
    /// whether there is such a node.
    pub fn set_compute_node_up(&mut self, now: Timestamp, id: ComputeNodeId, up: bool) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else {
            return false;
        };
        if node.up != up {
            (node.up, node.since) = (up, Some(now));
            let unknown = !up && self.settings.lost_node == LostNode::Unknown;
            let on_node = |machine: &&std::sync::Arc<super::Machine>| machine.compute_node == Some(id);
            let ids: Vec<InstanceId> =
                self.machines.rows().filter(on_node).map(|machine| machine.id).collect();
            for id in ids {
                // VMAPI only says so when it is asked: nothing is published (reference 2.12).
                self.edit_silently(id, |machine| machine.node_unknown = unknown);
                self.touched.push(id);
            }
        }
        true
    }

    pub(super) fn node_is_up(&self, id: Option<ComputeNodeId>) -> bool {
        id.and_then(|id| self.nodes.get(&id)).is_some_and(|node| node.up)
    }

    /// The node for an instance: one that is up, has room and satisfies the rules; of those the one with the fewest
    /// instances of the account, then with the most memory left, then the first. `None` when there is none.
    pub(super) fn place(
        &self,
        id: InstanceId,
        demand: Demand,
        encrypted: bool,
        rules: &[AffinityRule],
        near: &Wanted,
    ) -> Option<ComputeNodeId> {
        let mut candidates: BTreeSet<ComputeNodeId> = BTreeSet::new();
        for node in self.nodes.values() {
            let fits = node.free_memory_mib() >= demand.memory_mib && node.free_disk_mib() >= demand.disk_mib;
            if node.up && fits && (!encrypted || node.encrypted) {
                candidates.insert(node.id);
            }
        }
        let others = || self.machines.active_of(demand.owner).filter(|machine| machine.id != id);
        let mut wanted = near.clone();
        wanted.add_rules(rules, || others().map(|machine| &**machine));
        affinity::narrow(&mut candidates, &wanted)?;
        candidates
            .into_iter()
            .filter_map(|id| self.nodes.get(&id))
            .min_by_key(|node| {
                (node.instances_of(demand.owner), std::cmp::Reverse(node.free_memory_mib()), node.id)
            })
            .map(|node| node.id)
    }

    /// An instance takes its share of a node.
    pub(super) fn occupy(&mut self, id: ComputeNodeId, demand: Demand) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.used.memory_mib += demand.memory_mib;
            node.used.disk_mib += demand.disk_mib;
            *node.used.instances.entry(demand.owner).or_default() += 1;
        }
    }

    /// An instance gives its share of a node back.
    pub(super) fn vacate(&mut self, id: ComputeNodeId, demand: Demand) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.used.memory_mib = node.used.memory_mib.saturating_sub(demand.memory_mib);
            node.used.disk_mib = node.used.disk_mib.saturating_sub(demand.disk_mib);
            if let Some(count) = node.used.instances.get_mut(&demand.owner) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    node.used.instances.remove(&demand.owner);
                }
            }
        }
    }
}
