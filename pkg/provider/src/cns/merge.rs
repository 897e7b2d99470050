//! The three-way merge of the tag `triton.cns.services`: what it is, what of it is ours, what ours should be.

use std::collections::BTreeSet;

use triton::grammar::ParseError;
use triton::grammar::cns::{CnsService, CnsServices, InvalidServices};
use triton::types::{TagValue, Tags};

use crate::names::tag;

/// What to do about the CNS tags of one instance, and what could not be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merge {
    /// What to write.
    pub change: Change,
    /// What was not taken, for events.
    pub conflicts: Vec<Conflict>,
}

/// Writes that make the tags right. Nothing at all when they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Tags to write, in one request: entries and the record of which are ours never differ for long.
    pub set: Tags,
    /// Tags to remove, in this order, after the write: only a request of its own removes a tag (reference 2.17).
    pub remove: Vec<&'static str>,
}

impl Change {
    /// Whether there is nothing to do.
    pub fn is_none(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// Why entries of ours are not in the tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The tag cannot be read; it is left alone. CNS ignores it too.
    #[error("tag triton.cns.services cannot be read and is left as it is; correct or remove it: {0}")]
    Unreadable(ParseError),
    /// The pod's label cannot be read; it is left out.
    #[error("label triton.cns.services is ignored: {0}")]
    Label(ParseError),
    /// Somebody else has put the instance into the service of this name, by the tag or the pod's label.
    #[error(
        "the instance is already in CNS service {0} by the tag or label triton.cns.services; it stays as it is there"
    )]
    NameTaken(Box<str>),
    /// The tag would be too long.
    #[error("{0}; the instance's CNS services stay as they are")]
    TooLong(InvalidServices),
}

/// Merges: entries that are ours are replaced by `desired`, all others stay byte for byte and in order.
///
/// `current` is the tag `triton.cns.services`, `owned` the tag `k8s.cns`, which records our entries as they were
/// written. An entry that is recorded but reads differently now is somebody's, and so is its name. Entries that stay
/// keep their places; new ones go to the end. Applying the change and merging again changes nothing.
pub fn merge(current: Option<&str>, owned: Option<&str>, desired: &[CnsService]) -> Merge {
    let entries = match current.filter(|text| !text.is_empty()).map(str::parse::<CnsServices>) {
        None => Vec::new(),
        Some(Ok(services)) => services.into_iter().collect(),
        Some(Err(error)) => {
            return Merge { change: Change::default(), conflicts: vec![Conflict::Unreadable(error)] };
        }
    };
    let mut recorded: Vec<&str> = owned.into_iter().flat_map(|text| text.split(',')).collect();
    let is_ours: Vec<bool> = entries.iter().map(|entry| take(&mut recorded, entry.text())).collect();
    let foreign: BTreeSet<&str> =
        entries.iter().zip(&is_ours).filter(|(_, ours)| !**ours).map(|(entry, _)| entry.name()).collect();

    let taken: BTreeSet<&str> =
        desired.iter().map(CnsService::name).filter(|name| foreign.contains(name)).collect();
    let mut conflicts: Vec<Conflict> = taken.iter().map(|name| Conflict::NameTaken((*name).into())).collect();
    let mut missing: Vec<&CnsService> = Vec::new();
    for entry in desired.iter().filter(|entry| !taken.contains(entry.name())) {
        if !missing.contains(&entry) {
            missing.push(entry);
        }
    }

    let mut merged = Vec::new();
    let mut ours = Vec::new();
    for (entry, is_ours) in entries.iter().zip(is_ours) {
        if is_ours {
            let Some(index) = missing.iter().position(|wanted| *wanted == entry) else { continue };
            missing.remove(index);
            ours.push(entry.text());
        }
        merged.push(entry.clone());
    }
    ours.extend(missing.iter().map(|entry| entry.text()));
    merged.extend(missing.iter().copied().cloned());

    let services = match CnsServices::new(merged) {
        Ok(services) => Some(services.to_string()),
        Err(InvalidServices::NoServices) => None,
        Err(error) => {
            conflicts.push(Conflict::TooLong(error));
            return Merge { change: Change::default(), conflicts };
        }
    };
    let record = Some(ours.join(",")).filter(|text| !text.is_empty());
    Merge { change: change([(tag::CNS_SERVICES, current, services), (tag::CNS, owned, record)]), conflicts }
}

