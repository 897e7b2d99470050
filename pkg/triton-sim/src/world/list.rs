//! Finding instances (reference 2.13).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use triton::id::{AccountId, ImageId};

use super::World;
use super::error::WorldError;
use super::machine::{Machine, Tags};
use super::params::{self, Params};
use crate::view::VmState;

/// Which instances are wanted; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFilter {
    /// `true` for virtual machines, `false` for zones.
    pub hvm: Option<bool>,
    /// The brand.
    pub brand: Option<String>,
    /// The beginning of the name.
    pub name_prefix: Option<String>,
    /// The image; `Some(None)` for a text that is the id of none.
    pub image: Option<Option<ImageId>>,
    /// The state.
    pub state: StateFilter,
    /// Memory in MiB; `Some(None)` for a text that is no number.
    pub memory_mib: Option<Option<u64>>,
    /// Tags and their values, where `*` stands for anything.
    pub tags: BTreeMap<String, String>,
    /// Every instance with a tag, in whatever state: no other condition counts (`tags=*`).
    pub any_tag: bool,
    /// Whether sdc-docker made it.
    pub docker: Option<bool>,
}

/// Which states are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StateFilter {
    /// Neither destroyed nor failed.
    #[default]
    Active,
    /// Also those (`tombstone`).
    Any,
    /// This one, as VMAPI has it stored: running instances of a lost compute node are still running here.
    Is(VmState),
}

impl MachineFilter {
    /// Reads the parameters of a list request.
    ///
    /// # Errors
    ///
    /// 409 for a state, type or boolean that CloudAPI does not know.
    pub fn from_params(params: &Params) -> Result<Self, WorldError> {
        let text = |name| params::text(params, name);
        let state = match text("state").as_deref() {
            None if params::is_truthy(params, "tombstone") => StateFilter::Any,
            None | Some("active" | "provisioning" | "stopping") => StateFilter::Active,
            Some("stopped") => StateFilter::Is(VmState::Stopped),
            Some("running") => StateFilter::Is(VmState::Running),
            Some("unknown") => StateFilter::Is(VmState::Unknown),
            Some("destroyed") => StateFilter::Is(VmState::Destroyed),
            Some(other) => {
                return Err(WorldError::invalid_argument(format!("{other} is not a valid state")));
            }
        };
        let hvm = match text("type").as_deref() {
            None => None,
            Some("smartmachine") => Some(false),
            Some("virtualmachine") => Some(true),
            Some(other) => {
                return Err(WorldError::invalid_argument(format!("{other} is not a valid type")));
            }
        };
        let docker = match text("docker").as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => {
                return Err(WorldError::invalid_argument(format!("{other} is not a valid boolean")));
            }
        };
        let tags = params.keys().filter_map(|name| {
            let tag = name.strip_prefix("tag.")?;
            Some((tag.to_owned(), text(name).unwrap_or_default()))
        });
        Ok(Self {
            hvm,
            brand: text("brand"),
            name_prefix: text("name"),
            image: text("image").or_else(|| text("dataset")).map(|image| image.parse().ok()),
            state,
            memory_mib: text("memory").map(|memory| memory.parse().ok()),
            tags: tags.collect(),
            any_tag: text("tags").as_deref() == Some("*"),
            docker,
        })
    }

    /// Whether an instance is wanted.
    pub fn matches(&self, machine: &Machine) -> bool {
        if self.any_tag {
            return !machine.tags.is_empty();
        }
        let state = match self.state {
            StateFilter::Active => machine.is_active(),
            StateFilter::Any => true,
            StateFilter::Is(state) => machine.stored_state == state,
        };
        state
            && self.hvm.is_none_or(|hvm| machine.brand.is_hvm() == hvm)
            && self.brand.as_ref().is_none_or(|brand| machine.brand.as_str() == brand)
            && self.name_prefix.as_ref().is_none_or(|prefix| machine.name.starts_with(prefix))
            && self.image.is_none_or(|image| image == Some(machine.image))
            && self.memory_mib.is_none_or(|memory| memory == Some(machine.memory_mib))
            && self.docker.is_none_or(|docker| machine.docker == docker)
            && self.tags.iter().all(|(name, pattern)| tag_matches(&machine.tags, name, pattern))
    }
}

/// Booleans and numbers are compared by their text, so that `2` finds both the number and the string.
fn tag_matches(tags: &Tags, name: &str, pattern: &str) -> bool {
    match tags.get(name) {
        None => false,
        Some(Value::String(text)) => glob(pattern, text),
        Some(other) => glob(pattern, &other.to_string()),
    }
}

/// Whether a text fits a pattern in which each `*` stands for any characters, in time of at most their product.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut rest = rest;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

impl World {
    /// The instances of an account that a filter wants, by id from the highest. Rows are shared, so that a page of
    /// them costs little.
    pub fn list_machines<'a>(
        &'a self,
        owner: AccountId,
        filter: &'a MachineFilter,
    ) -> impl Iterator<Item = &'a Arc<Machine>> + use<'a> {
        let only_active = !filter.any_tag && filter.state == StateFilter::Active;
        let (active, all) = match only_active {
            true => (Some(self.machines.active_of(owner)), None),
            false => (None, Some(self.machines.all_of(owner))),
        };
        let rows = active.into_iter().flatten().chain(all.into_iter().flatten());
        rows.filter(|machine| filter.matches(machine))
    }
}

#[cfg(test)]
mod tests;
