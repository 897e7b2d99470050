//! The node as it should be. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeAddress, NodeSystemInfo, Taint};

use super::account::Facts;
use super::capacity::{Capacity, Foreign, capacity};
use crate::settings::{FIXED_LABELS, Flags, HOSTNAME, NodeTaint, VirtualNode};

/// The Kubernetes version whose kubelet this one stands in for: the oldest API server that is supported, because a
/// kubelet must not be newer than that.
const KUBERNETES: &str = "1.33.0";

/// Marks the versions of virtual kubelets (reference, Kubernetes C 2.1).
pub(super) const VERSION_MARK: &str = "-vk-";

/// The region's label.
pub(super) const REGION: &str = "topology.kubernetes.io/region";

/// The zone's label.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

/// The label that says that a node is a virtual one, and its value.
pub(super) const TYPE: (&str, &str) = FIXED_LABELS[0];

/// The node as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Its name.
    pub name: String,
    /// Our labels. Others may have theirs.
    pub labels: BTreeMap<String, String>,
    /// Labels whose values are not known yet: left as they are.
    pub unknown_labels: Vec<&'static str>,
    /// Our taints. Others may have theirs.
    pub taints: Vec<Taint>,
    /// All addresses.
    pub addresses: Vec<NodeAddress>,
    /// The port of the kubelet API.
    pub port: u16,
    /// What it says of itself.
    pub info: NodeSystemInfo,
    /// How much it can take; `None` until that is known: left as it is.
    pub capacity: Option<Capacity>,
    /// Whether it is ready.
    pub readiness: Readiness,
}

/// Whether a node is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It is.
    Ready,
    /// It is not: CloudAPI is silent.
    Unreachable {
        /// For people: since when.
        message: String,
    },
    /// Too early to tell: a node that there is already stays as it is, a new one is not ready yet.
    Undecided,
}

impl Desired {
    /// The node that these settings ask for, given what is known of the account and of its other instances.
    pub fn new(
        flags: &Flags,
        node: &VirtualNode,
        facts: &Facts,
        foreign: &Foreign,
        readiness: Readiness,
    ) -> Self {
        let name = node.name.to_string();
        let (labels, unknown_labels) = labels(node, facts);
        let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
        let internal = flags.node_address.map(|ip| address("InternalIP", ip.to_string()));
        let addresses = internal.into_iter().chain([address("Hostname", name.clone())]).collect();
        Self {
            labels,
            unknown_labels,
            taints: node.taints.iter().map(taint).collect(),
            addresses,
            port: flags.kubelet_port,
            info: info(),
            capacity: capacity(&node.figures, facts.limits.as_ref(), foreign),
            readiness,
            name,
        }
    }
}

fn taint(taint: &NodeTaint) -> Taint {
    Taint {
        key: taint.key.clone(),
        value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
        effect: taint.effect.as_str().to_owned(),
        time_added: None,
    }
}

/// Our labels, and those that are not known yet: those that every virtual node has, the topology, and the node's own,
/// which may be other words for the topology.
fn labels(node: &VirtualNode, facts: &Facts) -> (BTreeMap<String, String>, Vec<&'static str>) {
    let zone = facts.datacenter.as_deref().filter(|name| crate::settings::is_label_value(name));
    let topology = [(REGION, node.region.as_deref().or(zone)), (ZONE, zone)];
    let known = topology.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
    let own = node.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let fixed = FIXED_LABELS.into_iter().chain([(HOSTNAME, node.name.as_str())]);
    let labels = known.chain(own).chain(fixed).map(|(key, value)| (key.to_owned(), value.to_owned()));
    let labels: BTreeMap<String, String> = labels.collect();
    let unknown = topology.iter().map(|(key, _)| *key).filter(|key| !labels.contains_key(*key));
    let unknown = unknown.collect();
    (labels, unknown)
}

