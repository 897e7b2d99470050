//! Snapshots of instances (reference 2.20).

use crate::types::object::{object, open_enum};
use jiff::Timestamp;
use serde::Serialize;

open_enum! {
    /// The state of a snapshot.
    pub enum SnapshotState {
        /// Its making has not begun.
        Queued = "queued",
        /// Being made.
        Creating = "creating",
        /// There.
        Created = "created",
        /// Its making failed.
        Failed = "failed",
        /// Deleted.
        Deleted = "deleted",
    }
}

object! {
    /// A snapshot: a state to return to, on the same server as the instance, so no backup.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Snapshot("a snapshot") {
        /// Its name, by which it is identified within its instance.
        identity name: Box<str> = "name",
        /// Its state.
        state: SnapshotState = "state",
        /// Its size in bytes.
        size_bytes: Option<u64> = "size",
        /// When it was made.
        created: Option<Timestamp> = "created",
        /// When it was last changed.
        updated: Option<Timestamp> = "updated",
    }
}

/// Makes a snapshot. KVM machines have none; bhyve machines where the operator allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CreateSnapshot {
    /// Its name; a compact UTC time when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
