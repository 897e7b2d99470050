//! The metadata of instances (reference 2.18).
//!
//! Writes are carried out later: reads may show the old metadata for some seconds. Guests write the same keys.

use super::instances::instance;
use super::{Call, Client};
use crate::budget::Priority;
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{Metadata, RESERVED_METADATA, TagValue};

impl Client {
    /// All metadata of an instance, on request with the passwords that Triton made for it.
    pub async fn list_metadata(&self, id: InstanceId, credentials: bool) -> Result<Metadata> {
        let mut call = metadata(Call::get("ListMachineMetadata", subject(id)), id);
        if credentials {
            call = call.query([("credentials", "true")]);
        }
        self.send(call).await?.object()
    }

    /// Adds keys, or changes their values; others stay. Answers with all metadata as it will be.
    ///
    /// # Errors
    /// [`Invalid`](crate::Kind::Invalid): a key is one of [`RESERVED_METADATA`] or ends in `_pw`, or the body is
    /// larger than [`MAX_BODY_BYTES`](crate::types::MAX_BODY_BYTES).
    pub async fn add_metadata(&self, id: InstanceId, add: &Metadata) -> Result<Metadata> {
        let is_reserved = |key: &str| key.ends_with("_pw") || RESERVED_METADATA.contains(&key);
        let call = metadata(Call::post("AddMachineMetadata", subject(id)), id)
            .priority(Priority::Status)
            .repeatable()
            .without_reserved("a metadata key", add.keys(), is_reserved)?
            .limited_json(add)?;
        self.send(call).await?.object()
    }

    /// The value of one key.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound): it is not there, or its value is not a string.
    pub async fn get_metadata(&self, id: InstanceId, key: &str) -> Result<String> {
        let call = Call::get("GetMachineMetadata", format!("metadata {key:?} of instance {id}"));
        let value: TagValue = self.send(metadata(call, id).path([key])).await?.object()?;
        Ok(value.to_string())
    }

    /// Removes one key. `credentials`, `administrator_pw` and `root_authorized_keys` cannot be removed.
    pub async fn delete_metadata(&self, id: InstanceId, key: &str) -> Result<()> {
        let call = Call::delete("DeleteMachineMetadata", format!("metadata {key:?} of instance {id}"));
        self.send(metadata(call, id).path([key]).priority(Priority::Status)).await.map(drop)
    }

    /// Removes all keys but `root_authorized_keys` and `administrator_pw`.
    pub async fn delete_all_metadata(&self, id: InstanceId) -> Result<()> {
        let call = metadata(Call::delete("DeleteAllMachineMetadata", subject(id)), id);
        self.send(call.priority(Priority::Status)).await.map(drop)
    }
}

fn subject(id: InstanceId) -> String {
    format!("metadata of instance {id}")
}

fn metadata(call: Call, id: InstanceId) -> Call {
    instance(call, id).path(["metadata"])
}
