//! Brands and disks of new instances (reference 2.14, 2.20).

use serde_json::Value;
use triton::id::{DiskId, ImageId};
use uuid::Uuid;

use crate::world::error::WorldError;
use crate::world::images::Image;
use crate::world::machine::{Brand, Disk};
use crate::world::packages::Package;
use crate::world::params::{self, Params};

/// The most disks of one instance (reference 2.14).
const MAX_DISKS: usize = 8;

/// The block size of disks for which none is asked, in bytes.
pub(in crate::world) const DEFAULT_BLOCK_SIZE: u64 = 8192;

/// The disks of a new instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disks {
    /// Size in MiB, block size in bytes and image of each; none for zones.
    sizes: Vec<(u64, u64, Option<ImageId>)>,
    /// The pool that they are cut from.
    pub(super) flexible_mib: Option<u64>,
    /// What CloudAPI shows as `disk`.
    pub(super) shown_mib: u64,
}

impl Disks {
    /// The disks with ids.
    pub(super) fn make(&self, mut new_id: impl FnMut() -> Uuid) -> Vec<Disk> {
        let slots = self.sizes.iter().enumerate();
        slots
            .map(|(index, (size_mib, block_size, image))| Disk {
                id: DiskId::from(new_id()),
                size_mib: *size_mib,
                block_size: *block_size,
                boot: index == 0,
                image: *image,
                pci_slot: format!("0:4:{index}"),
            })
            .collect()
    }
}

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

/// A name that may be shown in an error: letters, digits and hyphens, not too many.
fn safe(brand: &str) -> String {
    brand.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(20).collect()
}

/// The brand: the one asked for, else that of the image, else that of the package, else what the type of the image
/// suggests. All that name one must agree.
pub(super) fn brand(image: &Image, package: &Package, params: &Params) -> Result<Brand, WorldError> {
    let wanted = match params::text(params, "brand") {
        None => None,
        Some(name) => match Brand::parse(&name).filter(|brand| brand.is_hvm()) {
            Some(brand) => Some(brand),
            None => {
                return Err(invalid(format!(
                    "Unknown brand \"{}\". Brand is restricted to one of [\"kvm\",\"bhyve\"]",
                    safe(&name)
                )));
            }
        },
    };
    let by_type = match image.kind.as_str() {
        "zvol" => Brand::Bhyve,
        "lx-dataset" | "docker" => Brand::Lx,
        _ => Brand::Joyent,
    };
    let brand = wanted.or(image.brand).or(package.brand).unwrap_or(by_type);
    let selected = brand.as_str();
    if let Some(required) = package.brand.filter(|required| *required != brand) {
        let required = required.as_str();
        return Err(invalid(format!(
            "Package requires brand \"{required}\", but brand \"{selected}\" was selected"
        )));
    }
    if let Some(required) = image.brand.filter(|required| *required != brand) {
        let required = required.as_str();
        return Err(invalid(format!(
            "Image requires brand \"{required}\", but brand \"{selected}\" was selected"
        )));
    }
    match (brand.is_hvm(), image.kind == "zvol") {
        (true, false) => Err(invalid(format!("Brand \"{selected}\" requires the image type to be \"zvol\""))),
        (false, true) => Err(invalid(format!("Brand \"{selected}\" cannot use an image of type \"zvol\""))),
        _ => Ok(brand),
    }
}

/// The disks that a request and a package ask for.
pub(super) fn disks(
    brand: Brand,
    image: &Image,
    package: &Package,
    params: &Params,
) -> Result<Disks, WorldError> {
    let quota = package.disk_mib;
    if !brand.is_hvm() {
        return Ok(Disks { sizes: Vec::new(), flexible_mib: None, shown_mib: quota });
    }
    let image_mib = image.image_size_mib.unwrap_or_default();
    let boot = |size| (size, DEFAULT_BLOCK_SIZE, Some(image.id));
    let data = |size| (size, DEFAULT_BLOCK_SIZE, None);
    let flexible = package.flexible_disk && brand == Brand::Bhyve;
    let asked = params.get("disks").filter(|value| !value.is_null());
    if !flexible {
        if asked.is_some() {
            return Err(invalid(
                "The use of `disks` is only supported if the package has the flexible_disk attr set to true",
            ));
        }
        let sizes = vec![boot(image_mib), data(quota)];
        return Ok(Disks { sizes, flexible_mib: None, shown_mib: quota });
    }
    let wanted = match (asked, &package.disks) {
        (Some(value), _) => read(value)?,
        (None, Some(sizes)) => sizes.iter().map(|size| Wanted::of_package(*size)).collect(),
        (None, None) => vec![Wanted::default(), Wanted { size: Some(Size::Remaining), block_size: None }],
    };
    let sizes = divide(&wanted, image_mib, quota)?;
    let sizes = wanted.iter().zip(sizes).enumerate().map(|(index, (wanted, size))| {
        let block_size = wanted.block_size.unwrap_or(DEFAULT_BLOCK_SIZE);
        (size, block_size, (index == 0).then_some(image.id))
    });
    Ok(Disks { sizes: sizes.collect(), flexible_mib: Some(quota), shown_mib: quota })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Mib(u64),
    Remaining,
}

