//! Images, from which instances are made (reference 2.9).

use crate::id::{AccountId, ImageId};
use crate::types::instance::Brand;
use crate::types::object::{object, open_enum};
use crate::types::tags::Tags;
use jiff::Timestamp;
use std::collections::BTreeMap;

open_enum! {
    /// What an image holds, which decides the brands that can run it.
    pub enum ImageType {
        /// A SmartOS zone.
        ZoneDataset = "zone-dataset",
        /// A Linux zone.
        LxDataset = "lx-dataset",
        /// A disk for a bhyve or KVM machine.
        Zvol = "zvol",
        /// A docker layer. Hidden from lists unless asked for by type.
        Docker = "docker",
        /// An LXD image.
        Lxd = "lxd",
        /// Something else that Triton stores but does not run.
        Other = "other",
    }
}

open_enum! {
    /// Where an image is in its life.
    pub enum ImageState {
        /// Instances can be made from it.
        Active = "active",
        /// Not yet activated.
        Unactivated = "unactivated",
        /// Taken out of use.
        Disabled = "disabled",
        /// Being made from an instance.
        Creating = "creating",
        /// Its making failed; see [`Image::error`].
        Failed = "failed",
    }
}

object! {
    /// An image.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Image("an image") {
        /// Its id.
        identity id: ImageId = "id",
        /// Its name. Many versions share one; the newest `published_at` is what tools choose.
        name: Box<str> = "name",
        /// Its version, in whatever form the maker chose.
        version: Box<str> = "version",
        /// Operating system: `smartos`, `linux`, `windows`, `bsd`, `other`.
        os: Box<str> = "os",
        /// What it holds.
        image_type: ImageType = "type",
        /// What an instance needs in order to be made from it.
        requirements: ImageRequirements = "requirements",
        /// The size of the virtual disk of a `zvol` image, in MiB.
        image_size_mib: Option<u64> = "image_size",
        /// Description.
        description: Option<Box<str>> = "description",
        /// URL of a page about the image.
        homepage: Option<Box<str>> = "homepage",
        /// URL of the licence agreement.
        eula: Option<Box<str>> = "eula",
        /// The stored files: one.
        files: Box<[ImageFile]> = "files",
        /// Tags. `default_user` is who `triton ssh` logs in as.
        tags: Tags = "tags",
        /// When it was published.
        published_at: Option<Timestamp> = "published_at",
        /// The account that owns it.
        owner: Option<AccountId> = "owner",
        /// Whether every account can use it.
        public: Option<bool> = "public",
        /// Where it is in its life.
        state: Option<ImageState> = "state",
        /// The accounts it is shared with. Only its owner sees them.
        acl: Box<[AccountId]> = "acl",
        /// The image that this one is an increment of.
        origin: Option<ImageId> = "origin",
        /// Why its making failed.
        error: Option<ImageError> = "error",
        /// Role tags (reference 1.6), where the server puts them in the body.
        role_tags: Box<[Box<str>]> = "role-tag",
    }
}

object! {
    /// What an instance needs in order to be made from an image; empty when it needs nothing special.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ImageRequirements("image requirements") {
        /// The least memory, in MiB.
        min_ram_mib: Option<u64> = "min_ram" | "min_memory",
        /// The most memory, in MiB.
        max_ram_mib: Option<u64> = "max_ram" | "max_memory",
        /// The brand.
        brand: Option<Brand> = "brand",
        /// The boot ROM of a bhyve machine, such as `uefi`.
        bootrom: Option<Box<str>> = "bootrom",
        /// Whether the account must have an SSH key.
        ssh_key: Option<bool> = "ssh_key",
        /// The oldest platform image that can run it, by SDC major version.
        min_platform: BTreeMap<String, Box<str>> = "min_platform",
        /// The newest platform image that can run it, by SDC major version.
        max_platform: BTreeMap<String, Box<str>> = "max_platform",
    }
}

object! {
    /// A stored file of an image.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ImageFile("an image file") {
        /// How it is compressed: `gzip`, `bzip2`, `none`.
        compression: Option<Box<str>> = "compression",
        /// Its SHA-1 in hex.
        sha1: Option<Box<str>> = "sha1",
        /// Its size in bytes.
        size_bytes: Option<u64> = "size",
    }
}

object! {
    /// Why an image could not be made.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ImageError("an image error") {
        /// The kind of error.
        code: Box<str> = "code",
        /// What happened.
        message: Option<Box<str>> = "message",
    }
}