/// Removes one occurrence of `text` from `recorded`, if there is one.
fn take(recorded: &mut Vec<&str>, text: &str) -> bool {
    let found = recorded.iter().position(|entry| *entry == text);
    if let Some(index) = found {
        recorded.swap_remove(index);
    }
    found.is_some()
}

/// What turns the first value of each tag into the second.
fn change(tags: [(&'static str, Option<&str>, Option<String>); 2]) -> Change {
    let mut change = Change::default();
    if tags.iter().all(|(_, is, should)| *is == should.as_deref()) {
        return change;
    }
    for (key, is, should) in tags {
        match should {
            // Both are written even when only one differs: they belong together.
            Some(text) => drop(change.set.insert(key.to_owned(), TagValue::from(text))),
            None if is.is_some() => change.remove.push(key),
            None => {}
        }
    }
    change
}

/// The entries that an instance should have: those of the pod's label `triton.cns.services`, and those of Services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    entries: Vec<CnsService>,
    conflicts: Vec<Conflict>,
}

/// What a pod's label and its Services ask for. The label is the pod's own wish: it is recorded as ours, so that a
/// label that changes replaces its old entry, and a name that it has is not also taken for a Service.
pub fn wanted(label: Option<&str>, services: &[CnsService]) -> Wanted {
    let label = label.filter(|text| !text.is_empty()).map(str::parse::<CnsServices>);
    let (mut entries, mut conflicts) = (Vec::new(), Vec::new());
    match label {
        None => {}
        Some(Ok(label)) => entries.extend(label),
        Some(Err(error)) => conflicts.push(Conflict::Label(error)),
    }
    let (taken, free): (Vec<_>, Vec<_>) =
        services.iter().partition(|entry| entries.iter().any(|other| other.name() == entry.name()));
    let names: BTreeSet<&str> = taken.into_iter().map(CnsService::name).collect();
    conflicts.extend(names.into_iter().map(|name| Conflict::NameTaken(name.into())));
    entries.extend(free.into_iter().cloned());
    Wanted { entries, conflicts }
}

impl Wanted {
    /// The entries.
    pub fn entries(&self) -> &[CnsService] {
        &self.entries
    }

    /// What to write to an instance that has these tags; for one that is to be made, no tags: all that is then in
    /// the change is to be written with the request.
    pub fn against(&self, tags: &Tags) -> Merge {
        let text = |key| tags.get(key).map(TagValue::to_string);
        let mut merge = merge(text(tag::CNS_SERVICES).as_deref(), text(tag::CNS).as_deref(), &self.entries);
        merge.conflicts.splice(0..0, self.conflicts.iter().cloned());
        merge
    }
}

/// The names of services that an instance with these tags is in, and not by `cluster`: such a name is not to be taken
/// for a Service. Empty for a tag that CNS cannot read.
pub fn foreign_names(tags: &Tags, cluster: &str) -> BTreeSet<String> {
    let text = |key: &str| tags.get(key).map(TagValue::to_string);
    let Some(Ok(services)) = text(tag::CNS_SERVICES).map(|text| text.parse::<CnsServices>()) else {
        return BTreeSet::new();
    };
    let ours = text(tag::CLUSTER).as_deref() == Some(cluster);
    let owned = text(tag::CNS).filter(|_| ours).unwrap_or_default();
    let mut recorded: Vec<&str> = owned.split(',').collect();
    let foreign = services.entries().iter().filter(|entry| !take(&mut recorded, entry.text()));
    foreign.map(|entry| entry.name().to_owned()).collect()
}

/// The names of services that an instance with these tags is in by `cluster`.
pub fn own_names(tags: &Tags, cluster: &str) -> BTreeSet<String> {
    let text = |key: &str| tags.get(key).map(TagValue::to_string);
    let owned = text(tag::CNS).filter(|_| text(tag::CLUSTER).as_deref() == Some(cluster));
    let owned = owned.map(|owned| owned.parse::<CnsServices>());
    owned.into_iter().flatten().flatten().map(|entry| entry.name().to_owned()).collect()
}

#[cfg(test)]
mod tests;
