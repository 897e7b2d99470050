//! Making instances (reference 2.14).

use crate::id::{ImageId, NetworkId};
use crate::types::disk::DiskSize;
use crate::types::instance::Brand;
use crate::types::metadata::Metadata;
use crate::types::tags::Tags;
use serde::ser::{SerializeMap, Serializer};
use std::io;
use std::net::Ipv4Addr;

/// The largest request body that CloudAPI takes, in bytes; a larger one is a 413 (reference 2.2).
pub const MAX_BODY_BYTES: usize = 100_000;

/// Makes an instance.
///
/// There is no idempotency token: choose a unique name or a tag by which an instance is found again when
/// the answer does not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateInstance {
    /// Name: `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, at most 189 characters, 63 where CNS is on. `{{shortId}}` stands
    /// for the first 8 digits of the id, which are also the default.
    pub name: Option<String>,
    /// Package, by id or name.
    pub package: String,
    /// Image.
    pub image: ImageId,
    /// Networks or network pools, one NIC each. Where there are none the package or the data centre choose,
    /// so name them.
    pub networks: Vec<NetworkRequest>,
    /// Affinity rules (reference 2.15). Strict ones that cannot be met end in the state `failed`.
    pub affinity: Vec<String>,
    /// Metadata. Keys that end in `_pw` do not reach the guest.
    pub metadata: Metadata,
    /// Tags.
    pub tags: Tags,
    /// Apply the account's firewall rules; the server's default is no.
    pub firewall_enabled: Option<bool>,
    /// Refuse deletion until it is lifted; the server's default is no.
    pub deletion_protection: Option<bool>,
    /// Accept an image that is only shared with the account, which must be asked for from API version 9 on.
    pub allow_shared_images: Option<bool>,
    /// Give a zone a dataset of its own to manage, where the operator allows it.
    pub delegate_dataset: Option<bool>,
    /// Place it on an encrypted server.
    pub encrypted: Option<bool>,
    /// Hypervisor, where the image leaves a choice: `bhyve` or `kvm`.
    pub brand: Option<Brand>,
    /// Disks, at most 8, for packages with flexible disks. The first one gets the image.
    pub disks: Vec<NewDisk>,
    /// Volumes to mount, in zones only. The instance needs a NIC on a network of each.
    pub volumes: Vec<VolumeMount>,
    /// Boot ROM of a bhyve machine.
    pub bootrom: Option<String>,
}

impl CreateInstance {
    /// An instance of `image` in the size of `package`, and otherwise as the server chooses.
    pub fn new(package: impl Into<String>, image: ImageId) -> Self {
        Self {
            name: None,
            package: package.into(),
            image,
            networks: Vec::new(),
            affinity: Vec::new(),
            metadata: Metadata::new(),
            tags: Tags::new(),
            firewall_enabled: None,
            deletion_protection: None,
            allow_shared_images: None,
            delegate_dataset: None,
            encrypted: None,
            brand: None,
            disks: Vec::new(),
            volumes: Vec::new(),
            bootrom: None,
        }
    }

    /// The size of the request body in bytes. More than [`MAX_BODY_BYTES`] will be refused: move metadata
    /// out of the create, or make it smaller.
    pub fn body_bytes(&self) -> usize {
        let mut count = ByteCount(0);
        match serde_json::to_writer(&mut count, self) {
            Ok(()) => count.0,
            // Cannot happen: neither the counter nor these types fail. A size that never fits is on the safe side.
            Err(_) => usize::MAX,
        }
    }
}

/// Counts what is written, so that measuring a body does not copy it.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl serde::Serialize for CreateInstance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn optional<M: SerializeMap>(
            body: &mut M,
            name: &'static str,
            value: Option<&impl serde::Serialize>,
        ) -> Result<(), M::Error> {
            value.map_or(Ok(()), |value| body.serialize_entry(name, value))
        }
        fn list<M: SerializeMap>(
            body: &mut M,
            name: &'static str,
            values: &[impl serde::Serialize],
        ) -> Result<(), M::Error> {
            optional(body, name, (!values.is_empty()).then_some(&values))
        }
        let mut body = serializer.serialize_map(None)?;
        optional(&mut body, "name", self.name.as_ref())?;
        body.serialize_entry("package", &self.package)?;
        body.serialize_entry("image", &self.image)?;
        list(&mut body, "networks", &self.networks)?;
        list(&mut body, "affinity", &self.affinity)?;
        optional(&mut body, "firewall_enabled", self.firewall_enabled.as_ref())?;
        optional(&mut body, "deletion_protection", self.deletion_protection.as_ref())?;
        optional(&mut body, "allow_shared_images", self.allow_shared_images.as_ref())?;
        optional(&mut body, "delegate_dataset", self.delegate_dataset.as_ref())?;
        optional(&mut body, "encrypted", self.encrypted.as_ref())?;
        optional(&mut body, "brand", self.brand.as_ref())?;
        list(&mut body, "disks", &self.disks)?;
        list(&mut body, "volumes", &self.volumes)?;
        optional(&mut body, "bootrom", self.bootrom.as_ref())?;
        for (name, value) in &self.tags {
            body.serialize_entry(&format!("tag.{name}"), value)?;
        }
        for (key, value) in self.metadata.iter() {
            body.serialize_entry(&format!("metadata.{key}"), value)?;
        }
        body.end()
    }
}

/// A network to put a NIC on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkRequest {
    /// A network or pool, with whatever address it gives: the old form, a bare id.
    Any(NetworkId),
    /// A network with one of its addresses: the new form, an object (API version 8.5). It must be a fabric
    /// network of the account and no pool. A managed address is a 409, as is one in use; a reserved one is not.
    Address {
        /// The network.
        network: NetworkId,
        /// The address.
        ip: Ipv4Addr,
    },
}

impl From<NetworkId> for NetworkRequest {
    fn from(network: NetworkId) -> Self {
        Self::Any(network)
    }
}

impl serde::Serialize for NetworkRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any(network) => network.serialize(serializer),
            Self::Address { network, ip } => {
                let mut object = serializer.serialize_map(Some(2))?;
                object.serialize_entry("ipv4_uuid", network)?;
                object.serialize_entry("ipv4_ips", &[ip])?;
                object.end()
            }
        }
    }
}

/// A disk of a new instance.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NewDisk {
    /// Its size. [`DiskSize::Remaining`] at most once.
    pub size: DiskSize,
    /// Its block size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_size: Option<u64>,
}

/// How a volume is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub enum MountMode {
    /// For reading and writing.
    #[default]
    #[serde(rename = "rw")]
    ReadWrite,
    /// For reading.
    #[serde(rename = "ro")]
    ReadOnly,
}

/// A volume to mount in a new instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    /// The volume's name.
    pub name: String,
    /// How to mount it.
    pub mode: MountMode,
    /// Where to mount it: an absolute path.
    pub mountpoint: String,
}

impl serde::Serialize for VolumeMount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(4))?;
        object.serialize_entry("name", &self.name)?;
        object.serialize_entry("type", crate::types::VolumeType::TritonNfs.as_str())?;
        object.serialize_entry("mode", &self.mode)?;
        object.serialize_entry("mountpoint", &self.mountpoint)?;
        object.end()
    }
}

#[cfg(test)]
mod tests;
