//! The addresses of a Node. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, NodeAddress};
use triton::id::NetworkId;
use triton::types::Instance;

use crate::names::PROVIDED_NODE_IP;
use crate::networks::Reaches;

/// Reached from inside; what other Nodes use.
pub const INTERNAL: &str = "InternalIP";
/// Reached from everywhere.
pub const EXTERNAL: &str = "ExternalIP";
/// The host's own name, which the kubelet says.
const HOSTNAME: &str = "Hostname";

/// The addresses that a Node should have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Addresses {
    /// All of them, in order: the kubelet's choice first, then those of the primary NIC. None: the cloud says none,
    /// and what the Node has stays.
    pub list: Vec<NodeAddress>,
    /// What the kubelet was told to use, but its machine does not have.
    pub mismatch: Option<Mismatch>,
}

/// Addresses of `--node-ip` that the machine does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What the annotation says and the machine does not have.
    pub provided: Vec<String>,
    /// What the machine has.
    pub seen: Vec<IpAddr>,
}

/// The addresses that a Node should have, from its instance's NICs.
///
/// # Errors
///
/// The networks that must be known first.
pub fn addresses(node: &Node, instance: &Instance, networks: &Reaches) -> Result<Addresses, Vec<NetworkId>> {
    let mut of_cloud = of_nics(instance, networks)?;
    if of_cloud.is_empty() {
        return Ok(Addresses::default());
    }
    if instance.nics.iter().any(|nic| nic.ip.is_none()) {
        // Not everything is said: what was true so far is not taken back.
        let kept = listed(node);
        of_cloud.extend(kept.into_iter().filter(|item| !of_cloud.contains(item)).collect::<Vec<_>>());
    }
    let provided = provided(node);
    let wanted: Vec<IpAddr> = provided.iter().filter_map(|text| text.parse().ok()).collect();
    let mut seen: Vec<IpAddr> = Vec::new();
    for (_, ip) in &of_cloud {
        if !seen.contains(ip) {
            seen.push(*ip);
        }
    }
    let missing = provided.iter().filter(|text| text.parse().map_or(true, |ip: IpAddr| !seen.contains(&ip)));
    let missing: Vec<String> = missing.cloned().collect();
    let mut list: Vec<NodeAddress> =
        filtered(&of_cloud, &wanted).iter().map(|(kind, ip)| address(kind, ip.to_string())).collect();
    list.push(address(HOSTNAME, hostname(node)));
    let mismatch = (!missing.is_empty()).then_some(Mismatch { provided: missing, seen });
    Ok(Addresses { list, mismatch })
}

/// Type and address of each NIC, the primary one first. A machine without a private address is reached from inside by
/// its public ones.
fn of_nics(instance: &Instance, networks: &Reaches) -> Result<Vec<(&'static str, IpAddr)>, Vec<NetworkId>> {
    let primary = instance.primary_nic().map(|nic| nic.mac);
    let mut nics: Vec<_> = instance.nics.iter().filter_map(|nic| Some((nic, nic.ip?))).collect();
    nics.sort_by_key(|(nic, _)| Some(nic.mac) != primary);
    let unknown: BTreeSet<NetworkId> =
        nics.iter().filter_map(|(nic, _)| nic.network).filter(|id| !networks.contains_key(id)).collect();
    if !unknown.is_empty() {
        return Err(unknown.into_iter().collect());
    }
    let reach = |id| networks.get(&id).copied();
    let reached = nics.into_iter().map(|(nic, ip)| {
        let reach = nic.network.and_then(reach).unwrap_or(crate::networks::Reach::Hidden);
        (reach.is_public(ip), ip)
    });
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for (public, ip) in reached {
        if public { &mut outside } else { &mut inside }.push(ip);
    }
    if inside.is_empty() {
        inside.clone_from(&outside);
    }
    let inside = inside.into_iter().map(|ip| (INTERNAL, ip));
    Ok(inside.chain(outside.into_iter().map(|ip| (EXTERNAL, ip))).collect())
}

