//! Which port of a load balancer leads where.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Note;
use super::wishes::Wishes;
use crate::service::hosts::{HostKind, Hosts};

/// The last port that the image takes (Triton reference 9).
const LAST_PORT: u16 = 65534;

/// Who is behind a Service's name in CNS, and on which ports they serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behind {
    /// Whether nodes pass on to pods; otherwise all pods are instances, and in CNS themselves.
    pub nodes: bool,
    /// Whether some pods are instances beside others that are not.
    pub mixed: bool,
    /// The ports of pods, by the names of the Service's ports.
    pub pod_ports: BTreeMap<String, u16>,
}

impl Behind {
    /// Reads the endpoints of a Service. Where there are none, nodes are expected.
    pub fn read<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>, hosts: &Hosts) -> Self {
        let (mut behind, mut instances) = (Self::default(), false);
        for slice in slices.into_iter().filter(|slice| slice.address_type != "FQDN") {
            for port in slice.ports.iter().flatten() {
                let number = port.port.and_then(|number| u16::try_from(number).ok());
                if let Some(number) = number.filter(|_| port.protocol.as_deref().unwrap_or("TCP") == "TCP") {
                    behind.pod_ports.entry(port.name.clone().unwrap_or_default()).or_insert(number);
                }
            }
            for endpoint in &slice.endpoints {
                let host = endpoint.node_name.as_deref().and_then(|node| hosts.get(node));
                match host.is_some_and(|host| host.kind == HostKind::Virtual) {
                    true => instances = true,
                    false => behind.nodes = true,
                }
            }
        }
        behind.mixed = behind.nodes && instances;
        behind.nodes |= !instances;
        behind
    }

    /// The port on which servers of a port serve.
    fn port(&self, port: &ServicePort) -> Option<u16> {
        let node_port = port.node_port.filter(|number| self.nodes && *number > 0);
        if let Some(number) = node_port {
            return number_of(number);
        }
        // Pods that are instances, or in the network of their node.
        let own = self.pod_ports.get(port.name.as_deref().unwrap_or_default()).copied();
        own.or_else(|| match &port.target_port {
            None | Some(IntOrString::Int(0)) => number_of(port.port),
            Some(IntOrString::Int(number)) => number_of(*number),
            Some(IntOrString::String(_)) => None,
        })
    }
}

fn number_of(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| (1..=LAST_PORT).contains(number))
}

