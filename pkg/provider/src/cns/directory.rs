//! The Services that are CNS services, and what a pod gets from them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use k8s_openapi::api::core::v1::{ContainerPort, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use triton::grammar::cns::CnsService;

use super::{DefaultLoadBalancer, exposure, name_of};
use crate::names::{PREFIX, annotation};

/// A Service, by its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Something about a Service that its author should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Which Service.
    pub service: ServiceKey,
    /// What kind of thing.
    pub reason: NoteReason,
    /// One sentence, with the remedy.
    pub message: String,
}

/// The kinds of [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteReason {
    /// The name is another Service's, or somebody else's at Triton: the Service is not in CNS.
    NameConflict,
    /// The annotation with the name means nothing: the Service is not in CNS.
    InvalidName,
    /// Clients must use another port than the Service's, because DNS cannot change ports.
    PortDiffers,
    /// The pod has no port of the name that `targetPort` gives: it does not serve this port.
    UnknownTargetPort,
}

impl NoteReason {
    /// The `reason` of events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameConflict => "CNSNameConflict",
            Self::InvalidName => "InvalidCNSName",
            Self::PortDiffers => "CNSPortDiffers",
            Self::UnknownTargetPort => "CNSUnknownTargetPort",
        }
    }
}

/// The Services that are CNS services: those with an [`exposure`](super::exposure()) that are not being deleted. Made
/// anew when Services change; asked for each pod.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    namespaces: HashMap<Box<str>, Vec<Published>>,
    holders: HashMap<String, ServiceKey>,
    notes: Vec<Note>,
}

#[derive(Debug, Clone)]
struct Published {
    key: ServiceKey,
    /// In CNS.
    name: String,
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
}

/// What of a pod decides which services it is in. Whether it is ready does not: that is the business of the
/// instance's `triton.cns.status`.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// The ports of its containers, for `targetPort`s that are names.
    pub ports: &'a [ContainerPort],
}

/// What a pod gets from the Services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The entries, in the order of the Services' names and of their ports.
    pub entries: Vec<CnsService>,
    /// What the Services' authors should know.
    pub notes: Vec<Note>,
}

impl ServiceKey {
    /// The names of a Service; `None` for an object that lacks one, which does not come from an API server.
    pub fn of(service: &Service) -> Option<Self> {
        let metadata = &service.metadata;
        Some(Self {
            namespace: metadata.namespace.as_deref()?.into(),
            name: metadata.name.as_deref()?.into(),
        })
    }
}

impl<'a> Member<'a> {
    /// What counts of a pod. Only its first container has ports: there can be no other.
    pub fn of(pod: &'a Pod) -> Self {
        let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
        Self {
            namespace: pod.metadata.namespace.as_deref().unwrap_or_default(),
            labels: pod.metadata.labels.as_ref(),
            ports: container.and_then(|container| container.ports.as_deref()).unwrap_or_default(),
        }
    }

    /// Whether a selector selects the pod. An empty one selects none: such a Service's endpoints are made by hand.
    fn is_selected_by(&self, selector: &BTreeMap<String, String>) -> bool {
        let has = |(key, value)| self.labels.is_some_and(|labels| labels.get(key) == Some(value));
        !selector.is_empty() && selector.iter().all(has)
    }
}

