//! Both sides as they are in memory: the Nodes of the cluster, the instances of the account.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Node;
use kube::runtime::reflector::{self, ObjectRef};
use tokio::time::Instant;
use triton::id::InstanceId;
use triton::reflector::{Lookup, Proof, Store};
use triton::types::Instance;

use super::Name;
use super::matches::Matches;
use crate::identity::{Identity, Inventory, identify, is_virtual, provider_id};
use crate::instances::Known;
use crate::networks::Networks;
use crate::node::labels::Place;
use crate::node_lifecycle::{Census, Witness};

/// What both controllers observe.
pub(super) struct Cluster {
    nodes: reflector::Store<Node>,
    instances: Store,
    networks: Networks,
    place: Place,
    matches: Mutex<Matches>,
}

impl Cluster {
    pub(super) fn new(
        nodes: reflector::Store<Node>,
        instances: Store,
        networks: Networks,
        place: Place,
    ) -> Self {
        Self { nodes, instances, networks, place, matches: Mutex::default() }
    }

    pub(super) fn instances(&self) -> &Store {
        &self.instances
    }

    pub(super) fn networks(&self) -> &Networks {
        &self.networks
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// All Nodes.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.state()
    }

    /// The Node of this name.
    pub(super) fn node(&self, name: &str) -> Option<Arc<Node>> {
        self.nodes.get(&ObjectRef::new(name))
    }

    /// The names of all Nodes.
    pub(super) fn names(&self) -> Vec<Name> {
        self.nodes.state().iter().filter_map(|node| node.metadata.name.as_deref().map(Name::from)).collect()
    }

    /// All Nodes that are machines of ours, with what is known of these.
    pub(super) fn machines(&self) -> Vec<(Arc<Node>, InstanceId, Known)> {
        let nodes = self.nodes.state().into_iter();
        nodes.filter_map(|node| self.instance_of(&node).map(|id| (node, id, self.known(id)))).collect()
    }

    /// The Node of this name with its machine; `None` when there is no such Node.
    pub(super) fn observe(&self, name: &Name) -> Option<(Arc<Node>, Identity, Known)> {
        let Some(node) = self.nodes.get(&ObjectRef::new(name)) else {
            self.matches().forget(name);
            return None;
        };
        let identity = identify(&node, &self.place.datacenter, self);
        match &identity {
            Identity::Named(id) | Identity::Found(id, _) => self.matches().found(name, *id),
            Identity::Unmatched(_) => self.matches().unmatched(name),
            Identity::Foreign => self.matches().forget(name),
        }
        let known = identity.instance().map_or(Known::Unknown, |id| self.known(id));
        Some((node, identity, known))
    }

    /// What is known of an instance.
    pub(super) fn known(&self, id: InstanceId) -> Known {
        self.instances.get(id).into()
    }

    /// The Nodes to look at when this instance changes.
    pub(super) fn concerned(&self, id: InstanceId) -> BTreeSet<Name> {
        self.matches().concerned(id)
    }

    /// When the youngest list of instances began in which every row could be read and that showed some.
    pub(super) fn clean_list(&self) -> Option<Instant> {
        self.instances.health().last_telling_list
    }

    /// The machines of the cluster, seen from one of its Nodes.
    pub(super) fn census(&self, without: &str) -> Census {
        let mut census = Census::default();
        for node in self.nodes.state() {
            let Some(id) = self.instance_of(&node) else { continue };
            census.machines += 1;
            match self.known(id) {
                Known::Unknown | Known::Gone { proof: Proof::NotFound, .. } => census.not_found += 1,
                Known::Gone { proof: Proof::Destroyed, .. } => {}
                // They are proved one after the other, within seconds or minutes: those that are not yet count as well,
                // lest the first ones go before it shows that most are concerned.
                Known::Present(seen) if seen.doubted => census.not_found += 1,
                Known::Present(seen) => {
                    let other = node.metadata.name.as_deref() != Some(without);
                    let later = census.witness.is_none_or(|witness| witness.as_of < seen.as_of);
                    if other && later {
                        census.witness = Some(Witness { id, as_of: seen.as_of });
                    }
                }
            }
        }
        census
    }

    /// The instance that the provider ID of a machine's Node names.
    fn instance_of(&self, node: &Node) -> Option<InstanceId> {
        let id = provider_id(node).and_then(Result::ok).filter(|_| !is_virtual(node))?;
        let ours = id.datacenter().is_none_or(|named| named == self.place.datacenter);
        ours.then(|| id.instance())
    }

    fn matches(&self) -> MutexGuard<'_, Matches> {
        // Nothing panics while holding the lock; should it ever, the matches are still usable.
        self.matches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inventory for Cluster {
    fn has(&self, id: InstanceId) -> bool {
        !matches!(self.instances.get(id), Lookup::Unknown)
    }

    fn named(&self, name: &str) -> Vec<Arc<Instance>> {
        self.instances.by_name(name).iter().map(|entry| Arc::clone(entry.observed())).collect()
    }

    fn taken_by(&self, id: InstanceId, node: &str) -> Option<String> {
        let nodes = self.nodes.state();
        let others = nodes.iter().filter(|other| other.metadata.name.as_deref() != Some(node));
        let mut takers = others.filter(|other| self.instance_of(other) == Some(id));
        takers.next().and_then(|other| other.metadata.name.clone())
    }
}
