//! What a pod asks for, read from the pod alone.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use provider::owner::Owner;
use triton::id::{ImageId, NetworkId, PackageId};
use triton::types::{Metadata, Tags};

use super::Refusal;

/// What a pod asks for. Names are not looked up yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Whose instance it is: cluster, node, namespace, pod, UID.
    pub owner: Owner,
    /// The deterministic name of the instance.
    pub instance_name: String,
    /// The image.
    pub image: ImageName,
    /// The package.
    pub package: PackageDemand,
    /// The networks, in order. None: the account's default.
    pub networks: Vec<NetworkName>,
    /// The network whose address is the pod's; `None`: the instance's primary address.
    pub pod_network: Option<NetworkName>,
    /// CloudAPI's affinity rules: those of the annotation, then those that translate the pod's own anti-affinity
    /// and topology spread by hostname.
    pub affinity: Vec<String>,
    /// The firewall.
    pub firewall: FirewallDemand,
    /// Whether deletion is refused.
    pub deletion_protection: bool,
    /// Tags: labels, and those of the owner, the ports and the group.
    pub tags: Tags,
    /// Metadata from annotations; the environment comes later.
    pub metadata: Metadata,
}

/// How an image is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageName {
    /// By id.
    Id(ImageId),
    /// By name, and by version where one is given: the newest published wins.
    Name {
        /// The name.
        name: Box<str>,
        /// The version.
        version: Option<Box<str>>,
    },
}

/// How a package is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageDemand {
    /// By id.
    Id(PackageId),
    /// By name.
    Name(Box<str>),
    /// The smallest that fits.
    Fit(Resources),
}

/// What a container needs; zero where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Disk in bytes.
    pub storage_bytes: u64,
}

/// How a network is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkName {
    /// By id.
    Id(NetworkId),
    /// By name.
    Name(Box<str>),
}

/// What a pod asks of the firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirewallDemand {
    /// Whether rules apply to the instance; `None`: the server's default, which is no.
    pub enabled: Option<bool>,
    /// The group whose members reach each other on all TCP and UDP ports. Groups are per cluster and namespace.
    pub group: Option<Box<str>>,
    /// The ports that are open to everybody.
    pub ports: BTreeSet<Port>,
}

/// A port that a container listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its number, 1 to 65535.
    pub number: u16,
}

/// The protocols that firewall rules have ports for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Demand {
    /// Reads a pod that runs on `node` of `cluster`.
    ///
    /// # Errors
    /// The first thing about the pod that cannot be.
    pub fn read(_pod: &Pod, _cluster: &str, _node: &str) -> Result<Self, Refusal> {
        todo!("helper pod")
    }
}
