//! Which package a pod gets.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use semver::Version;
use triton::types::{Brand, Image, ImageType, Package};

use super::images::label;
use super::{Catalog, refuse};
use crate::pod::{Demand, PackageDemand, Refusal, RefusalReason, Resources};

/// What counts as CPU of a package without a fixed count, in thousandths per GiB of memory. CloudAPI does not reveal the
/// cap and the shares of such packages (reference 2.10), but operators give both in proportion to memory; one CPU for
/// 2 GiB is what a general-purpose virtual machine has. The number is ours.
pub const ZONE_CPU_MILLIS_PER_GIB: u64 = 500;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The annotation, or the field that decides where there is none.
const NAMED: &str = "metadata.annotations[package]";
const FITTING: &str = "spec.containers[0].resources";

/// What an instance of a package has. CPU is the count of virtual processors; where there is no fixed count, the
/// share that goes with the memory: [`ZONE_CPU_MILLIS_PER_GIB`].
pub fn capacity(package: &Package) -> Resources {
    let memory_bytes = package.memory_mib.saturating_mul(MIB);
    let cpu_millis = match package.vcpus {
        0 => package.memory_mib.saturating_mul(ZONE_CPU_MILLIS_PER_GIB) / 1024,
        vcpus => u64::from(vcpus) * 1000,
    };
    Resources { cpu_millis, memory_bytes, storage_bytes: package.disk_mib.saturating_mul(MIB) }
}

impl Catalog {
    /// What the instance of a pod will have; nothing where its image or package is not there.
    pub fn capacity_of(&self, demand: &Demand) -> Resources {
        let package = self.image(&demand.image).and_then(|image| self.package(&demand.package, &image));
        package.map(|package| capacity(&package)).unwrap_or_default()
    }

    /// The package of a pod for its image.
    ///
    /// By id; by name, the one of the highest version; or the smallest that fits the resources and the image: by
    /// memory, then CPU, then disk, then name.
    ///
    /// # Errors
    /// [`RefusalReason::Package`]: there is none, or it does not fit the image.
    pub fn package(&self, demand: &PackageDemand, image: &Image) -> Result<Arc<Package>, Refusal> {
        let found = match demand {
            PackageDemand::Fit(resources) => return self.fit(*resources, image),
            PackageDemand::Id(id) => self.packages.iter().find(|package| package.id == *id),
            PackageDemand::Name(name) => {
                self.packages.iter().filter(|package| package.name == *name).max_by(|a, b| by_version(a, b))
            }
        };
        let Some(package) = found else {
            let message = format!(
                "no package {demand} is visible to the account; `triton packages` lists those that are"
            );
            return Err(refuse(RefusalReason::Package, NAMED, message));
        };
        match obstacle(image, package) {
            None => Ok(Arc::clone(package)),
            Some(why) => {
                let message = format!("package {} does not fit image {}: {why}", package.name, label(image));
                Err(refuse(RefusalReason::Package, NAMED, message))
            }
        }
    }

    fn fit(&self, wanted: Resources, image: &Image) -> Result<Arc<Package>, Refusal> {
        let mut newest: BTreeMap<&str, &Arc<Package>> = BTreeMap::new();
        for package in &self.packages {
            let known = newest.entry(&package.name).or_insert(package);
            if by_version(known, package) == Ordering::Less {
                *known = package;
            }
        }
        let accepted = newest
            .into_values()
            .filter(|package| obstacle(image, package).is_none() && can_run(image, package));
        let mut accepted: Vec<&Arc<Package>> = accepted.collect();
        accepted.sort_by_cached_key(|package| {
            let Resources { cpu_millis, memory_bytes, storage_bytes } = capacity(package);
            (memory_bytes, cpu_millis, storage_bytes, package.name.clone())
        });
        let fits = |package: &Package| {
            let has = capacity(package);
            has.cpu_millis >= wanted.cpu_millis
                && has.memory_bytes >= wanted.memory_bytes
                && has.storage_bytes >= wanted.storage_bytes
        };
        if let Some(package) = accepted.iter().find(|package| fits(package)) {
            return Ok(Arc::clone(package));
        }
        let image = label(image);
        let message = match accepted.last() {
            None => format!(
                "none of the {} packages is for image {image}; choose another image",
                self.packages.len()
            ),
            Some(largest) => format!(
                "no package fits {} with image {image}: the largest for it is {} with {}; ask for less, or name a \
                 package with the annotation package",
                describe(wanted),
                largest.name,
                describe(capacity(largest))
            ),
        };
        Err(refuse(RefusalReason::Package, FITTING, message))
    }
}

/// Versions as semver; what is none is the lowest. Then by id, so that the order is total.
fn by_version(a: &Package, b: &Package) -> Ordering {
    let version = |package: &Package| Version::parse(package.version.as_deref()?).ok();
    version(a).cmp(&version(b)).then(a.id.cmp(&b.id))
}

/// Why an image cannot run in a package; `None` when CloudAPI would take both (reference 2.9, 2.14).
fn obstacle(image: &Image, package: &Package) -> Option<String> {
    let needs = &image.requirements;
    let has = package.memory_mib;
    if let Some(least) = needs.min_ram_mib.filter(|least| has < *least) {
        return Some(format!("it has {has} MiB of memory, the image needs at least {least}"));
    }
    if let Some(most) = needs.max_ram_mib.filter(|most| *most > 0 && has > *most) {
        return Some(format!("it has {has} MiB of memory, the image takes at most {most}"));
    }
    if let Some(size) = image.image_size_mib.filter(|size| package.flexible_disk && package.disk_mib < *size)
    {
        return Some(format!("it has {} MiB of disk, the image alone is {size}", package.disk_mib));
    }
    let brand = package.brand.as_ref()?;
    let matches = match (&needs.brand, &image.image_type) {
        (Some(needed), _) => brand == needed,
        (None, ImageType::Zvol) => is_hvm(brand),
        (None, ImageType::LxDataset | ImageType::Docker) => *brand == Brand::Lx,
        (None, ImageType::ZoneDataset) => !is_hvm(brand) && *brand != Brand::Lx,
        (None, _) => true,
    };
    let kind = || needs.brand.as_ref().map_or_else(|| image.image_type.as_str(), Brand::as_str).to_owned();
    (!matches).then(|| format!("it is for {}, the image for {}", brand.as_str(), kind()))
}

/// Whether a package that nobody named makes sense for an image: a machine needs a count of processors, and a package
/// whose disks are chosen is for machines.
fn can_run(image: &Image, package: &Package) -> bool {
    let is_machine =
        image.image_type == ImageType::Zvol || image.requirements.brand.as_ref().is_some_and(is_hvm);
    if is_machine { package.vcpus > 0 } else { !package.flexible_disk }
}

fn is_hvm(brand: &Brand) -> bool {
    matches!(brand, Brand::Bhyve | Brand::Kvm)
}

/// As people write sizes: `cpu 500m, memory 1 GiB, disk 10 GiB`.
pub(super) fn describe(resources: Resources) -> String {
    let Resources { cpu_millis, memory_bytes, storage_bytes } = resources;
    let cpu = match cpu_millis % 1000 {
        0 => (cpu_millis / 1000).to_string(),
        _ => format!("{cpu_millis}m"),
    };
    let size = |bytes: u64| match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(GIB) => format!("{} GiB", bytes / GIB),
        _ => format!("{} MiB", bytes.div_ceil(MIB)),
    };
    format!("cpu {cpu}, memory {}, disk {}", size(memory_bytes), size(storage_bytes))
}
