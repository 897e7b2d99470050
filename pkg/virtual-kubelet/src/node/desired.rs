//! The node as it should be. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeAddress, NodeSystemInfo, Taint};

use super::account::Facts;
use super::capacity::{Capacity, Foreign, capacity};
use crate::settings::{Flags, ProviderFile};

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
pub(super) const TYPE: (&str, &str) = ("type", "virtual-kubelet");

/// The node as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Its name.
    pub name: String,
    /// Our labels. Others may have theirs.
    pub labels: BTreeMap<String, String>,
    /// Labels whose values are not known yet: left as they are.
    pub unknown_labels: Vec<&'static str>,
    /// Our taint, if any. Others may have theirs.
    pub taint: Option<Taint>,
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
        file: &ProviderFile,
        facts: &Facts,
        foreign: &Foreign,
        readiness: Readiness,
    ) -> Self {
        let name = flags.nodename.to_string();
        let (labels, unknown_labels) = labels(&name, file, facts);
        let taint = (!flags.disable_taint).then(|| Taint {
            key: flags.taint_key.clone(),
            value: Some(flags.taint_value.clone()),
            effect: flags.taint_effect.as_str().to_owned(),
            time_added: None,
        });
        let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
        let internal = flags.node_address.map(|ip| address("InternalIP", ip.to_string()));
        let addresses = internal.into_iter().chain([address("Hostname", name.clone())]).collect();
        Self {
            labels,
            unknown_labels,
            taint,
            addresses,
            port: flags.kubelet_port,
            info: info(),
            capacity: capacity(file, facts.limits.as_ref(), foreign),
            readiness,
            name,
        }
    }
}

/// Our labels, and those that are not known yet. The original's, those that a kubelet has, and the topology.
fn labels(name: &str, file: &ProviderFile, facts: &Facts) -> (BTreeMap<String, String>, Vec<&'static str>) {
    let fixed = [
        TYPE,
        ("kubernetes.io/role", "agent"),
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/arch", "amd64"),
        // A virtual node has no ports of its own for load balancers; its pods have addresses.
        ("node.kubernetes.io/exclude-from-external-load-balancers", "true"),
        ("alpha.service-controller.kubernetes.io/exclude-balancer", "true"),
    ];
    let zone = facts.datacenter.as_deref().filter(|name| crate::settings::is_label_value(name));
    let region = file.region.as_deref().or(zone);
    let topology = [(REGION, region), (ZONE, zone)];
    let known = topology.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
    let labels = fixed.into_iter().chain(known).map(|(key, value)| (key.to_owned(), value.to_owned()));
    let unknown = topology.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key);
    (labels.collect(), unknown.collect())
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
    use clap::Parser as _;

    use super::*;
    use crate::node::capacity::AccountLimits;

    /// The node that a command line asks for, in a data centre that is known.
    pub(in crate::node) fn desired(arguments: &[&str], readiness: Readiness) -> Desired {
        let flags = Flags::try_parse_from([&["vk"], arguments].concat()).unwrap();
        let facts = Facts { datacenter: Some("us-east-1".into()), limits: Some(AccountLimits::default()) };
        Desired::new(&flags, &ProviderFile::default(), &facts, &Foreign::default(), readiness)
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
        let taint = desired.taint.unwrap();
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
        let region = ProviderFile { region: Some("eu".into()), ..ProviderFile::default() };
        for (file, facts, expected) in [
            (ProviderFile::default(), Facts::default(), vec![REGION, ZONE]),
            (region.clone(), Facts::default(), vec![ZONE]),
            (region, Facts { datacenter: Some("not a label".into()), limits: None }, vec![ZONE]),
        ] {
            let desired = Desired::new(&flags, &file, &facts, &Foreign::default(), Readiness::Undecided);
            assert_eq!(desired.unknown_labels, expected);
            assert_eq!(desired.labels.get(REGION), file.region.as_ref());
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
        assert_eq!((desired.taint, desired.port), (None, 1));
    }
}
