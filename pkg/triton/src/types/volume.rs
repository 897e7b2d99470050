//! Shared NFS volumes (reference 2.23), where the operator offers them.

use crate::id::{AccountId, InstanceId, NetworkId, VolumeId};
use crate::types::object::{object, open_enum};
use crate::types::query::Query;
use crate::types::tags::Tags;
use jiff::Timestamp;
use serde::Serialize;

open_enum! {
    /// The kind of a volume.
    pub enum VolumeType {
        /// NFSv3 on a fabric network.
        TritonNfs = "tritonnfs",
    }
}

open_enum! {
    /// The state of a volume.
    pub enum VolumeState {
        /// Being made.
        Creating = "creating",
        /// Ready to mount.
        Ready = "ready",
        /// Its making failed. Left out of lists by default.
        Failed = "failed",
        /// Being deleted; after that it is a 404 `VolumeNotFound`.
        Deleting = "deleting",
    }
}

object! {
    /// A volume. Whoever reaches its network can mount it; there is no other access control.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Volume("a volume") {
        /// Its id.
        identity id: VolumeId = "id",
        /// Its name, unique within the account.
        name: Box<str> = "name",
        /// The account that owns it.
        owner: Option<AccountId> = "owner_uuid",
        /// Its kind.
        volume_type: VolumeType = "type",
        /// Its size in MiB.
        size_mib: Option<u64> = "size",
        /// Its state.
        state: VolumeState = "state",
        /// The fabric networks it is reachable on.
        networks: Box<[NetworkId]> = "networks",
        /// What to mount, `<ip>:/exports/data`, once it is ready.
        filesystem_path: Option<Box<str>> = "filesystem_path",
        /// When it was made.
        created: Option<Timestamp> = "created",
        /// Tags.
        tags: Tags = "tags",
        /// The instances that mount it; while there are any it cannot be deleted.
        refs: Box<[InstanceId]> = "refs",
    }
}

object! {
    /// A size that a volume can have.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct VolumeSize("a volume size") {
        /// The size in MiB.
        identity size_mib: u64 = "size",
    }
}

/// Makes a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CreateVolume {
    /// Its kind; [`VolumeType::TritonNfs`] when `None`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<VolumeType>,
    /// Its name: `^[a-z0-9][\w.-]+$` in either case, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its size in MiB, one of the list of sizes; the smallest when `None`.
    #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
    pub size_mib: Option<u64>,
    /// The account's fabric networks it is to be reachable on; the account's default network when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkId>,
    /// Tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Affinity rules (reference 2.15).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affinity: Vec<String>,
}

/// Renames a volume: nothing else of it can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateVolume {
    /// The new name.
    pub name: String,
}

/// Which volumes to list; failed ones only when asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListVolumes {
    /// With this name.
    pub name: Option<String>,
    /// With this size, in MiB.
    pub size_mib: Option<u64>,
    /// In this state.
    pub state: Option<VolumeState>,
    /// Of this kind.
    pub volume_type: Option<VolumeType>,
    /// A condition in the server's JSON notation.
    pub predicate: Option<String>,
}

impl ListVolumes {
    /// The pairs of the query string.
    pub fn query(&self) -> Vec<(String, String)> {
        Query::default()
            .with("name", self.name.as_ref())
            .with("size", self.size_mib)
            .with("state", self.state.as_ref())
            .with("type", self.volume_type.as_ref())
            .with("predicate", self.predicate.as_ref())
            .pairs()
    }
}
