//! Tags of instances (reference 2.17).

use jiff::Timestamp;
use serde_json::Value;
use triton::grammar::cmon_groups::CmonGroups;
use triton::grammar::cns::CnsServices;
use triton::id::{AccountId, InstanceId};
use triton::types::RESERVED_TAGS;
use uuid::Uuid;

use super::World;
use super::error::{FieldError, WorldError};
use super::machine::{Caller, Tags};
use super::metadata;
use super::params::Params;
use super::tasks::Task;

/// The most bytes of tags that an instance has. VMAPI keeps them all in one indexed column (reference 2.17), but no
/// limit is known; the bound is ours.
const MAX_BYTES: usize = 1 << 20;

/// The keys that sdc-docker sets and nobody else may (reference 2.17).
fn is_docker_tag(key: &str) -> bool {
    key == "sdc_docker" || key.starts_with("docker:label:")
}

/// What is wrong with a set of tags: a value that is no string, number or boolean, or a tag of Triton's own
/// namespace that it does not know or whose value it does not accept.
///
/// # Errors
///
/// The field and the fault, as VMAPI reports them.
pub(super) fn check(tags: &Tags) -> Result<(), FieldError> {
    for (key, value) in tags {
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            return Err(FieldError::invalid(format!("tags.{key}"), "Forbidden Data Type"));
        }
    }
    for (key, value) in tags {
        if let Some(name) = key.strip_prefix("docker:label:").filter(|name| name.starts_with("triton.")) {
            check_triton_tag(name, value).map_err(|fault| FieldError::invalid("tags", fault))?;
        } else if key.starts_with("triton.") {
            check_triton_tag(key, value).map_err(|fault| FieldError::invalid("tags", fault))?;
        }
        if is_docker_tag(key) {
            return Err(FieldError::invalid("tags", format!("Special tag \"{key}\" not supported")));
        }
    }
    Ok(())
}

fn check_triton_tag(key: &str, value: &Value) -> Result<(), String> {
    let wrong_type = |kind: &str| Err(format!("Triton tag \"{key}\" value must be a {kind}: {value}"));
    match key {
        "triton.cns.disable" | "triton.placement.exclude_virtual_servers" => {
            if value.is_boolean() {
                Ok(())
            } else {
                wrong_type("boolean")
            }
        }
        "triton.cns.services"
        | "triton.cns.reverse_ptr"
        | "triton.cmon.groups"
        | "triton.network.public"
        | "triton.network.public_ipv4" => {
            let Value::String(text) = value else {
                return wrong_type("string");
            };
            let fault = match key {
                "triton.cns.services" => text.parse::<CnsServices>().err(),
                "triton.cmon.groups" => text.parse::<CmonGroups>().err(),
                "triton.cns.reverse_ptr" if !is_dns_name(text) => {
                    return Err(format!("invalid DNS name for \"{key}\": \"{text}\""));
                }
                _ => None,
            };
            fault.map_or(Ok(()), |fault| Err(format!("invalid \"{key}\" tag: {}", fault.message())))
        }
        _ if key.starts_with("triton._test.") => Ok(()),
        _ => Err(format!("Unrecognized special triton tag \"{key}\"")),
    }
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner)
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// The tags among the merged parameters of a request: all but those that the route itself uses.
fn tags_of(params: &Params) -> Tags {
    let is_tag = |key: &str| !RESERVED_TAGS.contains(&key);
    params.iter().filter(|(key, _)| is_tag(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn refused(action: &str, error: FieldError) -> WorldError {
    WorldError::validation_failed(format!("error {action} tags: Invalid tag parameters"), vec![error])
}

impl World {
    /// Adds tags to those an instance has. Says the job and what the tags will be.
    ///
    /// # Errors
    ///
    /// 404, and 409 for tags that cannot be.
    pub fn add_tags(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<(Uuid, Tags), WorldError> {
        let mut tags = self.machine(owner, id)?.tags.clone();
        let set = tags_of(params);
        check(&set).map_err(|error| refused("adding", error))?;
        tags.extend(set.clone());
        check_size(&tags)?;
        Ok((self.enqueue(now, id, Task::SetTags(set), caller)?, tags))
    }

    /// Replaces all tags of an instance. Which ones go is decided now, by what the instance has now: concurrent
    /// writers lose updates (reference 6 no. 14). Says the job and what the tags will be.
    ///
    /// # Errors
    ///
    /// 404, and 409 for tags that cannot be, or that cannot be removed.
    pub fn replace_tags(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<(Uuid, Tags), WorldError> {
        let tags = &self.machine(owner, id)?.tags;
        let set = tags_of(params);
        check(&set).map_err(|error| refused("replacing", error))?;
        let remove: Vec<String> = tags.keys().filter(|key| !set.contains_key(*key)).cloned().collect();
        check_removal(&remove).map_err(|error| refused("replacing", error))?;
        let task = Task::ReplaceTags { set: set.clone(), remove };
        Ok((self.enqueue(now, id, task, caller)?, set))
    }

    /// Removes one tag of an instance.
    ///
    /// # Errors
    ///
    /// 404 when there is no such instance or tag, 409 when the tag cannot be removed.
    pub fn delete_tag(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        key: &str,
        caller: &Caller,
    ) -> Result<Uuid, WorldError> {
        self.tag(owner, id, key)?;
        let remove = vec![key.to_owned()];
        check_removal(&remove).map_err(|error| refused("deleting", error))?;
        self.enqueue(now, id, Task::RemoveTags(remove), caller)
    }

    /// Removes all tags of an instance.
    ///
    /// # Errors
    ///
    /// 404, and 409 when one of the tags cannot be removed.
    pub fn delete_tags(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        caller: &Caller,
    ) -> Result<Uuid, WorldError> {
        let remove: Vec<String> = self.machine(owner, id)?.tags.keys().cloned().collect();
        check_removal(&remove).map_err(|error| refused("deleting all", error))?;
        self.enqueue(now, id, Task::RemoveTags(remove), caller)
    }

    /// One tag of an instance. CloudAPI shows only strings, everything else as an empty one.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn tag(&self, owner: AccountId, id: InstanceId, key: &str) -> Result<&Value, WorldError> {
        let not_found = || WorldError::not_found(format!("tag \"{key}\" not found"));
        self.machine(owner, id)?.tags.get(key).ok_or_else(not_found)
    }

    /// Changes the tags of an instance; says whether there was room for them, for requests that were queued together
    /// may add up to more than each was allowed.
    pub(super) fn tags_change(
        &mut self,
        at: Timestamp,
        id: InstanceId,
        set: &Tags,
        remove: &[String],
    ) -> bool {
        let Some(machine) = self.machines.get(id) else {
            return false;
        };
        let mut tags = machine.tags.clone();
        tags.retain(|key, _| !remove.contains(key));
        tags.extend(set.clone());
        let fits = check_size(&tags).is_ok();
        if fits {
            self.edit(at, id, &["tags"], |machine| machine.tags = tags);
        }
        fits
    }
}

fn check_size(tags: &Tags) -> Result<(), WorldError> {
    if metadata::size(tags) <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("the tags of an instance are at most {MAX_BYTES} bytes");
    Err(WorldError::refused(413, "RequestEntityTooLarge", message, Vec::new()))
}

fn check_removal(keys: &[String]) -> Result<(), FieldError> {
    match keys.iter().find(|key| is_docker_tag(key)) {
        Some(key) => Err(FieldError::invalid("tags", format!("Special tag \"{key}\" may not be deleted"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
