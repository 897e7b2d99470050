//! Customer metadata of instances (reference 2.18).

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, InstanceId};
use triton::types::RESERVED_METADATA;
use uuid::Uuid;

use super::World;
use super::error::{FieldError, WorldError};
use super::machine::{Caller, Metadata};
use super::params::Params;
use super::tasks::Task;

/// The keys that cannot be deleted.
const PERMANENT: [&str; 3] = ["credentials", "administrator_pw", "root_authorized_keys"];

/// The most bytes of metadata that an instance has. Triton bounds single requests only; the bound is ours.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// What is wrong with metadata: a value that is no string, number or boolean.
///
/// # Errors
///
/// The field and the fault, as VMAPI reports them.
pub(super) fn check(metadata: &Metadata) -> Result<(), FieldError> {
    let is_forbidden = |value: &Value| matches!(value, Value::Null | Value::Array(_) | Value::Object(_));
    match metadata.iter().find(|(_, value)| is_forbidden(value)) {
        Some((key, _)) => Err(FieldError::invalid(format!("customer_metadata.{key}"), "Forbidden Data Type")),
        None => Ok(()),
    }
}

/// The bytes that metadata or tags take, about.
pub(super) fn size(metadata: &Metadata) -> usize {
    let value_size = |value: &Value| value.as_str().map_or(8, str::len);
    metadata.iter().map(|(key, value)| key.len() + value_size(value)).sum()
}

/// A value as the guest reads it.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl World {
    /// Adds metadata to that of an instance. Says the job and what the metadata will be.
    ///
    /// # Errors
    ///
    /// 404, 409 for values that cannot be, 413 when it would become too much.
    pub fn add_metadata(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<(Uuid, Metadata), WorldError> {
        let mut metadata = self.machine(owner, id)?.metadata.clone();
        let set: Metadata = params
            .iter()
            .filter(|(key, _)| !key.ends_with("_pw") && !RESERVED_METADATA.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        check(&set)
            .map_err(|error| WorldError::validation_failed("Invalid metadatum parameters", vec![error]))?;
        metadata.extend(set.clone());
        if size(&metadata) > MAX_BYTES {
            return Err(WorldError::refused(
                413,
                "RequestEntityTooLarge",
                format!("the metadata of an instance is at most {MAX_BYTES} bytes"),
                Vec::new(),
            ));
        }
        Ok((self.enqueue(now, id, Task::SetMetadata(set), caller)?, metadata))
    }

    /// One value of an instance's metadata. CloudAPI shows only strings.
    ///
    /// # Errors
    ///
    /// 404, also for a value that is no string.
    pub fn metadatum(&self, owner: AccountId, id: InstanceId, key: &str) -> Result<&str, WorldError> {
        let machine = self.machine(owner, id)?;
        let Some(value) = machine.metadata.get(key) else {
            return Err(WorldError::not_found(format!("metadatum \"{key}\" not found")));
        };
        value.as_str().ok_or_else(|| WorldError::not_found(format!("{key} is not metadata")))
    }

    /// Removes one key of an instance's metadata.
    ///
    /// # Errors
    ///
    /// 404 when there is no such instance or key, 409 for keys that stay.
    pub fn delete_metadatum(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        key: &str,
        caller: &Caller,
    ) -> Result<Uuid, WorldError> {
        let machine = self.machine(owner, id)?;
        if PERMANENT.contains(&key) {
            let message = format!("Metadata key {key} can not be deleted");
            return Err(WorldError::invalid_argument(message));
        }
        if !machine.metadata.contains_key(key) {
            return Err(WorldError::not_found(format!("metadatum \"{key}\" not found")));
        }
        self.enqueue(now, id, Task::RemoveMetadata(key.to_owned()), caller)
    }

    /// Removes all metadata of an instance but the account's keys and the administrator's password.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_metadata(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        caller: &Caller,
    ) -> Result<Uuid, WorldError> {
        let metadata = &self.machine(owner, id)?.metadata;
        let remove = metadata.keys().filter(|key| !PERMANENT.contains(&key.as_str())).cloned().collect();
        self.enqueue(now, id, Task::ReplaceMetadata { set: Metadata::new(), remove }, caller)
    }

    /// Changes the metadata of an instance; says whether there was room for it, for requests that were queued together
    /// may add up to more than each was allowed.
    pub(super) fn metadata_changes(
        &mut self,
        at: Timestamp,
        id: InstanceId,
        set: &Metadata,
        remove: &[String],
    ) -> bool {
        let Some(machine) = self.machines.get(id) else {
            return false;
        };
        let mut metadata = machine.metadata.clone();
        metadata.retain(|key, _| !remove.contains(key));
        metadata.extend(set.clone());
        let fits = size(&metadata) <= MAX_BYTES;
        if fits {
            self.edit(at, id, &["customer_metadata"], |machine| machine.metadata = metadata);
        }
        fits
    }
}

#[cfg(test)]
mod tests;
