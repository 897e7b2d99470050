//! Packages (reference 2.10).

use serde::Serialize;
use serde_json::Value;

use crate::world::packages;

/// A package.
#[derive(Debug, Serialize)]
pub(crate) struct Package<'a> {
    id: String,
    name: &'a str,
    memory: u64,
    disk: u64,
    swap: u64,
    lwps: u64,
    vcpus: u64,
    version: &'a str,
    default: bool,
    group: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flexible_disk: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disks: Option<Vec<PackageDisk>>,
}

#[derive(Debug, Serialize)]
struct PackageDisk {
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<Value>,
}

impl<'a> Package<'a> {
    pub(crate) fn of(package: &'a packages::Package) -> Self {
        let size = |size: &Option<u64>| size.map_or_else(|| "remaining".into(), Value::from);
        let disks = package
            .disks
            .as_ref()
            .map(|sizes| sizes.iter().map(|it| PackageDisk { size: Some(size(it)) }).collect());
        Self {
            id: package.id.to_string(),
            name: &package.name,
            memory: package.memory_mib,
            disk: package.disk_mib,
            swap: package.swap_mib,
            lwps: package.lwps,
            vcpus: package.vcpus,
            version: &package.version,
            default: package.default,
            group: &package.group,
            description: &package.description,
            brand: package.brand.map(crate::world::machine::Brand::as_str),
            flexible_disk: package.flexible_disk.then_some(true),
            disks,
        }
    }
}
