//! The entries that a node gets for one Service. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use triton::grammar::cns::CnsService;

use super::backends::Here;
use super::candidates::Way;
use super::hosts::Host;

/// How the pods of a Service are reached at nodes' addresses.
pub fn way(service: &Service) -> Way {
    let Some(spec) = &service.spec else { return Way::HostNetwork };
    if node_ports(spec).next().is_none() {
        return Way::HostNetwork;
    }
    match spec.external_traffic_policy.as_deref() {
        Some("Local") => Way::OwnNode,
        _ => Way::AnyNode,
    }
}

/// The entries that every node in the Service gets, where it has node ports: one with an SRV record for each TCP port. For
/// other protocols the addresses alone, because CNS's SRV records do not say which protocol they are for.
pub fn of_node_ports(name: &str, service: &Service) -> Vec<CnsService> {
    let ports = service.spec.iter().flat_map(node_ports);
    entries(name, ports.map(|(port, number)| (number, is_tcp(port))))
}

/// The entries that a node gets for the endpoints in its own network.
pub fn of_host_network(name: &str, here: &Here, host: &Host) -> Vec<CnsService> {
    let own = here.ports.iter().filter(|(address, _)| host.addresses.contains(address));
    let ports: BTreeSet<(u16, bool)> = own.flat_map(|(_, ports)| ports.iter().copied()).collect();
    entries(name, ports.into_iter())
}

/// Which port of a node clients must use for which port of the Service, for people; `None` where nothing differs.
pub fn port_changes(service: &Service) -> Option<String> {
    let ports = service.spec.iter().flat_map(node_ports);
    let differing = ports.filter(|(port, number)| port.port != i32::from(*number));
    let changes: Vec<String> =
        differing.map(|(port, number)| format!("{number} instead of {}", port.port)).collect();
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// The ports that have a node port.
fn node_ports(spec: &ServiceSpec) -> impl Iterator<Item = (&ServicePort, u16)> {
    let numbered = |port: &ServicePort| u16::try_from(port.node_port?).ok().filter(|number| *number > 0);
    spec.ports.iter().flatten().filter_map(move |port| Some((port, numbered(port)?)))
}

fn is_tcp(port: &ServicePort) -> bool {
    port.protocol.as_deref().unwrap_or("TCP") == "TCP"
}

fn entries(name: &str, ports: impl Iterator<Item = (u16, bool)>) -> Vec<CnsService> {
    let Ok(addresses) = CnsService::new(name) else { return Vec::new() };
    let mut with_port: Vec<CnsService> = Vec::new();
    for (number, _) in ports.filter(|(_, is_tcp)| *is_tcp) {
        let entry = addresses.clone().with_port(number).ok();
        with_port.extend(entry.filter(|entry| !with_port.contains(entry)));
    }
    if with_port.is_empty() { vec![addresses] } else { with_port }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::backends::Backends;
    use super::super::hosts::{HostKind, HostState};
    use super::*;

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    fn texts(entries: &[CnsService]) -> Vec<&str> {
        entries.iter().map(CnsService::text).collect()
    }

    #[rstest]
    #[case::cluster(json!({"ports": [{"port": 80, "nodePort": 30080}]}), Way::AnyNode)]
    #[case::local(
        json!({"ports": [{"port": 80, "nodePort": 30080}], "externalTrafficPolicy": "Local"}), Way::OwnNode
    )]
    #[case::without_node_ports(
        json!({"ports": [{"port": 80}], "externalTrafficPolicy": "Local"}), Way::HostNetwork
    )]
    #[case::without_ports(json!({}), Way::HostNetwork)]
    fn node_ports_and_the_policy_say_how_pods_are_reached(#[case] spec: Value, #[case] expected: Way) {
        assert_eq!(way(&service(spec)), expected);
    }

    #[rstest]
    #[case(json!([{"port": 80, "nodePort": 30080}]), &["web:30080"], Some("30080 instead of 80"))]
    #[case(
        json!([{"port": 80, "nodePort": 30080}, {"port": 443, "nodePort": 30443}, {"port": 1}]),
        &["web:30080", "web:30443"], Some("30080 instead of 80, 30443 instead of 443")
    )]
    #[case(json!([{"port": 30080, "nodePort": 30080}]), &["web:30080"], None)]
    #[case(json!([{"port": 53, "nodePort": 30053, "protocol": "UDP"}]), &["web"], Some("30053 instead of 53"))]
    #[case(
        json!([{"port": 53, "nodePort": 30053, "protocol": "UDP"}, {"port": 53, "nodePort": 30053}]),
        &["web:30053"], Some("30053 instead of 53, 30053 instead of 53")
    )]
    fn node_ports_become_entries(
        #[case] ports: Value,
        #[case] entries: &[&str],
        #[case] changes: Option<&str>,
    ) {
        let service = service(json!({"ports": ports}));
        assert_eq!(texts(&of_node_ports("web", &service)), entries);
        assert_eq!(port_changes(&service).as_deref(), changes);
    }

    #[test]
    fn pods_in_the_hosts_network_give_their_own_ports() {
        let slice = json!({
            "addressType": "IPv4", "ports": [{"port": 8080}, {"port": 9090}, {"port": 53, "protocol": "UDP"}],
            "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "a"}, {"addresses": ["10.1.0.1"], "nodeName": "a"}],
        });
        let backends = Backends::read(&[serde_json::from_value(slice).unwrap()]);
        let host = |address: &str| Host {
            kind: HostKind::Virtual,
            state: HostState::Ready,
            addresses: vec![address.parse().unwrap()],
        };
        let here = backends.on("a").unwrap();
        assert_eq!(texts(&of_host_network("web", here, &host("10.0.0.1"))), ["web:8080", "web:9090"]);
        assert_eq!(texts(&of_host_network("web", here, &host("10.0.0.2"))), ["web"]);
    }
}