/// The port map of a Service whose servers have this hostname, as the image reads it, and what its author should know.
///
/// Every port leads to a port by A records: SRV records would mix those of all ports of the Service.
pub fn text(service: &Service, hostname: &str, behind: &Behind, wishes: &Wishes) -> (String, Vec<Note>) {
    let (mut designations, mut notes) = (Vec::new(), Vec::new());
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    for port in ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP") {
        let Some((listen, server)) = number_of(port.port).zip(behind.port(port)) else {
            let text = format!(
                "port {} leads to no known port of nodes or pods: it is forwarded once the Service has endpoints",
                port.port
            );
            notes.push(Note::warning("UnknownServerPort", text));
            continue;
        };
        let kind = wishes.type_of(port);
        let check = wishes.check_path.as_ref().map(|path| format!("{{check:{path}}}")).unwrap_or_default();
        designations.push(format!("{kind}://{listen}:{hostname}:{server}{check}"));
    }
    if behind.mixed {
        let text = "some pods are instances and some are not: load balancers ask all of them at the ports of nodes, where \
                    only nodes answer; those pass on to all pods";
        notes.push(Note::normal("MixedServers", text.to_owned()));
    }
    (designations.join(","), notes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::service::hosts::{Host, HostState};

    fn hosts() -> Hosts {
        let host = |kind| Host { kind, state: HostState::Ready, addresses: Vec::new() };
        Hosts::from([
            ("machine".into(), host(HostKind::Machine(uuid::Uuid::nil().into()))),
            ("virtual".into(), host(HostKind::Virtual)),
        ])
    }

    fn behind(nodes: &[&str]) -> Behind {
        let endpoints: Vec<Value> =
            nodes.iter().map(|node| json!({"addresses": ["10.0.0.1"], "nodeName": node})).collect();
        let ports = json!([{"name": "a", "port": 8080}, {"name": "d", "port": 53, "protocol": "UDP"}]);
        let slice = json!({"addressType": "IPv4", "endpoints": endpoints, "ports": ports});
        Behind::read(&[serde_json::from_value(slice).unwrap()], &hosts())
    }

    fn service(ports: Value) -> Service {
        serde_json::from_value(json!({"spec": {"ports": ports}})).unwrap()
    }

    fn wishes(annotations: Value) -> Wishes {
        Wishes::read(&serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap()).0
    }

    #[rstest]
    #[case::nodes_at_node_ports(
        json!([{"port": 80, "nodePort": 30080}, {"name": "b", "port": 443, "nodePort": 30443}]), &["machine"],
        "tcp://80:h:30080,tcp://443:h:30443"
    )]
    #[case::nodes_are_expected(json!([{"port": 80, "nodePort": 30080}]), &[], "tcp://80:h:30080")]
    #[case::a_node_that_is_gone_is_no_instance(json!([{"port": 80, "nodePort": 30080}]), &["gone"], "tcp://80:h:30080")]
    #[case::instances_at_their_own(
        json!([{"name": "a", "port": 80, "nodePort": 30080, "targetPort": "web"}]), &["virtual"], "tcp://80:h:8080"
    )]
    #[case::both_at_node_ports(
        json!([{"name": "a", "port": 80, "nodePort": 30080}]), &["virtual", "machine"], "tcp://80:h:30080"
    )]
    #[case::pods_in_the_hosts_network(json!([{"name": "a", "port": 80}]), &["machine"], "tcp://80:h:8080")]
    #[case::without_endpoints_of_that_port(json!([{"name": "b", "port": 80, "targetPort": 81}]), &["virtual"], "tcp://80:h:81")]
    #[case::no_udp(json!([{"name": "d", "port": 53, "nodePort": 30053, "protocol": "UDP"}]), &["machine"], "")]
    #[case::a_name_that_nobody_knows(json!([{"name": "b", "port": 80, "targetPort": "web"}]), &["virtual"], "")]
    fn every_port_leads_to_the_port_of_those_who_serve(
        #[case] ports: Value,
        #[case] nodes: &[&str],
        #[case] expected: &str,
    ) {
        assert_eq!(text(&service(ports), "h", &behind(nodes), &Wishes::default()).0, expected);
    }

    #[test]
    fn types_and_checks_are_as_wished() {
        let wishes = wishes(json!({
            "tritondatacenter.com/load-balancer-ports": "443=https-http",
            "tritondatacenter.com/health-check-path": "/healthz",
        }));
        let ports = json!([
            {"name": "x", "port": 80, "nodePort": 30080, "appProtocol": "http"},
            {"name": "y", "port": 443, "nodePort": 30080},
        ]);
        assert_eq!(
            text(&service(ports), "h", &behind(&["machine"]), &wishes),
            ("http://80:h:30080{check:/healthz},https-http://443:h:30080{check:/healthz}".to_owned(), vec![])
        );
    }

    #[test]
    fn what_cannot_be_forwarded_well_is_said() {
        let reasons = |ports, nodes: &[&str]| {
            let (_, notes) = text(&service(ports), "h", &behind(nodes), &Wishes::default());
            notes.iter().map(|note| note.reason).collect::<Vec<_>>()
        };
        assert_eq!(reasons(json!([{"port": 80, "targetPort": "web"}]), &["virtual"]), ["UnknownServerPort"]);
        assert_eq!(reasons(json!([{"port": 80, "nodePort": 3}]), &["virtual", "machine"]), ["MixedServers"]);
    }
}
