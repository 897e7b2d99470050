//! Ports and groups, and the tags by which firewall rules find their instances.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::Container;
use provider::digest;

use super::{Port, Protocol, invalid};
use crate::pod::{Refusal, Warning};

/// The longest readable part of a group's tag, in bytes.
const MAX_GROUP_TEXT: usize = 40;

/// The ports of a container.
pub(super) fn read(container: &Container, warnings: &mut Vec<Warning>) -> Result<BTreeSet<Port>, Refusal> {
    let mut ports = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let field = format!("spec.containers[0].ports[{index}]");
        if port.host_port.is_some_and(|host_port| host_port != 0) {
            let message = format!("{field}.hostPort has no effect: the instance has an address of its own");
            warnings.push(Warning::new(Warning::IGNORED, message));
        }
        let number = u16::try_from(port.container_port).ok().filter(|number| *number != 0);
        let Some(number) = number else {
            let message = format!("is {}; ports are 1 to 65535", port.container_port);
            return Err(invalid(format!("{field}.containerPort"), message));
        };
        let protocol = match port.protocol.as_deref() {
            None | Some("" | "TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => {
                let message = format!("{field}: firewall rules know no SCTP, so port {number} is not opened");
                warnings.push(Warning::new(Warning::IGNORED, message));
                continue;
            }
            Some(other) => {
                let message = format!("is {other:?}; write TCP, UDP or SCTP");
                return Err(invalid(format!("{field}.protocol"), message));
            }
        };
        ports.insert(Port { protocol, number });
    }
    Ok(ports)
}

/// The value of the tag `k8s.ports`: the same for all pods of a cluster with the same ports, so that they share
/// rules. `None` without ports.
pub fn ports_tag(cluster: &str, ports: &BTreeSet<Port>) -> Option<String> {
    let texts: Vec<String> = ports.iter().map(Port::to_string).collect();
    let parts = ["ports", cluster].into_iter().chain(texts.iter().map(String::as_str));
    (!ports.is_empty()).then(|| digest::short(parts))
}

/// The value of the tag `k8s.group`: as much of the group's name as a tag in a rule can show, and a digest of cluster,
/// namespace and group.
pub fn group_tag(cluster: &str, namespace: &str, group: &str) -> String {
    let digest = digest::short(["group", cluster, namespace, group]);
    let shown = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = group.chars().map(shown).take(MAX_GROUP_TEXT).collect();
    format!("{text}-{digest}")
}

/// As people write them: `tcp/22`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}/{}", self.number)
    }
}
