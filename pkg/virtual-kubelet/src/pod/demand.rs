//! What a pod asks for, read from the pod alone.

mod affinity;
mod annotations;
mod form;
mod labels;
mod ports;
mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use provider::cmon::{self, Change};
use provider::instance_name::instance_name;
use provider::names::{annotation, tag};
use provider::owner::Owner;
use triton::id::{ImageId, NetworkId, PackageId};
use triton::types::{Metadata, TagValue, Tags};

use self::annotations::{Annotations, Name};
pub(super) use self::form::is_token;
pub use self::ports::{group_tag, ports_tag};
use super::{PodKey, Refusal, RefusalReason, Warning};

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
    /// Whether the pod says so itself. Where it says nothing, a protection that somebody else set is left alone.
    pub deletion_protection_stated: bool,
    /// Tags: labels, and those of the owner, the ports and the group.
    pub tags: Tags,
    /// Those of the tags that are labels. The tag [`tag::LABELS`] keeps them, so that a label that goes takes its
    /// tag with it, and no other.
    pub labels: BTreeSet<String>,
    /// Metadata from annotations; the environment comes later.
    pub metadata: Metadata,
    /// What the container asks for, also where the package is named.
    pub resources: Resources,
    /// Whether more than running is asked of the pod before it is ready: a probe, or a readiness gate.
    pub earns_readiness: bool,
    /// What has no effect, or not the one it seems to have.
    pub warnings: Vec<Warning>,
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
    /// The first thing about the pod that cannot be: what can never be before what waits for a correction.
    pub fn read(pod: &Pod, cluster: &str, node: &str) -> Result<Self, Refusal> {
        let key =
            PodKey::of(pod).ok_or_else(|| invalid("metadata", "the pod has no namespace, name or UID"))?;
        let mut warnings = Vec::new();
        let (spec, container) = form::check(pod, &mut warnings)?;
        let owner = Owner {
            cluster: cluster.into(),
            node: node.into(),
            namespace: (*key.namespace).into(),
            pod: (*key.name).into(),
            uid: (*key.uid).into(),
        };
        let nothing = BTreeMap::new();
        let annotations = Annotations::new(pod.metadata.annotations.as_ref().unwrap_or(&nothing));
        let resources = resources::read(spec, container)?;
        let firewall = FirewallDemand {
            enabled: annotations.flag(Name::FIREWALL_ENABLED)?,
            group: annotations.text(Name::FIREWALL_GROUP)?.map(Box::from),
            ports: ports::read(container, &mut warnings)?,
        };
        if firewall.group.is_some() && firewall.enabled != Some(true) {
            let message = format!(
                "the firewall group has no effect while the firewall is off; add the annotation {}: \"true\"",
                annotation::FIREWALL_ENABLED
            );
            warnings.push(Warning::new(Warning::IGNORED, message));
        }
        let deletion_protection = annotations.flag(Name::DELETION_PROTECTION)?;
        let affinity = affinity::rules(spec, &annotations, &mut warnings)?;
        let metadata = annotations.metadata(&mut warnings)?;
        let labels = labels::tags(pod.metadata.labels.as_ref().unwrap_or(&nothing), &mut warnings)?;
        let image = image(container.image.as_deref().unwrap_or_default())?;
        let package = match annotations.text(Name::PACKAGE)? {
            None => PackageDemand::Fit(resources),
            Some(text) => text.parse().map_or_else(|_| PackageDemand::Name(text.into()), PackageDemand::Id),
        };
        let networks = annotations.list(Name::NETWORKS)?.into_iter().map(NetworkName::read).collect();
        let pod_network = annotations.text(Name::POD_NETWORK)?.map(NetworkName::read);
        let instance_name = instance_name(&owner.namespace, &owner.pod, &owner.uid);
        let mut demand = Self {
            owner,
            instance_name,
            image,
            package,
            networks,
            pod_network,
            affinity,
            firewall,
            deletion_protection: deletion_protection == Some(true),
            deletion_protection_stated: deletion_protection.is_some(),
            labels: labels.keys().cloned().collect(),
            tags: labels,
            metadata,
            resources,
            earns_readiness: container.readiness_probe.is_some()
                || container.startup_probe.is_some()
                || spec.readiness_gates.as_ref().is_some_and(|gates| !gates.is_empty()),
            warnings,
        };
        demand.tags.extend(demand.own_tags());
        Ok(demand)
    }

    /// The tags that are ours: whose instance it is, its firewall rules, and what drift needs to remember.
    fn own_tags(&self) -> Tags {
        let mut tags = self.owner.tags();
        let Owner { cluster, namespace, .. } = &self.owner;
        let mut add = |key: &str, value: Option<String>| {
            tags.extend(value.map(|value| (key.to_owned(), TagValue::from(value))));
        };
        add(tag::PORTS, ports_tag(cluster, &self.firewall.ports));
        add(tag::GROUP, self.firewall.group.as_deref().map(|group| group_tag(cluster, namespace, group)));
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        // The label is one of the groups; the cluster's is another.
        let label = self.tags.get(tag::CMON_GROUPS);
        add(tag::CMON, label.and_then(TagValue::as_str).map(str::to_owned));
        if let Ok(Change::Set(groups)) = cmon::membership(label, &cmon::group(cluster), true) {
            add(tag::CMON_GROUPS, Some(groups));
        }
        add(tag::LABELS, (!labels.is_empty()).then(|| labels.join(",")));
        if let PackageDemand::Fit(resources) = &self.package {
            add(tag::RESOURCES, Some(resources.to_string()));
        }
        tags
    }
}

impl NetworkName {
    /// Reads a name: a UUID is an id, all else a name.
    pub fn read(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.into()), Self::Id)
    }
}

/// Reads the name of an image: a UUID, `name`, or `name@version`.
fn image(text: &str) -> Result<ImageName, Refusal> {
    let field = "spec.containers[0].image";
    if text.trim().is_empty() {
        return Err(invalid(
            field,
            "names no image; give the UUID of a Triton image, its name, or name@version",
        ));
    }
    if let Ok(id) = text.parse() {
        return Ok(ImageName::Id(id));
    }
    match text.rsplit_once('@') {
        None => Ok(ImageName::Name { name: text.into(), version: None }),
        Some((name, version)) if !name.is_empty() && !version.is_empty() => {
            Ok(ImageName::Name { name: name.into(), version: Some(version.into()) })
        }
        Some(_) => Err(invalid(field, format!("{text:?} lacks a name or a version around the @"))),
    }
}

/// A refusal that waits for a correction.
fn invalid(field: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { field: field.into(), reason: RefusalReason::Invalid, message: message.into() }
}

/// A refusal for good.
fn unsupported(field: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { field: field.into(), reason: RefusalReason::Unsupported, message: message.into() }
}

/// As in a manifest; the key is shown as it is.
fn indexed(map: &str, key: &str) -> String {
    format!("metadata.{map}[{key}]")
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name { name, version: None } => f.write_str(name),
            Self::Name { name, version: Some(version) } => write!(f, "{name}@{version}"),
        }
    }
}

impl fmt::Display for PackageDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Fit(resources) => resources.fmt(f),
        }
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// As the tag [`tag::RESOURCES`] has it: `cpu=500m,memory=1073741824,storage=0`.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu_millis, memory_bytes, storage_bytes } = self;
        write!(f, "cpu={cpu_millis}m,memory={memory_bytes},storage={storage_bytes}")
    }
}

#[cfg(test)]
mod tests;
