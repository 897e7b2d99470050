//! What to write to an instance so that it is as desired: tags, metadata, firewall, protection, package.
//!
//! An instance has several writers: we, people, and its guest. What is desired is written whenever it differs; what is
//! no longer desired is removed only when we wrote it. That is kept where it is written: the tag `k8s.labels` has
//! the keys of the tags that are labels, and the metadata `k8s:applied` has the keys of the metadata that is ours. A
//! guest can change its own metadata, but no tags, so the worst it can bring about is that metadata of its own
//! instance goes or stays.
//!
//! A removal comes before the write of the list that no longer has its key, so that a stop between the two forgets
//! nothing.

use std::collections::BTreeSet;

use provider::cmon::{self, Change, NoChange};
use provider::names::{metadata as key_of, tag};
use serde::{Deserialize, Serialize};
use triton::types::{Brand, Instance, InstanceAction, Metadata, RESERVED_METADATA, TagValue, Tags};

use super::env::Environment;
use super::{Demand, Desired, ImageName, PackageDemand, Warning};
use crate::lifecycle::Step;

/// Who writes the tags `triton.cns.services` and `k8s.cns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CnsTags {
    /// Nobody else: the pod's label is all that is wanted.
    Here,
    /// The merge with the memberships of Services; they are left out here.
    Elsewhere,
}

/// What to write, and what to tell the user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// In this order; at most one write that adds of each kind.
    pub steps: Vec<Step>,
    /// Changes to the pod that the instance cannot follow.
    pub warnings: Vec<Warning>,
}

/// Which metadata is ours, as the metadata `k8s:applied` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    /// [`Environment::names_digest`] of the environment that `user-data` is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    /// The keys of annotations.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    metadata: BTreeSet<String>,
}

impl Applied {
    pub(crate) fn of(demand: &Demand, environment: &Environment) -> Self {
        let is_own = !demand.metadata.contains_key(key_of::USER_DATA) && !environment.is_empty();
        Self {
            env: is_own.then(|| environment.names_digest()),
            metadata: demand.metadata.keys().map(str::to_owned).collect(),
        }
    }

    /// As it is written; `None` when there is nothing to write.
    pub(crate) fn text(&self) -> Option<String> {
        // Cannot fail: keys and values are texts.
        (*self != Self::default()).then(|| serde_json::to_string(self).ok()).flatten()
    }

