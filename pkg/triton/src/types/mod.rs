//! CloudAPI's objects, request bodies and list filters as Rust types (reference 2.8 to 2.25).
//!
//! Objects are plain structs with public fields. Sizes carry their unit in the name (`memory_mib`), the
//! identity of an object is the only field that must be there, and everything that the server left
//! out, or sent in a shape that makes no sense, is `None` or the type's default (see [`decode_list`] for
//! how whole answers are read). Words that the server chooses from a list are open-ended enumerations:
//! one that this library does not know is kept in `Unknown`, as it came.
//!
//! Request bodies implement `Serialize` and leave out what is `None`. List filters turn into the pairs of
//! a query string with `query()`.
//!
//! Nothing secret is printed: the `Debug` form of [`Metadata`] shows keys, never values.

mod account;
mod audit;
mod create_instance;
mod datacenter;
mod decode;
mod disk;
mod fabric;
mod firewall;
mod image;
mod image_request;
mod instance;
mod instance_action;
mod instance_state;
mod key;
mod lenient;
mod list_instances;
mod mac;
mod metadata;
mod migration;
mod network;
mod nic;
mod object;
mod package;
mod query;
mod snapshot;
mod tags;
mod volume;

pub use account::{Account, Config, Limit, LimitedResource, UpdateAccount, UpdateConfig};
pub use audit::{AuditCaller, AuditEntry, AuditOutcome};
pub use create_instance::{CreateInstance, MAX_BODY_BYTES, MountMode, NetworkRequest, NewDisk, VolumeMount};
pub use datacenter::{Datacenters, Services};
pub use decode::{DecodeError, DecodedList, Undecodable, decode, decode_list};
pub use disk::{CreateDisk, Disk, DiskSize, DiskState, InstanceDisk, ResizeDisk};
pub use fabric::{CreateFabricNetwork, CreateFabricVlan, FabricVlan, UpdateFabricNetwork, UpdateFabricVlan};
pub use firewall::{CreateFirewallRule, FirewallRule, UpdateFirewallRule};
pub use image::{Image, ImageError, ImageFile, ImageRequirements, ImageState, ImageType};
pub use image_request::{CreateImage, ExportImage, ImportImage, ListImages, UpdateImage};
pub use instance::{Brand, Instance, InstanceSummary, InstanceType};
pub use instance_action::InstanceAction;
pub use instance_state::InstanceState;
pub use key::{CreateKey, Key};
pub use list_instances::{InstanceStateFilter, ListInstances, MAX_PAGE};
pub use mac::{MacAddress, ParseMacAddressError};
pub use metadata::{Credentials, Metadata, RESERVED_METADATA};
pub use migration::{Migration, MigrationPhase, MigrationProgress, MigrationState};
pub use network::{ListNetworks, Network, NetworkIp, Routes, UpdateNetworkIp};
pub use nic::{AddNic, Nic, NicState};
pub use package::{ListPackages, Package, PackageDisk};
pub use snapshot::{CreateSnapshot, Snapshot, SnapshotState};
pub(crate) use tags::TagMap;
pub use tags::{RESERVED_TAGS, TagValue, Tags};
pub use volume::{CreateVolume, ListVolumes, UpdateVolume, Volume, VolumeSize, VolumeState, VolumeType};

#[cfg(test)]
mod tests;
