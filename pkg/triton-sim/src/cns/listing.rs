//! Whether CNS lists an instance at all, and whether in its services (reference 3.3, 3.4).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use triton::grammar::cns::CnsServices;

use super::names::is_host_name;
use crate::view::{InstanceView, VmState};

/// The tag with the services of an instance.
const SERVICES: &str = "triton.cns.services";
/// The tag that takes an instance out of CNS.
const DISABLE: &str = "triton.cns.disable";
/// The tag with the name that the instance's addresses lead back to.
const REVERSE_PTR: &str = "triton.cns.reverse_ptr";
/// The metadata key with which an instance leaves its services.
const STATUS: &str = "triton.cns.status";
/// The metadata key with answers to DNS-01 challenges.
const ACME_CHALLENGE: &str = "triton.cns.acme-challenge";
/// A label of a Docker container is a tag with this prefix, and counts where the plain tag is missing.
const DOCKER_LABEL: &str = "docker:label:";

/// The longest string of a TXT record, in bytes. Longer challenges are left out.
const MAX_TEXT: usize = 255;
/// How many entries of the services and how many challenges count. The real CNS has no limit (reference 3.5).
const MAX_ENTRIES: usize = 1000;

/// What CNS makes of an instance that it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Whether the instance answers for its services. If not, their TXT records say `verifying:`.
    pub in_services: bool,
    /// The services, in the order of the tag, each once.
    pub services: Vec<Service>,
    /// The name that its addresses lead back to, unless that is its own.
    pub reverse_ptr: Option<String>,
    /// The answers to DNS-01 challenges.
    pub challenges: Vec<Arc<str>>,
}

/// A service that an instance is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in lower case.
    pub name: String,
    /// The ports of its SRV records, each once.
    pub ports: Vec<u16>,
}

/// Whether, and as what, CNS lists an instance. `node_down` is whether CNS takes its compute node for down,
/// which it does an hour after the last heartbeat (reference 3.4).
///
/// An invalid `triton.cns.services` means no services: CloudAPI refuses it, so it came by another way. So
/// does an invalid `triton.cns.reverse_ptr`.
pub fn listing(view: &InstanceView, node_down: bool) -> Option<Listing> {
    let reverse_ptr = reverse_ptr(&view.tags);
    let is_gone = matches!(view.state, VmState::Destroyed | VmState::Failed);
    if is_gone || is_disabled(&view.tags) || !(view.cns_enabled || reverse_ptr.is_some()) {
        return None;
    }
    let is_up = view.metadata.get(STATUS).is_none_or(|status| status == "up");
    let challenges = view.metadata.get(ACME_CHALLENGE).map(String::as_str).unwrap_or_default();
    Some(Listing {
        in_services: view.cns_enabled && is_up && !node_down && view.state == VmState::Running,
        services: services(&view.tags),
        reverse_ptr,
        challenges: challenges
            .split(' ')
            .filter(|text| (1..=MAX_TEXT).contains(&text.len()))
            .take(MAX_ENTRIES)
            .map(Arc::from)
            .collect(),
    })
}

type Tags = BTreeMap<String, Value>;

fn docker_label<'a>(tags: &'a Tags, key: &str) -> Option<&'a Value> {
    tags.get(&format!("{DOCKER_LABEL}{key}"))
}

/// Anything but boolean false disables, even the text `false`. Docker labels are always texts, so there that
/// one is tolerated.
fn is_disabled(tags: &Tags) -> bool {
    let is_false = |value: &Value| *value == Value::Bool(false);
    tags.get(DISABLE).is_some_and(|value| !is_false(value))
        || docker_label(tags, DISABLE).is_some_and(|value| !is_false(value) && value != "false")
}

fn reverse_ptr(tags: &Tags) -> Option<String> {
    let candidates = [tags.get(REVERSE_PTR), docker_label(tags, REVERSE_PTR)];
    let mut names = candidates.into_iter().flatten().filter_map(Value::as_str);
    names.find(|name| is_host_name(name)).map(str::to_owned)
}

fn services(tags: &Tags) -> Vec<Service> {
    let tag = tags.get(SERVICES).or_else(|| docker_label(tags, SERVICES));
    let Some(parsed) = tag.and_then(Value::as_str).and_then(|tag| tag.parse::<CnsServices>().ok()) else {
        return Vec::new();
    };
    let mut services: Vec<Service> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for entry in parsed.into_iter().take(MAX_ENTRIES) {
        let position = *index.entry(entry.name().to_owned()).or_insert_with(|| {
            services.push(Service { name: entry.name().to_owned(), ports: Vec::new() });
            services.len() - 1
        });
        let Some(service) = services.get_mut(position) else { continue };
        service.ports.extend(entry.port().filter(|port| !service.ports.contains(port)));
    }
    services
}
