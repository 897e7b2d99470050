//! What the routes of one fabric network become.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use triton::types::{Network, Routes};

use super::gateway::{Via, Wish};

/// Whose addresses are whose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Those of the cluster's machines.
    pub nodes: BTreeSet<IpAddr>,
    /// Those of the account's other instances.
    pub others: BTreeSet<IpAddr>,
}

/// What a network's routes become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// All routes of the network, where they change.
    pub routes: Option<Routes>,
    /// The destinations that are added or given another gateway.
    pub set: BTreeSet<IpNet>,
    /// The destinations that are removed.
    pub removed: BTreeSet<IpNet>,
}

/// Decides what the routes of one fabric network become.
///
/// A route is the cluster's when its destination is the `podCIDR` of a Node, or when it is inside the cluster's
/// addresses and was one: its gateway is a Node or nobody at all, or it is exactly as large as the Nodes' own. What a
/// deleted Node leaves behind is found by that, and what somebody else's instance is the gateway of is left alone, as
/// is everything outside, larger, or unreadable. Of two wishes for one destination the first counts. While no Node has a `podCIDR`, nothing is removed: then it is not
/// known how large they are, and it is more likely that something is wrong than that they all went.
pub fn plan(network: &Network, wishes: &[Wish], cluster: &[IpNet], addresses: &Addresses) -> Change {
    let mut wished: BTreeMap<IpNet, &Via> = BTreeMap::new();
    for wish in wishes {
        wished.entry(wish.destination).or_insert(&wish.via);
    }
    let sizes: BTreeSet<(bool, u8)> = wished.keys().map(size).collect();
    let mut change = Change::default();
    let mut routes = Routes::new();
    let mut there = BTreeSet::new();
    for (text, gateway) in &network.routes {
        let keep = |routes: &mut Routes| drop(routes.insert(text.clone(), gateway.clone()));
        let Some(destination) = destination(text) else {
            keep(&mut routes);
            continue;
        };
        let present: Option<IpAddr> = gateway.parse().ok();
        match wished.get(&destination) {
            // The same destination written in two ways: one of them is enough.
            Some(Via::Gateway(id, _)) if *id == network.id && there.contains(&destination) => {
                change.removed.insert(destination);
            }
            Some(Via::Gateway(id, wanted)) if *id == network.id => {
                there.insert(destination);
                if present == Some(*wanted) {
                    keep(&mut routes);
                } else {
                    change.set.insert(destination);
                    routes.insert(text.clone(), wanted.to_string().into());
                }
            }
            Some(Via::Unknown) => keep(&mut routes),
            // The Node has moved to another network, or can have no route any more.
            Some(_) if present.is_some_and(|ip| !addresses.others.contains(&ip)) => {
                change.removed.insert(destination);
            }
            None if is_left_behind(destination, present, network, cluster, &sizes, addresses) => {
                change.removed.insert(destination);
            }
            Some(_) | None => keep(&mut routes),
        }
    }
    for (destination, via) in wished {
        if let Via::Gateway(id, wanted) = via
            && *id == network.id
            && !there.contains(&destination)
        {
            change.set.insert(destination);
            routes.insert(destination.to_string(), wanted.to_string().into());
        }
    }
    change.routes = (routes != network.routes).then_some(routes);
    change
}

/// Whether a route that no Node wishes for was a Node's once.
fn is_left_behind(
    destination: IpNet,
    gateway: Option<IpAddr>,
    network: &Network,
    cluster: &[IpNet],
    sizes: &BTreeSet<(bool, u8)>,
    addresses: &Addresses,
) -> bool {
    let inside = cluster.iter().any(|cluster| cluster.contains(&destination) && *cluster != destination);
    let on_network = |ip: &IpAddr| network.subnet.is_some_and(|subnet| subnet.contains(ip));
    let (Some(gateway), true, false) = (gateway.filter(on_network), inside, sizes.is_empty()) else {
        return false;
    };
    addresses.nodes.contains(&gateway)
        || !addresses.others.contains(&gateway) && Some(gateway) != network.gateway
        || sizes.contains(&size(&destination))
}

/// The destination of a route: an address alone is a network of one.
fn destination(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.ok().map(|net| net.trunc())
}

fn size(cidr: &IpNet) -> (bool, u8) {
    (cidr.addr().is_ipv4(), cidr.prefix_len())
}
