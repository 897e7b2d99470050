//! Packages: the sizes of instances (reference 2.10).

use std::sync::Arc;

use semver::Version;
use serde_json::Value;
use triton::id::{AccountId, NetworkId, PackageId};

use super::World;
use super::error::WorldError;
use super::list::glob;
use super::machine::Brand;
use super::params::{self, Params};

/// A package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// Its id.
    pub id: PackageId,
    /// Its name; not unique across versions.
    pub name: Arc<str>,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk quota in MiB.
    pub disk_mib: u64,
    /// Swap in MiB.
    pub swap_mib: u64,
    /// The most lightweight processes.
    pub lwps: u64,
    /// Virtual processors; 0 is no fixed count.
    pub vcpus: u64,
    /// Its version.
    pub version: String,
    /// Whether it was once the default.
    pub default: bool,
    /// Its group.
    pub group: String,
    /// What it is for.
    pub description: String,
    /// The only brand it can be used with.
    pub brand: Option<Brand>,
    /// Whether disks are cut from its quota (bhyve).
    pub flexible_disk: bool,
    /// Sizes of disks in MiB, `None` for what remains; only for flexible disks.
    pub disks: Option<Vec<Option<u64>>>,
    /// The operating system its images must have.
    pub os: Option<String>,
    /// The networks of instances for which none are asked.
    pub networks: Vec<NetworkId>,
    /// Whether it may be used.
    pub active: bool,
    /// The accounts that may use it; all when empty.
    pub owners: Vec<AccountId>,
}

impl Package {
    /// Whether an account may see it.
    pub fn is_visible_to(&self, account: AccountId) -> bool {
        self.owners.is_empty() || self.owners.contains(&account)
    }
}

impl World {
    /// Adds a package; one of the same id is replaced.
    pub fn add_package(&mut self, package: Package) {
        self.packages.insert(package.id, Arc::new(package));
    }

    /// A package by id, whoever may use it.
    pub fn package_by_id(&self, id: PackageId) -> Option<&Arc<Package>> {
        self.packages.get(&id)
    }

    /// A package by id, or by name: then the one with the highest version among the active ones.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn package(&self, owner: AccountId, id_or_name: &str) -> Result<&Arc<Package>, WorldError> {
        self.find_package(owner, id_or_name)
            .ok_or_else(|| WorldError::not_found(format!("{id_or_name} not found")))
    }

    pub(super) fn find_package(&self, owner: AccountId, id_or_name: &str) -> Option<&Arc<Package>> {
        if let Ok(id) = id_or_name.parse::<PackageId>() {
            return self.packages.get(&id).filter(|package| package.is_visible_to(owner));
        }
        let named = self
            .packages
            .values()
            .filter(|package| package.active && *package.name == *id_or_name && package.is_visible_to(owner));
        named.max_by_key(|package| Version::parse(&package.version).ok())
    }

    /// The active packages that an account sees, by id, filtered by `name`, `memory`, `disk`, `swap`, `lwps`,
    /// `vcpus`, `version`, `group`, `brand` and `flexible_disk`; texts may have `*` (reference 2.10).
    pub fn list_packages(&self, owner: AccountId, params: &Params) -> Vec<&Arc<Package>> {
        let visible = self.packages.values().filter(|package| package.active && package.is_visible_to(owner));
        visible.filter(|package| package.matches(params)).collect()
    }
}

impl Package {
    fn matches(&self, params: &Params) -> bool {
        let brand = self.brand.map_or("", Brand::as_str);
        let texts =
            [("name", &*self.name), ("version", &*self.version), ("group", &*self.group), ("brand", brand)];
        let numbers = [
            ("memory", self.memory_mib),
            ("disk", self.disk_mib),
            ("swap", self.swap_mib),
            ("lwps", self.lwps),
            ("vcpus", self.vcpus),
        ];
        let is_set = |value: &&Value| !matches!(value, Value::Null) && value.as_str() != Some("");
        texts
            .into_iter()
            .all(|(name, value)| params::text(params, name).is_none_or(|pattern| glob(&pattern, value)))
            && numbers.into_iter().all(|(name, value)| {
                params.get(name).filter(is_set).is_none_or(|wanted| params::integer(wanted) == Some(value))
            })
            && params::text(params, "flexible_disk")
                .is_none_or(|wanted| wanted == self.flexible_disk.to_string())
    }
}

#[cfg(test)]
mod tests;