/// What the kubelet's choice leaves, as the framework has it (Kubernetes reference 2.3): what was chosen comes first,
/// and of each type that has something chosen, only that stays.
fn filtered(all: &[(&'static str, IpAddr)], chosen: &[IpAddr]) -> Vec<(&'static str, IpAddr)> {
    let first: Vec<_> =
        chosen.iter().flat_map(|ip| all.iter().filter(move |(_, its)| its == ip)).copied().collect();
    let decided: BTreeSet<&str> = first.iter().map(|(kind, _)| *kind).collect();
    let others = all.iter().filter(|(kind, _)| !decided.contains(kind)).copied();
    let mut list: Vec<(&'static str, IpAddr)> = Vec::new();
    for item in first.iter().copied().chain(others) {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}

/// The addresses that the Node has now.
fn listed(node: &Node) -> Vec<(&'static str, IpAddr)> {
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let known = listed.iter().filter_map(|item| {
        let kind = [INTERNAL, EXTERNAL].into_iter().find(|kind| *kind == item.type_)?;
        Some((kind, item.address.parse().ok()?))
    });
    known.collect()
}

/// The parts of the annotation that are not empty.
fn provided(node: &Node) -> Vec<String> {
    let annotation = node.metadata.annotations.as_ref().and_then(|all| all.get(PROVIDED_NODE_IP));
    let parts = annotation.into_iter().flat_map(|text| text.split(','));
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What the kubelet said, else the Node's name.
fn hostname(node: &Node) -> String {
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let said = listed.iter().find(|address| address.type_ == HOSTNAME).map(|address| address.address.clone());
    said.or_else(|| node.metadata.name.clone()).unwrap_or_default()
}

fn address(kind: &str, address: String) -> NodeAddress {
    NodeAddress { type_: kind.to_owned(), address }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::networks::Reach;

    const PUBLIC: &str = "00000000-0000-4000-8000-000000000001";
    const FABRIC: &str = "00000000-0000-4000-8000-000000000002";
    const OTHER: &str = "00000000-0000-4000-8000-000000000003";
    const HIDDEN: &str = "00000000-0000-4000-8000-000000000004";

    fn networks() -> Reaches {
        let all = [
            (PUBLIC, Reach::Public),
            (FABRIC, Reach::Private),
            (OTHER, Reach::Private),
            (HIDDEN, Reach::Hidden),
        ];
        all.map(|(id, reach)| (id.parse().unwrap(), reach)).into()
    }

    /// An instance with these NICs, the last of which is the primary one.
    fn instance(nics: &[(&str, &str)]) -> Instance {
        let nic = |(number, (network, ip)): (usize, &(&str, &str))| {
            let mac = format!("90:b8:d0:00:00:{number:02x}");
            json!({"mac": mac, "network": network, "ip": ip, "primary": number + 1 == nics.len()})
        };
        let nics: Vec<_> = nics.iter().enumerate().map(nic).collect();
        serde_json::from_value(json!({"id": PUBLIC, "nics": nics})).unwrap()
    }

    fn node(provided: Option<&str>) -> Node {
        let mut node = json!({
            "metadata": {"name": "n1"}, "status": {"addresses": [{"type": "Hostname", "address": "h1"}]},
        });
        if let Some(provided) = provided {
            node["metadata"]["annotations"] = json!({PROVIDED_NODE_IP: provided});
        }
        serde_json::from_value(node).unwrap()
    }

    /// The list as text, without the host's name, which must come last.
    fn listed(provided: Option<&str>, nics: &[(&str, &str)]) -> (String, Option<Mismatch>) {
        let found = addresses(&node(provided), &instance(nics), &networks()).unwrap();
        let mut list: Vec<String> =
            found.list.iter().map(|it| format!("{}={}", it.type_, it.address)).collect();
        assert_eq!(list.pop().as_deref(), Some("Hostname=h1"));
        (list.join(" ").replace("InternalIP", "in").replace("ExternalIP", "out"), found.mismatch)
    }

    #[rstest]
    #[case::both(&[(PUBLIC, "203.0.113.5"), (FABRIC, "10.0.0.5")], "in=10.0.0.5 out=203.0.113.5")]
    #[case::primary_first(&[(FABRIC, "10.0.0.5"), (OTHER, "10.9.0.5")], "in=10.9.0.5 in=10.0.0.5")]
    #[case::only_private(&[(FABRIC, "10.0.0.5")], "in=10.0.0.5")]
    #[case::only_public(&[(PUBLIC, "203.0.113.5")], "in=203.0.113.5 out=203.0.113.5")]
    #[case::both_families(
        &[(FABRIC, "fd00::5"), (PUBLIC, "2001:db8::5"), (FABRIC, "10.0.0.5")],
        "in=10.0.0.5 in=fd00::5 out=2001:db8::5"
    )]
    #[case::a_public_network_with_private_addresses(
        &[(PUBLIC, "10.88.0.5"), (FABRIC, "10.0.0.5")], "in=10.0.0.5 out=10.88.0.5"
    )]
    #[case::a_hidden_network(&[(HIDDEN, "198.51.100.5"), (HIDDEN, "10.0.0.5")], "in=10.0.0.5 out=198.51.100.5")]
    fn networks_say_what_kind_an_address_is(#[case] nics: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(listed(None, nics), (expected.to_owned(), None));
    }

    #[rstest]
    #[case::first("10.9.0.5", "in=10.9.0.5 out=203.0.113.5")]
    #[case::the_other("10.0.0.5", "in=10.0.0.5 out=203.0.113.5")]
    #[case::public("203.0.113.5", "out=203.0.113.5 in=10.9.0.5 in=fd00::5 in=10.0.0.5")]
    #[case::two_families("fd00::5,10.0.0.5", "in=fd00::5 in=10.0.0.5 out=203.0.113.5")]
    #[case::another_spelling("FD00:0::5", "in=fd00::5 out=203.0.113.5")]
    fn a_provided_address_leads_and_pushes_out_its_type(#[case] provided: &str, #[case] expected: &str) {
        let nics = [(FABRIC, "fd00::5"), (PUBLIC, "203.0.113.5"), (FABRIC, "10.0.0.5"), (OTHER, "10.9.0.5")];
        let (list, mismatch) = listed(Some(provided), &nics);
        assert_eq!((list.as_str(), mismatch), (expected, None));
    }

    #[rstest]
    #[case::none_fits("10.7.7.7", "in=10.0.0.5 out=203.0.113.5", &["10.7.7.7"])]
    #[case::one_fits("10.0.0.5,fd00::9", "in=10.0.0.5 out=203.0.113.5", &["fd00::9"])]
    #[case::no_address("eth0", "in=10.0.0.5 out=203.0.113.5", &["eth0"])]
    fn a_provided_address_that_does_not_fit_is_told_and_blocks_nothing(
        #[case] provided: &str,
        #[case] expected: &str,
        #[case] missing: &[&str],
    ) {
        let (list, mismatch) = listed(Some(provided), &[(PUBLIC, "203.0.113.5"), (FABRIC, "10.0.0.5")]);
        assert_eq!(list, expected);
        let mismatch = mismatch.unwrap();
        assert_eq!(mismatch.provided, missing);
        assert_eq!(mismatch.seen.len(), 2);
    }

    #[test]
    fn a_machine_without_addresses_says_none() {
        let none = addresses(&node(Some("10.0.0.5")), &instance(&[]), &networks()).unwrap();
        assert_eq!(none, Addresses::default());
        let unnamed: Instance = serde_json::from_value(json!({
            "id": PUBLIC, "nics": [{"mac": "90:b8:d0:00:00:01", "ip": null, "network": FABRIC}],
        }))
        .unwrap();
        assert_eq!(addresses(&node(None), &unnamed, &networks()).unwrap(), Addresses::default());
    }

    #[test]
    fn a_nic_that_has_no_address_yet_takes_nothing_back() {
        let mut node = node(None);
        let status = json!({"addresses": [
            {"type": "ExternalIP", "address": "203.0.113.5"}, {"type": "InternalIP", "address": "10.0.0.5"},
            {"type": "Hostname", "address": "h1"},
        ]});
        node.status = serde_json::from_value(status).unwrap();
        let instance = json!({"id": PUBLIC, "nics": [
            {"mac": "90:b8:d0:00:00:01", "ip": "10.0.0.5", "network": FABRIC},
            {"mac": "90:b8:d0:00:00:02", "ip": null, "network": PUBLIC},
        ]});
        let found = addresses(&node, &serde_json::from_value(instance).unwrap(), &networks()).unwrap();
        let list: Vec<_> = found.list.iter().map(|it| it.address.as_str()).collect();
        assert_eq!(list, ["10.0.0.5", "203.0.113.5", "h1"]);
    }

    #[test]
    fn nothing_is_said_before_the_networks_are_known() {
        let unknown = addresses(
            &node(None),
            &instance(&[(FABRIC, "10.0.0.5"), (PUBLIC, "203.0.113.5")]),
            &Reaches::new(),
        );
        assert_eq!(unknown.unwrap_err().len(), 2);
    }
}