fn info() -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: "amd64".to_owned(),
        operating_system: "linux".to_owned(),
        os_image: "Triton DataCenter".to_owned(),
        container_runtime_version: format!("triton://{}", env!("CARGO_PKG_VERSION")),
        kubelet_version: format!("v{KUBERNETES}{VERSION_MARK}{}", env!("CARGO_PKG_VERSION")),
        ..NodeSystemInfo::default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::node::capacity::AccountLimits;
    use crate::settings::ProviderFile;

    /// The node that a command line asks for, in a data centre that is known.
    pub(in crate::node) fn desired(arguments: &[&str], readiness: Readiness) -> Desired {
        desired_by("", arguments, readiness)
    }

    /// The first node that this provider's file and command line ask for.
    pub(in crate::node) fn desired_by(file: &str, arguments: &[&str], readiness: Readiness) -> Desired {
        let flags = Flags::try_parse_from([&["vk"], arguments].concat()).unwrap();
        let facts = Facts { datacenter: Some("us-east-1".into()), limits: Some(AccountLimits::default()) };
        Desired::new(&flags, &nodes(file, &flags)[0], &facts, &Foreign::default(), readiness)
    }

    fn nodes(file: &str, flags: &Flags) -> Vec<VirtualNode> {
        ProviderFile::parse(Path::new("triton.toml"), file).unwrap().virtual_nodes(flags)
    }

    #[test]
    fn a_node_has_the_originals_labels_and_its_place() {
        let desired = desired(&["--nodename", "dc1"], Readiness::Ready);
        let labels: Vec<_> = desired.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let expected = [
            "alpha.service-controller.kubernetes.io/exclude-balancer=true",
            "beta.kubernetes.io/arch=amd64",
            "beta.kubernetes.io/os=linux",
            "kubernetes.io/arch=amd64",
            "kubernetes.io/hostname=dc1",
            "kubernetes.io/os=linux",
            "kubernetes.io/role=agent",
            "node.kubernetes.io/exclude-from-external-load-balancers=true",
            "topology.kubernetes.io/region=us-east-1",
            "topology.kubernetes.io/zone=us-east-1",
            "type=virtual-kubelet",
        ];
        assert_eq!(labels, expected);
        let [taint] = desired.taints.as_slice() else { panic!("{:?}", desired.taints) };
        assert_eq!(
            (taint.key.as_str(), taint.effect.as_str()),
            ("virtual-kubelet.io/provider", "NoSchedule")
        );
        assert_eq!(taint.value.as_deref(), Some("triton"));
        assert_eq!(desired.addresses.len(), 1);
        assert_eq!(desired.port, 10250);
    }

    #[test]
    fn what_is_not_known_yet_is_left_open() {
        let flags = Flags::try_parse_from(["vk"]).unwrap();
        let region = "Region = \"eu\"";
        for (file, facts, expected) in [
            ("", Facts::default(), vec![REGION, ZONE]),
            (region, Facts::default(), vec![ZONE]),
            (region, Facts { datacenter: Some("not a label".into()), limits: None }, vec![ZONE]),
        ] {
            let node = nodes(file, &flags).remove(0);
            let desired = Desired::new(&flags, &node, &facts, &Foreign::default(), Readiness::Undecided);
            assert_eq!(desired.unknown_labels, expected);
            assert_eq!(desired.labels.get(REGION), node.region.as_ref());
            assert_eq!(desired.capacity, None);
        }
    }

    #[test]
    fn address_taint_and_port_follow_the_flags() {
        let desired = desired(
            &["--node-address", "fd00::1", "--disable-taint", "--kubelet-port", "1"],
            Readiness::Ready,
        );
        let addresses: Vec<_> =
            desired.addresses.iter().map(|it| (it.type_.as_str(), it.address.as_str())).collect();
        assert_eq!(addresses, [("InternalIP", "fd00::1"), ("Hostname", "virtual-kubelet")]);
        assert_eq!((desired.taints, desired.port), (vec![], 1));
    }

    #[test]
    fn a_node_of_the_file_has_its_own_labels_and_taints() {
        let file = r#"
            Region = "moon"
            [[Node]]
            Name = "compute"
            Labels = { pool = "compute", "topology.kubernetes.io/zone" = "rack-1" }
            Taints = ["dedicated=compute:NoExecute", "quiet:NoSchedule"]
        "#;
        let desired = desired_by(file, &["--nodename", "pools"], Readiness::Ready);
        let label = |key: &str| desired.labels.get(key).map(String::as_str);
        assert_eq!((desired.name.as_str(), label("kubernetes.io/hostname")), ("compute", Some("compute")));
        assert_eq!((label("pool"), label("type")), (Some("compute"), Some("virtual-kubelet")));
        assert_eq!((label(ZONE), label(REGION)), (Some("rack-1"), Some("moon")));
        let taints: Vec<_> = desired
            .taints
            .iter()
            .map(|it| (it.key.as_str(), it.value.as_deref(), it.effect.as_str()))
            .collect();
        assert_eq!(taints, [("dedicated", Some("compute"), "NoExecute"), ("quiet", None, "NoSchedule")]);
    }
}
