//! Which machine a Node is. Pure.
//!
//! A provider ID decides, and is for ever. A Node without one that waits to be initialised is the instance of its
//! system UUID, which KVM and bhyve machines are given, else the one instance of its name, if one of the Node's
//! addresses is one of that instance's. Two candidates are none. Everything else is somebody else's Node.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use provider::names::label;
use provider::owner::Owner;
use provider::provider_id::{InvalidProviderId, ProviderId};
use triton::id::InstanceId;
use triton::types::Instance;
use uuid::Uuid;

use crate::names::{HOSTNAME, PROVIDED_NODE_IP, TAINT_UNINITIALIZED};

/// Which machine a Node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The instance that its provider ID names.
    Named(InstanceId),
    /// It waits to be initialised, and is this instance.
    Found(InstanceId, Evidence),
    /// It waits to be initialised, and no instance can be told to be it.
    Unmatched(Mismatch),
    /// Not ours: a virtual node, a machine of another provider or data centre, or one that nobody asked us to
    /// initialise.
    Foreign,
}

impl Identity {
    /// The instance, if there is one.
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Named(id) | Self::Found(id, _) => Some(*id),
            Self::Unmatched(_) | Self::Foreign => None,
        }
    }
}

/// What says which instance a Node without a provider ID is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// `status.nodeInfo.systemUUID`.
    SystemUuid,
    /// The name, and an address.
    Name,
}

/// Why a Node that waits to be initialised is no instance. Prints as what to tell a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Nothing fits.
    Nothing {
        /// The Node's system UUID, where it is a UUID.
        system_uuid: Option<InstanceId>,
    },
    /// One instance has the Node's name, but none of its addresses.
    OtherAddresses(InstanceId),
    /// Several instances have the Node's name and one of its addresses.
    Several(BTreeSet<InstanceId>),
    /// Another Node already stands for the instance.
    Taken {
        /// The instance.
        id: InstanceId,
        /// The other Node.
        by: String,
    },
    /// The provider ID begins like ours but names no instance.
    Malformed(InvalidProviderId),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { system_uuid: Some(uuid) } => {
                write!(
                    f,
                    "no instance has the system UUID {uuid} or the node's name; check that the node is an instance of \
                     this account and data centre, or start its kubelet with --provider-id"
                )
            }
            Self::Nothing { system_uuid: None } => f.write_str(
                "no instance has the node's name, and its system UUID is no UUID; name the node like its instance, or \
                 start its kubelet with --provider-id",
            ),
            Self::OtherAddresses(id) => {
                write!(
                    f,
                    "instance {id} has the node's name but none of its addresses; start the kubelet with --provider-id \
                     if it is the one, else rename the node"
                )
            }
            Self::Several(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "several instances have the node's name and address: {}; start the kubelet with --provider-id",
                    ids.join(", ")
                )
            }
            Self::Taken { id, by } => {
                write!(
                    f,
                    "instance {id} already stands behind node {by}; delete that node if its machine is this one"
                )
            }
            Self::Malformed(error) => write!(f, "spec.providerID cannot be used: {error}"),
        }
    }
}

/// Where candidates are looked for.
pub trait Inventory {
    /// Whether this instance exists, or is proved gone: whether it is, or was, one of the account's.
    fn has(&self, id: InstanceId) -> bool;
    /// The instances of exactly this name.
    fn named(&self, name: &str) -> Vec<Arc<Instance>>;
    /// Another Node than `node` whose provider ID names this instance.
    fn taken_by(&self, id: InstanceId, node: &str) -> Option<String>;
}

/// Which machine of this data centre a Node is.
pub fn identify(node: &Node, datacenter: &str, inventory: &impl Inventory) -> Identity {
    if is_virtual(node) {
        return Identity::Foreign;
    }
    match provider_id(node) {
        Some(Ok(id)) if id.datacenter().is_some_and(|named| named != datacenter) => Identity::Foreign,
        Some(Ok(id)) => Identity::Named(id.instance()),
        Some(Err(InvalidProviderId::Foreign(_))) => Identity::Foreign,
        Some(Err(malformed)) => Identity::Unmatched(Mismatch::Malformed(malformed)),
        None if !is_uninitialized(node) => Identity::Foreign,
        None => find(node, inventory),
    }
}

