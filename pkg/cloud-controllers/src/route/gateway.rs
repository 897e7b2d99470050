//! Through what the pods of a Node are reached.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use triton::id::NetworkId;
use triton::types::Instance;

use crate::instances::Known;
use crate::node::addresses::INTERNAL;

/// A route that there is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The addresses of a Node's pods.
    pub destination: IpNet,
    /// Through what they are reached.
    pub via: Via,
}

/// Through what pods are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// Through the Node's address on this fabric network.
    Gateway(NetworkId, IpAddr),
    /// Nothing is known of the Node's machine now: whatever route there is stays.
    Unknown,
    /// There can be no such route.
    Nothing(Obstacle),
}

/// Why there can be no route. Prints as what to tell a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The addresses are not those of the cluster's pods.
    OutsideClusterCidr(IpNet),
    /// The Node has no internal address of that family on a fabric network.
    NotOnFabric(IpNet),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideClusterCidr(cidr) => {
                write!(f, "{cidr} is not inside --cluster-cidr; make it what kube-controller-manager has")
            }
            Self::NotOnFabric(cidr) => write!(
                f,
                "no internal address of the node that could be the gateway of {cidr} is on a fabric network of the account"
            ),
        }
    }
}

/// The routes that a Node is to have, one for each of its `podCIDR`s; none for a Node without.
pub fn wishes(node: &Node, known: &Known, cluster: &[IpNet], fabrics: &BTreeSet<NetworkId>) -> Vec<Wish> {
    let via = |destination: IpNet| {
        if !cluster.iter().any(|cluster| cluster.contains(&destination)) {
            return Via::Nothing(Obstacle::OutsideClusterCidr(destination));
        }
        match known {
            Known::Unknown | Known::Gone { .. } => Via::Unknown,
            Known::Present(seen) => match gateway(node, &seen.instance, destination, fabrics) {
                Some((network, ip)) => Via::Gateway(network, ip),
                None => Via::Nothing(Obstacle::NotOnFabric(destination)),
            },
        }
    };
    pod_cidrs(node).into_iter().map(|destination| Wish { destination, via: via(destination) }).collect()
}

/// The addresses of a Node's pods. What cannot be read is nobody's.
fn pod_cidrs(node: &Node) -> BTreeSet<IpNet> {
    let Some(spec) = &node.spec else { return BTreeSet::new() };
    let all = spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr);
    all.filter_map(|text| text.parse::<IpNet>().ok()).map(|cidr| cidr.trunc()).collect()
}

/// The first internal address of a Node that one of its machine's NICs has on a fabric network. One network only: an
/// instance on two networks that both have a route of one destination follows either (Triton reference 8.2).
fn gateway(
    node: &Node,
    instance: &Instance,
    destination: IpNet,
    fabrics: &BTreeSet<NetworkId>,
) -> Option<(NetworkId, IpAddr)> {
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let internal = listed.iter().filter(|address| address.type_ == INTERNAL);
    let mut same_family = internal
        .filter_map(|address| address.address.parse::<IpAddr>().ok())
        .filter(|ip| ip.is_ipv4() == destination.addr().is_ipv4());
    same_family.find_map(|ip| {
        let nic = instance.nics.iter().find(|nic| nic.ip == Some(ip))?;
        let network = nic.network.filter(|network| fabrics.contains(network))?;
        Some((network, ip))
    })
}
