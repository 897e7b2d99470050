//! The disks of bhyve instances (reference 2.20).

use crate::id::{DiskId, ImageId};
use crate::types::lenient::{Json, Lenient};
use crate::types::object::{object, open_enum};
use serde::{Serialize, Serializer};

/// The size of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSize {
    /// So many MiB.
    Mib(u64),
    /// Whatever the package has left.
    Remaining,
}

const REMAINING: &str = "remaining";

impl Serialize for DiskSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Mib(mib) => serializer.serialize_u64(*mib),
            Self::Remaining => serializer.serialize_str(REMAINING),
        }
    }
}

impl Lenient for DiskSize {
    fn lenient(json: &str) -> Option<Self> {
        match Json::of(json) {
            Json::String(text) if text == REMAINING => Some(Self::Remaining),
            _ => u64::lenient(json).map(Self::Mib),
        }
    }
}

open_enum! {
    /// The state of a disk.
    pub enum DiskState {
        /// Being made.
        Creating = "creating",
        /// In use.
        Running = "running",
        /// Its instance is stopped.
        Stopped = "stopped",
        /// Being resized.
        Resizing = "resizing",
        /// Being deleted.
        Deleting = "deleting",
        /// Deleted.
        Deleted = "deleted",
        /// Its making failed.
        Failed = "failed",
    }
}

object! {
    /// A disk.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Disk("a disk") {
        /// Its id.
        identity id: DiskId = "id",
        /// Its size in MiB.
        size_mib: Option<u64> = "size",
        /// Its block size in bytes.
        block_size: Option<u64> = "block_size",
        /// Whether the machine boots from it.
        boot: bool = "boot",
        /// The image it was made from.
        image: Option<ImageId> = "image",
        /// Where it is attached, such as `0:4:1`.
        pci_slot: Option<Box<str>> = "pci_slot",
        /// Its state.
        state: Option<DiskState> = "state",
    }
}

object! {
    /// A disk as part of an instance, where it has no state and may have no id.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InstanceDisk("a disk of an instance") {
        /// Its id.
        id: Option<DiskId> = "id",
        /// Its size.
        size: Option<DiskSize> = "size",
        /// Its block size in bytes.
        block_size: Option<u64> = "block_size",
        /// Whether the machine boots from it.
        boot: bool = "boot",
        /// The image it was made from.
        image: Option<ImageId> = "image",
    }
}

/// Adds a disk to a stopped instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateDisk {
    /// Its size.
    pub size: DiskSize,
    /// Where to attach it; chosen by the server when `None`, in which case it does not answer with the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci_slot: Option<String>,
}

/// Resizes a disk of a stopped instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeDisk {
    /// The new size in MiB.
    pub size_mib: u64,
    /// Cut off what does not fit. **Destroys data.**
    pub dangerous_allow_shrink: bool,
}

impl Serialize for ResizeDisk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut body = serializer.serialize_struct("ResizeDisk", 2)?;
        body.serialize_field("size", &self.size_mib)?;
        if self.dangerous_allow_shrink {
            body.serialize_field("dangerous_allow_shrink", &true)?;
        }
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_or_the_word_remaining() {
        for (json, expected) in [
            ("10240", Some(DiskSize::Mib(10240))),
            (r#""10240""#, Some(DiskSize::Mib(10240))),
            (r#""remaining""#, Some(DiskSize::Remaining)),
            (r#""most""#, None),
            ("-1", None),
            ("null", None),
        ] {
            assert_eq!(DiskSize::lenient(json), expected, "{json}");
        }
    }

    #[test]
    fn shrinking_is_asked_for_only_when_it_is_wanted() {
        let json = |dangerous_allow_shrink| {
            serde_json::to_string(&ResizeDisk { size_mib: 10240, dangerous_allow_shrink }).unwrap()
        };
        assert_eq!(json(false), r#"{"size":10240}"#);
        assert_eq!(json(true), r#"{"size":10240,"dangerous_allow_shrink":true}"#);
    }
}
