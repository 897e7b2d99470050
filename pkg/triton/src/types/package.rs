//! Packages: the sizes of instances (reference 2.10).

use crate::id::PackageId;
use crate::types::disk::DiskSize;
use crate::types::instance::Brand;
use crate::types::object::object;
use crate::types::query::Query;

object! {
    /// A package.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Package("a package") {
        /// Its id.
        identity id: PackageId = "id",
        /// Its name. Versions of a package share one.
        name: Box<str> = "name",
        /// Memory in MiB: 1024 is 1 GiB.
        memory_mib: u64 = "memory",
        /// Disk quota in MiB; the pool to carve disks from when `flexible_disk` is true.
        disk_mib: u64 = "disk",
        /// Swap in MiB.
        swap_mib: u64 = "swap",
        /// The most threads a container may have.
        lwps: Option<u32> = "lwps",
        /// Virtual CPUs of a machine; 0 when there is no fixed count, as with containers, whose share of the
        /// processors CloudAPI does not reveal.
        vcpus: u32 = "vcpus",
        /// Version, in semver form.
        version: Option<Box<str>> = "version",
        /// Whether it is the one for creates that name none.
        default: bool = "default",
        /// A group for display.
        group: Option<Box<str>> = "group",
        /// Description.
        description: Option<Box<str>> = "description",
        /// The only brand it is for.
        brand: Option<Brand> = "brand",
        /// Whether a bhyve machine's disks are chosen by the tenant.
        flexible_disk: bool = "flexible_disk",
        /// The disks a flexible machine gets by default.
        disks: Box<[PackageDisk]> = "disks",
        /// Role tags (reference 1.6), where the server puts them in the body.
        role_tags: Box<[Box<str>]> = "role-tag",
    }
}

object! {
    /// A default disk of a package.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PackageDisk("a package disk") {
        /// Its size; of the image when the server does not say.
        size: Option<DiskSize> = "size",
        /// Its block size in bytes.
        block_size: Option<u64> = "block_size",
    }
}

/// Which packages to list. Texts may contain `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPackages {
    /// With this name.
    pub name: Option<String>,
    /// With this memory, in MiB.
    pub memory_mib: Option<u64>,
    /// With this disk quota, in MiB.
    pub disk_mib: Option<u64>,
    /// With this swap, in MiB.
    pub swap_mib: Option<u64>,
    /// With this many threads.
    pub lwps: Option<u32>,
    /// With this many virtual CPUs.
    pub vcpus: Option<u32>,
    /// With this version.
    pub version: Option<String>,
    /// In this group.
    pub group: Option<String>,
    /// For this brand.
    pub brand: Option<Brand>,
    /// With disks chosen by the tenant, or not.
    pub flexible_disk: Option<bool>,
}

impl ListPackages {
    /// The pairs of the query string.
    pub fn query(&self) -> Vec<(String, String)> {
        Query::default()
            .with("name", self.name.as_ref())
            .with("memory", self.memory_mib)
            .with("disk", self.disk_mib)
            .with("swap", self.swap_mib)
            .with("lwps", self.lwps)
            .with("vcpus", self.vcpus)
            .with("version", self.version.as_ref())
            .with("group", self.group.as_ref())
            .with("brand", self.brand.as_ref())
            .with("flexible_disk", self.flexible_disk)
            .pairs()
    }
}