impl Directory {
    /// Reads the Services of a cluster. Where two have one name, the older keeps it. `is_foreign` tells whether
    /// instances carry a name that this cluster did not give them ([`foreign_names`](super::foreign_names)).
    pub fn read<'a>(
        services: impl IntoIterator<Item = &'a Service>,
        cluster: &str,
        default: DefaultLoadBalancer,
        is_foreign: impl Fn(&str) -> bool,
    ) -> Self {
        let is_published = |service: &&Service| {
            service.metadata.deletion_timestamp.is_none() && exposure(service, default).is_some()
        };
        let mut services: Vec<_> = services.into_iter().filter(is_published).collect();
        services.sort_by_key(|service| {
            let metadata = &service.metadata;
            let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created.is_none(), created, &metadata.namespace, &metadata.name)
        });
        let mut directory = Self::default();
        for service in services {
            let Some(key) = ServiceKey::of(service) else { continue };
            let name = match name_of(service, cluster) {
                Ok(name) => name,
                Err(error) => {
                    directory.note(key, NoteReason::InvalidName, error.to_string());
                    continue;
                }
            };
            let holder = match directory.holders.get(&name) {
                Some(other) => Some(format!("Service {other}")),
                None => {
                    is_foreign(&name).then(|| "an instance that this cluster did not put there".to_owned())
                }
            };
            if let Some(holder) = holder {
                let message = format!(
                    "CNS service {name} is in use by {holder}; choose another name with the annotation {PREFIX}{}",
                    annotation::CNS_SERVICE
                );
                directory.note(key, NoteReason::NameConflict, message);
                continue;
            }
            directory.holders.insert(name.clone(), key.clone());
            let spec = service.spec.clone().unwrap_or_default();
            directory.namespaces.entry(key.namespace.clone()).or_default().push(Published {
                key,
                name,
                selector: spec.selector.unwrap_or_default(),
                ports: spec.ports.unwrap_or_default(),
            });
        }
        for published in directory.namespaces.values_mut() {
            published.sort_by(|a, b| a.key.cmp(&b.key));
        }
        directory
    }

    fn note(&mut self, service: ServiceKey, reason: NoteReason, message: String) {
        self.notes.push(Note { service, reason, message });
    }

    /// What is wrong with Services whatever pods there are.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The name in CNS of each Service that has one.
    pub fn names(&self) -> impl Iterator<Item = (&ServiceKey, &str)> {
        self.namespaces.values().flatten().map(|published| (&published.key, published.name.as_str()))
    }

    /// The Service that has this name in CNS.
    pub fn holder(&self, name: &str) -> Option<&ServiceKey> {
        self.holders.get(name)
    }

    /// The name in CNS of a Service; `None` when it has none, for which there may be a note.
    pub fn name(&self, key: &ServiceKey) -> Option<&str> {
        let services = self.namespaces.get(&key.namespace)?;
        services.iter().find(|published| published.key == *key).map(|published| published.name.as_str())
    }

    /// The entries that a pod's own instance gets.
    pub fn membership(&self, member: &Member<'_>) -> Membership {
        let mut membership = Membership::default();
        let services = self.namespaces.get(member.namespace).into_iter().flatten();
        for service in services.filter(|service| member.is_selected_by(&service.selector)) {
            service.add_to(&mut membership, member);
        }
        membership
    }
}

impl Published {
    /// Adds an entry for each port that the pod serves: with an SRV record for TCP, so that clients that look for one
    /// learn the pod's port; for other protocols the addresses alone, because CNS's SRV records do not say which
    /// protocol they are for.
    fn add_to(&self, membership: &mut Membership, member: &Member<'_>) {
        let Ok(addresses) = CnsService::new(&self.name) else { return };
        let (mut with_port, mut serves) = (Vec::new(), false);
        for port in &self.ports {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let target = match target_of(port, protocol, member) {
                Ok(target) => target,
                Err(name) => {
                    let message = format!(
                        "targetPort {name} of port {} is no {protocol} port of the selected pods, so DNS does not \
                         offer them for it; name the container's port so, or use its number",
                        port.port
                    );
                    membership.notes.push(self.note(NoteReason::UnknownTargetPort, message));
                    continue;
                }
            };
            serves = true;
            if i32::from(target) != port.port {
                let message = format!(
                    "DNS cannot change ports: clients of CNS service {} must use port {target} instead of {}",
                    self.name, port.port
                );
                membership.notes.push(self.note(NoteReason::PortDiffers, message));
            }
            if protocol == "TCP" {
                let entry = addresses.clone().with_port(target).ok();
                with_port.extend(entry.filter(|entry| !with_port.contains(entry)));
            }
        }
        if with_port.is_empty() && serves {
            with_port.push(addresses);
        }
        membership.entries.extend(with_port);
    }

    fn note(&self, reason: NoteReason, message: String) -> Note {
        Note { service: self.key.clone(), reason, message }
    }
}

/// The port of the pod that a port of a Service leads to; the `targetPort` as text when there is none.
fn target_of(port: &ServicePort, protocol: &str, member: &Member<'_>) -> Result<u16, String> {
    let number = |number: i32| u16::try_from(number).ok().filter(|port| *port > 0).ok_or(number.to_string());
    match &port.target_port {
        // The API server's default; 0 is what it is without one.
        None | Some(IntOrString::Int(0)) => number(port.port),
        Some(IntOrString::Int(target)) => number(*target),
        Some(IntOrString::String(name)) => {
            let named = member.ports.iter().find(|port| {
                port.name.as_ref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
            });
            number(named.ok_or_else(|| name.clone())?.container_port)
        }
    }
}

#[cfg(test)]
mod tests;