    /// What an instance says; nothing where it says nothing that makes sense.
    fn read(existing: &Metadata) -> Self {
        let text = existing.get(key_of::APPLIED).unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// Compares an instance, as it will be when the writes under way are carried out, with what it should be.
///
/// The metadata `triton.cns.status` is not looked at: it follows the pod's readiness.
pub fn plan(desired: &Desired, existing: &Instance, cns: CnsTags) -> Drift {
    let mut drift = Drift::default();
    switches(desired, existing, &mut drift);
    let is_resized = package(desired, existing, &mut drift);
    image(desired, existing, &mut drift);
    tags(desired, existing, cns, is_resized, &mut drift);
    user_metadata(desired, existing, &mut drift);
    drift
}

fn switches(desired: &Desired, existing: &Instance, drift: &mut Drift) {
    let demand = &desired.demand;
    let mut act = |action| drift.steps.push(Step::Act { id: existing.id, action });
    match demand.firewall.enabled {
        Some(true) if !existing.firewall_enabled => act(InstanceAction::EnableFirewall),
        Some(false) if existing.firewall_enabled => act(InstanceAction::DisableFirewall),
        _ => {}
    }
    match (demand.deletion_protection, existing.deletion_protection) {
        (true, false) => act(InstanceAction::EnableDeletionProtection),
        (false, true) if demand.deletion_protection_stated => act(InstanceAction::DisableDeletionProtection),
        _ => {}
    }
}

/// Resizes an instance whose pod asks for other resources than those that its package was chosen for. Says whether the
/// package is now the one for the resources, so that they can be noted down. That a smaller package came up since
/// is no reason to resize.
fn package(desired: &Desired, existing: &Instance, drift: &mut Drift) -> bool {
    let Some(present) = existing.package.as_deref() else {
        return false;
    };
    let wanted = &*desired.package.name;
    let mut warn = |message: String| drift.warnings.push(Warning::new(Warning::CHANGE_IGNORED, message));
    if !matches!(desired.demand.package, PackageDemand::Fit(_)) {
        if present != wanted {
            warn(format!(
                "the instance stays in package {present}: the annotation package counts when a pod is made; \
                 for {wanted} make the pod again"
            ));
        }
        return true;
    }
    let noted = existing.tags.get(tag::RESOURCES);
    if noted.is_none() || noted == desired.request.tags.get(tag::RESOURCES) || present == wanted {
        return true;
    }
    if matches!(existing.brand, Brand::Bhyve | Brand::Kvm) {
        let brand = existing.brand.as_str();
        warn(format!(
            "{brand} instances cannot be resized while they run; the instance stays in package {present}, \
             for {wanted} make the pod again"
        ));
        return false;
    }
    let action = InstanceAction::Resize { package: wanted.to_owned() };
    drift.steps.push(Step::Act { id: existing.id, action });
    true
}

/// Where an image is named, a newer one of the name is no change to the pod.
fn image(desired: &Desired, existing: &Instance, drift: &mut Drift) {
    if let (ImageName::Id(wanted), Some(present)) = (&desired.demand.image, existing.image)
        && present != *wanted
    {
        let message = format!("the instance stays with image {present}; for {wanted} make the pod again");
        drift.warnings.push(Warning::new(Warning::CHANGE_IGNORED, message));
    }
}

fn tags(desired: &Desired, existing: &Instance, cns: CnsTags, is_resized: bool, drift: &mut Drift) {
    let wanted = &desired.request.tags;
    let groups = cmon_groups(wanted, &existing.tags);
    let is_elsewhere = |key: &str| match key {
        tag::CNS_SERVICES | tag::CNS => cns == CnsTags::Elsewhere,
        tag::CMON_GROUPS => true,
        // What the groups are compared with goes after them.
        tag::CMON => groups.is_err() || (groups != Ok(Change::Same) && !wanted.contains_key(tag::CMON)),
        _ => false,
    };
    let noted = existing.tags.get(tag::LABELS).and_then(TagValue::as_str).unwrap_or_default();
    // Never what begins with our prefix: whose an instance is must not depend on a list that people can edit.
    let labels = noted.split(',').filter(|key| !key.starts_with(tag::PREFIX));
    let own = [tag::PORTS, tag::GROUP, tag::LABELS, tag::RESOURCES, tag::CMON];
    let removed: BTreeSet<&str> = labels
        .chain(own)
        .filter(|key| existing.tags.contains_key(*key) && !wanted.contains_key(*key) && !is_elsewhere(key))
        .collect();
    for key in removed {
        drift.steps.push(Step::RemoveTag { id: existing.id, key: key.to_owned() });
    }
    let mut added: Tags = wanted
        .iter()
        .filter(|(key, value)| existing.tags.get(*key) != Some(value) && !is_elsewhere(key))
        .filter(|(key, _)| is_resized || *key != tag::RESOURCES)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    match groups {
        Ok(Change::Set(groups)) => {
            added.insert(tag::CMON_GROUPS.to_owned(), TagValue::from(groups));
        }
        // The cluster's is always wanted, so some group is left.
        Ok(Change::Same | Change::Remove) => {}
        Err(why) => drift.warnings.push(Warning::new(Warning::CMON, why.to_string())),
    }
    if !added.is_empty() {
        drift.steps.push(Step::AddTags { id: existing.id, tags: added });
    }
}

/// The CMON groups are merged, for those of others stay.
fn cmon_groups(wanted: &Tags, existing: &Tags) -> Result<Change, NoChange> {
    let former = existing.get(tag::CMON).and_then(TagValue::as_str).into_iter();
    let wanted = wanted.get(tag::CMON_GROUPS).and_then(TagValue::as_str).unwrap_or_default();
    cmon::merge(existing.get(tag::CMON_GROUPS), former, wanted.split(','))
}

fn user_metadata(desired: &Desired, existing: &Instance, drift: &mut Drift) {
    let (demand, environment) = (&desired.demand, &desired.environment);
    let (wanted, present) = (Applied::of(demand, environment), Applied::read(&existing.metadata));
    let mut added: Metadata =
        demand.metadata.iter().filter(|(key, value)| existing.metadata.get(key) != Some(value)).collect();
    let mut removed: BTreeSet<&str> = present
        .metadata
        .iter()
        .map(String::as_str)
        .filter(|key| existing.metadata.contains_key(key) && !demand.metadata.contains_key(key))
        .filter(|key| is_removable(key))
        .collect();
    let user_data = existing.metadata.get(key_of::USER_DATA);
    let is_same = wanted.env == present.env && user_data.is_some_and(|text| environment.is_in(text));
    if wanted.env.is_some() {
        match environment.user_data() {
            Some(text) if !is_same => {
                added.insert(key_of::USER_DATA, text);
            }
            _ => {}
        }
        removed.remove(key_of::USER_DATA);
    } else if present.env.is_some() && user_data.is_some() && !demand.metadata.contains_key(key_of::USER_DATA)
    {
        removed.insert(key_of::USER_DATA);
    }
    match wanted.text() {
        Some(text) if wanted != present => added.insert(key_of::APPLIED, text),
        None if existing.metadata.contains_key(key_of::APPLIED) => {
            removed.insert(key_of::APPLIED);
        }
        _ => {}
    }
    for key in removed {
        drift.steps.push(Step::RemoveMetadata { id: existing.id, key: key.to_owned() });
    }
    if !added.is_empty() {
        drift.steps.push(Step::AddMetadata { id: existing.id, metadata: added });
    }
}

/// Whether CloudAPI removes it (reference 2.18), and it is not the lifecycle's.
fn is_removable(key: &str) -> bool {
    let managed = [key_of::CNS_STATUS, key_of::EXIT_CODE, "root_authorized_keys", "administrator_pw"];
    !RESERVED_METADATA.contains(&key) && !managed.contains(&key)
}

#[cfg(test)]
mod tests;
