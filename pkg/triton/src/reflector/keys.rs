//! Look-ups by name and by tag. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::id::InstanceId;
use crate::types::{Instance, TagValue};

/// Secondary keys of the instances in the store, kept equal to their expected names and tags.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_name: HashMap<Box<str>, BTreeSet<InstanceId>>,
    by_tag: HashMap<Box<str>, HashMap<TagValue, BTreeSet<InstanceId>>>,
}

impl Keys {
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = InstanceId> {
        self.by_name.get(name).into_iter().flatten().copied()
    }

    pub(super) fn tagged(&self, key: &str, value: &TagValue) -> impl Iterator<Item = InstanceId> {
        self.by_tag.get(key).and_then(|values| values.get(value)).into_iter().flatten().copied()
    }

    /// Follows one instance from what it was to what it is.
    pub(super) fn update(&mut self, old: Option<&Instance>, new: Option<&Instance>) {
        if let (Some(old), Some(new)) = (old, new)
            && old.name == new.name
            && old.tags == new.tags
        {
            return;
        }
        if let Some(old) = old {
            self.remove(old);
        }
        if let Some(new) = new {
            self.add(new);
        }
    }

    fn add(&mut self, instance: &Instance) {
        self.by_name.entry(instance.name.clone()).or_default().insert(instance.id);
        for (key, value) in &instance.tags {
            if !self.by_tag.contains_key(key.as_str()) {
                self.by_tag.insert(key.as_str().into(), HashMap::new());
            }
            if let Some(values) = self.by_tag.get_mut(key.as_str()) {
                values.entry(value.clone()).or_default().insert(instance.id);
            }
        }
    }

    fn remove(&mut self, instance: &Instance) {
        if let Some(ids) = self.by_name.get_mut(&instance.name) {
            ids.remove(&instance.id);
            if ids.is_empty() {
                self.by_name.remove(&instance.name);
            }
        }
        for (key, value) in &instance.tags {
            let Some(values) = self.by_tag.get_mut(key.as_str()) else {
                continue;
            };
            if let Some(ids) = values.get_mut(value) {
                ids.remove(&instance.id);
                if ids.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.by_tag.remove(key.as_str());
            }
        }
    }
}