fn find(node: &Node, inventory: &impl Inventory) -> Identity {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let system_uuid = system_uuid(node);
    let found = match system_uuid.filter(|id| inventory.has(*id)) {
        Some(id) => Ok((id, Evidence::SystemUuid)),
        None => find_by_name(node, name, system_uuid, inventory).map(|id| (id, Evidence::Name)),
    };
    match found {
        Err(mismatch) => Identity::Unmatched(mismatch),
        Ok((id, evidence)) => match inventory.taken_by(id, name) {
            Some(by) => Identity::Unmatched(Mismatch::Taken { id, by }),
            None => Identity::Found(id, evidence),
        },
    }
}

fn find_by_name(
    node: &Node,
    name: &str,
    system_uuid: Option<InstanceId>,
    inventory: &impl Inventory,
) -> Result<InstanceId, Mismatch> {
    let hostname = node.metadata.labels.as_ref().and_then(|labels| labels.get(HOSTNAME));
    let names: BTreeSet<&str> = [Some(name), hostname.map(String::as_str)].into_iter().flatten().collect();
    let ours = addresses(node);
    // An instance behind a pod is no machine of the cluster, whatever its name.
    let candidates = names.iter().flat_map(|name| inventory.named(name)).filter(|it| Owner::of(it).is_none());
    let (mut agreeing, mut others) = (BTreeSet::new(), BTreeSet::new());
    for instance in candidates.filter(|instance| instance.state.is_active()) {
        let agrees = instance.ips.iter().chain(&instance.primary_ip).any(|ip| ours.contains(ip));
        if agrees {
            agreeing.insert(instance.id)
        } else {
            others.insert(instance.id)
        };
    }
    match (agreeing.first(), others.first()) {
        (Some(id), _) if agreeing.len() == 1 => Ok(*id),
        (Some(_), _) => Err(Mismatch::Several(agreeing)),
        (None, Some(id)) if others.len() == 1 => Err(Mismatch::OtherAddresses(*id)),
        (None, _) => Err(Mismatch::Nothing { system_uuid }),
    }
}

/// Whether a Node's pods are instances: then it is no machine.
pub fn is_virtual(node: &Node) -> bool {
    let (key, value) = label::VIRTUAL;
    node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|it| it == value)
}

/// Whether a Node waits to be initialised.
pub fn is_uninitialized(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().any(|taint| taint.key == TAINT_UNINITIALIZED)
}

/// The provider ID of a Node; `None` without one.
pub fn provider_id(node: &Node) -> Option<Result<ProviderId, InvalidProviderId>> {
    let text = node.spec.as_ref()?.provider_id.as_deref().filter(|text| !text.is_empty())?;
    Some(text.parse())
}

/// The system UUID of a Node, where it is one. All zeros and all ones are what firmware without a UUID says.
pub fn system_uuid(node: &Node) -> Option<InstanceId> {
    let text = &node.status.as_ref()?.node_info.as_ref()?.system_uuid;
    let uuid = Uuid::try_parse(text).ok().filter(|uuid| !uuid.is_nil() && !uuid.is_max())?;
    Some(uuid.into())
}

/// The addresses that a Node says it has, those of `--node-ip` included.
fn addresses(node: &Node) -> BTreeSet<IpAddr> {
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let provided = node.metadata.annotations.as_ref().and_then(|all| all.get(PROVIDED_NODE_IP));
    let provided = provided.into_iter().flat_map(|text| text.split(','));
    let texts = listed.iter().map(|address| address.address.as_str()).chain(provided);
    texts.filter_map(|text| text.trim().parse().ok()).collect()
}
