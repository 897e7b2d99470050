//! A catalogue for tests.

use std::sync::Arc;

use serde_json::{Value, json};
use triton::id::{ImageId, NetworkId, PackageId};
use triton::types::{Image, Network, Package};
use uuid::Uuid;

use super::Catalog;

/// The id of the `number`th object.
pub(crate) fn id<T: From<Uuid>>(number: u128) -> T {
    T::from(Uuid::from_u128(number))
}

/// A package of no brand: number, name, memory in MiB, disk in MiB, virtual processors.
pub(crate) fn package(number: u128, name: &str, memory: u64, disk: u64, vcpus: u32) -> Package {
    Package {
        name: name.into(),
        memory_mib: memory,
        disk_mib: disk,
        vcpus,
        version: Some("1.0.0".into()),
        ..Package::new(id::<PackageId>(number))
    }
}

/// An active image: number, and its fields as CloudAPI writes them.
pub(crate) fn image(number: u128, fields: Value) -> Image {
    let mut object = json!({"id": id::<ImageId>(number), "state": "active", "public": true});
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

/// A network: number, name, public, fabric.
pub(crate) fn network(number: u128, name: &str, public: bool, fabric: bool) -> Network {
    Network { name: name.into(), public, fabric, ..Network::new(id::<NetworkId>(number)) }
}

/// Packages `nano` to `large`, images `base` (two versions), `lx`, `hvm`, and the objects of the manifest.
pub(crate) fn catalog() -> Catalog {
    let bhyve = |package: Package| Package {
        brand: Some(triton::types::Brand::Bhyve),
        flexible_disk: true,
        ..package
    };
    let manifest_package = Package {
        name: "k4-highcpu-kvm-250M".into(),
        memory_mib: 250,
        disk_mib: 10_240,
        ..Package::new("b87c2a29-6b6a-6d19-ea65-aa81e680002c".parse().unwrap())
    };
    let zone = |version: &str, day: u8| {
        json!({"name": "base", "version": version, "type": "zone-dataset", "requirements": {"min_ram": 256},
               "published_at": format!("2024-01-{day:02}T00:00:00Z")})
    };
    let manifest_image = Image {
        name: "ubuntu-16.04".into(),
        version: "20170403".into(),
        image_type: triton::types::ImageType::LxDataset,
        ..Image::new("7b5981c4-1889-11e7-b4c5-3f3bdfc9b88b".parse().unwrap())
    };
    let of_manifest =
        |text: &str, name: &str| Network { name: name.into(), ..Network::new(text.parse().unwrap()) };
    let packages = [
        package(1, "nano", 512, 10_240, 0),
        package(2, "small", 2048, 51_200, 0),
        package(3, "large", 8192, 204_800, 0),
        bhyve(package(4, "b-small", 2048, 51_200, 1)),
        bhyve(package(5, "b-large", 8192, 204_800, 4)),
        manifest_package,
    ];
    let images = [
        image(11, zone("1.0", 1)),
        image(12, zone("2.0", 2)),
        image(
            13,
            json!({"name": "lx", "version": "1", "type": "lx-dataset", "requirements": {"brand": "lx"}}),
        ),
        image(
            14,
            json!({"name": "hvm", "version": "1", "type": "zvol", "image_size": 20_480,
                         "requirements": {"brand": "bhyve", "min_ram": 1024}}),
        ),
        manifest_image,
    ];
    let networks = [
        network(21, "external", true, false),
        network(22, "private", false, false),
        network(23, "fabric", false, true),
        network(24, "twin", false, true),
        network(25, "twin", false, true),
        of_manifest("17d7aa50-6ad9-4e56-93b7-12dc868fac2a", "sdc_nat"),
        of_manifest("a0ae9499-b476-4fef-9861-d0c25029378d", "zfabric"),
    ];
    Catalog {
        packages: packages.into_iter().map(Arc::new).collect(),
        images: images.into_iter().map(Arc::new).collect(),
        networks: networks.into_iter().map(Arc::new).collect(),
        unlisted_networks: vec![Arc::new(network(29, "member", true, false))],
        ..Catalog::new(id(1))
    }
}