/// A disk as it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wanted {
    size: Option<Size>,
    block_size: Option<u64>,
}

impl Wanted {
    fn of_package(size: Option<u64>) -> Self {
        Self { size: Some(size.map_or(Size::Remaining, Size::Mib)), block_size: None }
    }
}

fn read(value: &Value) -> Result<Vec<Wanted>, WorldError> {
    let Some(values) = value.as_array().filter(|values| !values.is_empty()) else {
        return Err(invalid("disks must be a non-empty array of objects"));
    };
    if values.len() > MAX_DISKS {
        return Err(invalid(format!("A maximum of {MAX_DISKS} disks per VM are supported")));
    }
    values.iter().enumerate().map(|(index, value)| read_one(index, value)).collect()
}

fn read_one(index: usize, value: &Value) -> Result<Wanted, WorldError> {
    let size = match value.get("size") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text == "remaining" => Some(Size::Remaining),
        Some(value) => match params::integer(value).filter(|size| *size > 0) {
            Some(size) => Some(Size::Mib(size)),
            None => {
                return Err(invalid(format!("disks[{index}].size must be a number of MiB or \"remaining\"")));
            }
        },
    };
    let block_size = match value.get("block_size") {
        None => None,
        Some(_) if index == 0 => return Err(invalid("Cannot set block_size and image_uuid.")),
        Some(value) => Some(check_block_size(index, value)?),
    };
    Ok(Wanted { size, block_size })
}

/// A block size: a power of two of 512 to 131072 bytes.
fn check_block_size(index: usize, value: &Value) -> Result<u64, WorldError> {
    let size = params::integer(value).filter(|size| size.is_power_of_two() && (512..=131_072).contains(size));
    size.ok_or_else(|| {
        invalid(format!("Invalid block_size: {value} on disk: {index}. Must be 512-131072 and a power of 2."))
    })
}

/// The sizes in MiB of disks that are cut from `quota`; the first one gets the image.
fn divide(wanted: &[Wanted], image_mib: u64, quota: u64) -> Result<Vec<u64>, WorldError> {
    let too_much = || invalid("The size of the disks must not be greater than the package quota");
    let mut sizes: Vec<Option<u64>> = Vec::with_capacity(wanted.len());
    for (index, wanted) in wanted.iter().enumerate() {
        sizes.push(match wanted.size {
            Some(Size::Mib(size)) => Some(size),
            Some(Size::Remaining) if sizes.contains(&None) => {
                return Err(invalid("Only one disk.size can be set to `remaining`"));
            }
            Some(Size::Remaining) => None,
            None if index == 0 => Some(image_mib),
            None => {
                let message = "disk.size must be set if disk is not the boot disk";
                return Err(WorldError::missing_parameter(message));
            }
        });
    }
    let sum = sizes.iter().flatten().fold(0_u64, |sum, size| sum.saturating_add(*size));
    let remaining = quota.checked_sub(sum).ok_or_else(too_much)?;
    if sizes.first() == Some(&None) && remaining < image_mib {
        return Err(too_much());
    }
    let sizes: Vec<u64> = sizes.into_iter().map(|size| size.unwrap_or(remaining)).collect();
    if sizes.contains(&0) {
        return Err(too_much());
    }
    if sizes.first().is_some_and(|boot| *boot < image_mib) {
        return Err(invalid("Size must be greater than or equal to image size for the boot disk"));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests;
