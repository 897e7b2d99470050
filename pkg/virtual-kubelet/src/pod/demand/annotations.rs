//! Annotations: our own names, and metadata by every other name.

use std::collections::BTreeMap;

use provider::names::{self, PREFIX, annotation};
use triton::types::{Metadata, RESERVED_METADATA};

use super::{indexed, invalid, unsupported};
use crate::pod::{Refusal, Warning};

/// An annotation of ours. With [`PREFIX`] it may have either name, the long one first; without it only the short one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    long: &'static str,
    short: &'static str,
}

impl Name {
    pub(super) const PACKAGE: Self = Self::same(annotation::PACKAGE);
    pub(super) const NETWORKS: Self = Self::same(annotation::NETWORKS);
    pub(super) const AFFINITY: Self = Self::same(annotation::AFFINITY);
    pub(super) const POD_NETWORK: Self = Self::same(annotation::POD_NETWORK);
    pub(super) const FIREWALL_ENABLED: Self =
        Self { long: annotation::FIREWALL_ENABLED_LONG, short: annotation::FIREWALL_ENABLED };
    pub(super) const FIREWALL_GROUP: Self =
        Self { long: annotation::FIREWALL_GROUP_LONG, short: annotation::FIREWALL_GROUP };
    pub(super) const DELETION_PROTECTION: Self =
        Self { long: annotation::DELETION_PROTECTION_LONG, short: annotation::DELETION_PROTECTION };

    const ALL: [Self; 7] = [
        Self::PACKAGE,
        Self::NETWORKS,
        Self::AFFINITY,
        Self::POD_NETWORK,
        Self::FIREWALL_ENABLED,
        Self::FIREWALL_GROUP,
        Self::DELETION_PROTECTION,
    ];

    const fn same(name: &'static str) -> Self {
        Self { long: name, short: name }
    }
}

/// Our annotations that have no short name and are read elsewhere.
const LONG_ONLY: [&str; 3] = [annotation::METADATA, annotation::SSH_USER, annotation::SSH_HOST_KEY];

/// The original provider's switch to containers of sdc-docker.
const BRAND_SWITCH: &str = "type";

/// Keys of metadata whose values Triton makes itself, or that are the lifecycle's.
const MANAGED: &[&str] = &[names::metadata::CNS_STATUS, names::metadata::APPLIED, names::metadata::EXIT_CODE];

/// The annotations of a pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Annotations<'a>(&'a BTreeMap<String, String>);

impl<'a> Annotations<'a> {
    pub(super) fn new(entries: &'a BTreeMap<String, String>) -> Self {
        Self(entries)
    }

    /// The key that is there, and its value without blanks around it.
    fn get(self, name: Name) -> Option<(String, &'a str)> {
        let keys =
            [format!("{PREFIX}{}", name.long), format!("{PREFIX}{}", name.short), name.short.to_owned()];
        keys.into_iter().find_map(|key| {
            let value = self.0.get(&key)?.trim();
            Some((key, value))
        })
    }

    /// A text that is not empty.
    pub(super) fn text(self, name: Name) -> Result<Option<&'a str>, Refusal> {
        match self.get(name) {
            Some((key, "")) => Err(invalid(field(&key), "is empty; give it a value or remove it")),
            found => Ok(found.map(|(_, value)| value)),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(self, name: Name) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some((_, "true")) => Ok(Some(true)),
            Some((_, "false")) => Ok(Some(false)),
            Some((key, other)) => {
                Err(invalid(field(&key), format!("is {other:?}; write \"true\" or \"false\"")))
            }
        }
    }

    /// Texts separated by commas, none of them empty.
    pub(super) fn list(self, name: Name) -> Result<Vec<&'a str>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(Vec::new());
        };
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        match items.contains(&"") {
            true => Err(invalid(self.field(name), "has an empty element between its commas")),
            false => Ok(items),
        }
    }

    /// What an error calls this annotation: by the key that the pod has.
    pub(super) fn field(self, name: Name) -> String {
        self.get(name).map_or_else(|| field(name.short), |(key, _)| field(&key))
    }

    /// The annotations that are metadata: those without a `/` that are not ours, and what [`annotation::METADATA`]
    /// adds to them or replaces.
    pub(super) fn metadata(self, warnings: &mut Vec<Warning>) -> Result<Metadata, Refusal> {
        let mut metadata = Metadata::new();
        for (key, value) in self.0 {
            if let Some(name) = key.strip_prefix(PREFIX) {
                let is_ours = |known: &Name| name == known.long || name == known.short;
                if !Name::ALL.iter().any(is_ours) && !LONG_ONLY.contains(&name) {
                    let message = format!("the annotation {key} has no meaning for pods; check its spelling");
                    warnings.push(Warning::new(Warning::IGNORED, message));
                }
            } else if key == BRAND_SWITCH && value == "docker" {
                let message = "containers of sdc-docker are not supported; remove it and name a Triton image";
                return Err(unsupported(field(key), message));
            } else if !key.contains('/') && !Name::ALL.iter().any(|known| *key == known.short) {
                add(&mut metadata, key, value, &field(key), warnings);
            }
        }
        let key = format!("{PREFIX}{}", annotation::METADATA);
        if let Some(text) = self.0.get(&key) {
            // The error of the JSON parser is left out: it may quote a secret.
            let more: BTreeMap<String, String> = serde_json::from_str(text)
                .map_err(|_| invalid(field(&key), "is no JSON object whose values are all texts"))?;
            for (name, value) in &more {
                add(&mut metadata, name, value, &field(&key), warnings);
            }
        }
        Ok(metadata)
    }
}

fn field(key: &str) -> String {
    indexed("annotations", key)
}

/// Adds a key, unless the server would drop it (reference 2.18) or it is kept by us.
fn add(metadata: &mut Metadata, key: &str, value: &str, field: &str, warnings: &mut Vec<Warning>) {
    let why = if RESERVED_METADATA.contains(&key) || key.ends_with("_pw") || key.is_empty() {
        "CloudAPI does not take it"
    } else if MANAGED.contains(&key) {
        "it is kept by the virtual kubelet"
    } else {
        metadata.insert(key, value);
        return;
    };
    let message = format!("{field}: {key:?} does not become metadata, {why}");
    warnings.push(Warning::new(Warning::IGNORED, message));
}
