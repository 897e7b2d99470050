//! A small data centre to begin with (reference 7.6).
//!
//! Every id is made of its kind, its number and the seed: `KIND NUMBER-0000-4000-8000-SEED`, all hexadecimal. With
//! the default seed 0 these are always the same:
//!
//! | id | what |
//! |---|---|
//! | `acc00001-0000-4000-8000-000000000000` | account `acme`, CNS on |
//! | `acc00002-…` | account `initech`, to be foreign |
//! | `acc00003-…` | account `admin`, the operator |
//! | `1a9e0001-…` | image `base-64-lts` 23.4.0 (joyent) |
//! | `1a9e0002-…` | image `ubuntu-22.04` 20240612 (lx) |
//! | `1a9e0003-…` | image `ubuntu-24.04` 20240612 (bhyve) |
//! | `1a9e0004-…` | image `talos` 1.8.3 (bhyve) |
//! | `1a9e0005-…` | image `cloud-load-balancer` 1.0.0 (joyent) |
//! | `bac00001-…` to `bac00006-…` | packages `g1.nano`, `g1.micro`, `g1.small`, `g1.medium`, `b1.medium`, `b1.large` |
//! | `ae700001-…` | network `external`, public, 203.0.113.0/24 |
//! | `ae700002-…` | pool `public-pool` of the next two |
//! | `ae700003-…`, `ae700004-…` | its members, 198.51.100.0/24 and 192.0.2.0/24 |
//! | `ae700005-…` | `My-Fabric-Network` of `acme`, 192.168.128.0/22 on VLAN 2, its default network |
//! | `ae700006-…` | the same of `initech` |
//! | `c0de0001-…` to `c0de0004-…` | compute nodes of 2 TiB memory and 64 TiB disk, room for thousands |
//!
//! [`example::add`] adds the objects that a well-known manifest names; [`Simulator`](crate::Simulator) calls it.

pub mod example;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, ComputeNodeId, ImageId, NetworkId, PackageId};
use uuid::Uuid;

use crate::world::account::Account;
use crate::world::error::WorldError;
use crate::world::fabrics::Vlan;
use crate::world::images::{Image, ImageFile};
use crate::world::keys::AccountKey;
use crate::world::networks::{Network, Pool};
use crate::world::packages::Package;
use crate::world::placement::ComputeNode;
use crate::world::{Brand, Settings, World};

/// The logins of the accounts that are there beside the one of [`Settings`](crate::Settings).
pub const OTHER_LOGINS: [&str; 2] = ["initech", "admin"];

/// The ids of the fixtures for one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The account `acme`.
    pub acme: AccountId,
    /// The account `initech`.
    pub initech: AccountId,
    /// The account `admin`.
    pub admin: AccountId,
    /// The image `base-64-lts`.
    pub base_64: ImageId,
    /// The image `ubuntu-22.04`, an lx zone.
    pub ubuntu_lx: ImageId,
    /// The image `ubuntu-24.04`, a bhyve machine.
    pub ubuntu_hvm: ImageId,
    /// The image `talos`.
    pub talos: ImageId,
    /// The image `cloud-load-balancer`.
    pub load_balancer: ImageId,
    /// The packages, in the order of [`PACKAGES`].
    pub packages: [PackageId; PACKAGES.len()],
    /// The public network.
    pub external: NetworkId,
    /// The pool of public networks.
    pub pool: NetworkId,
    /// The members of the pool.
    pub pool_members: [NetworkId; 2],
    /// `My-Fabric-Network` of `acme`.
    pub fabric: NetworkId,
    /// `My-Fabric-Network` of `initech`.
    pub foreign_fabric: NetworkId,
    /// The compute nodes.
    pub nodes: [ComputeNodeId; 4],
}

impl Ids {
    /// The ids for a seed, of which 48 bits count.
    pub fn new(seed: u64) -> Self {
        let id = |kind: u32, number: u32| {
            let [_, _, s @ ..] = seed.to_be_bytes();
            let [a, b, c, d] = (kind << 16 | number).to_be_bytes();
            Uuid::from_bytes([a, b, c, d, 0, 0, 0x40, 0, 0x80, 0, s[0], s[1], s[2], s[3], s[4], s[5]])
        };
        let account = |number| AccountId::from(id(0xacc0, number));
        let image = |number| ImageId::from(id(0x1a9e, number));
        let network = |number| NetworkId::from(id(0xae70, number));
        Self {
            acme: account(1),
            initech: account(2),
            admin: account(3),
            base_64: image(1),
            ubuntu_lx: image(2),
            ubuntu_hvm: image(3),
            talos: image(4),
            load_balancer: image(5),
            packages: [1, 2, 3, 4, 5, 6].map(|number| PackageId::from(id(0xbac0, number))),
            external: network(1),
            pool: network(2),
            pool_members: [network(3), network(4)],
            fabric: network(5),
            foreign_fabric: network(6),
            nodes: [1, 2, 3, 4].map(|number| ComputeNodeId::from(id(0xc0de, number))),
        }
    }
}

/// The packages: name, memory in MiB, disk in MiB, virtual processors, and whether they are for bhyve.
pub const PACKAGES: [(&str, u64, u64, u64, bool); 6] = [
    ("g1.nano", 512, 10_240, 0, false),
    ("g1.micro", 1024, 25_600, 0, false),
    ("g1.small", 2048, 51_200, 0, false),
    ("g1.medium", 4096, 102_400, 0, false),
    ("b1.medium", 4096, 102_400, 2, true),
    ("b1.large", 8192, 204_800, 4, true),
];

/// A data centre with the fixtures, where `keys` are lines of `.pub` files of the account `acme`.
///
/// # Errors
///
/// [`WorldError`] for a line that is no key.
pub fn data_center(settings: Settings, now: Timestamp, keys: &[String]) -> Result<World, WorldError> {
    let ids = Ids::new(settings.seed);
    let mut world = World::new(settings);
    add_accounts(&mut world, &ids, now, keys)?;
    add_networks(&mut world, &ids);
    add_packages(&mut world, &ids);
    add_images(&mut world, &ids, now);
    for (number, id) in (1..).zip(ids.nodes) {
        world.add_compute_node(ComputeNode::new(id, format!("cn{number}"), 2 << 20, 64 << 20));
    }
    Ok(world)
}

fn add_accounts(world: &mut World, ids: &Ids, now: Timestamp, keys: &[String]) -> Result<(), WorldError> {
    let mut acme = Account::new(ids.acme, "acme", "acme@example.com", now);
    acme.cns_enabled = true;
    acme.profile.insert("companyName", "Acme Corporation".to_owned());
    acme.profile.insert("firstName", "Wile E.".to_owned());
    acme.profile.insert("lastName", "Coyote".to_owned());
    acme.default_network = Some(ids.fabric);
    for key in keys {
        let name = key.split_whitespace().nth(2).map(str::to_owned);
        acme.keys.push(AccountKey::new(name, key, now)?);
    }
    let mut initech = Account::new(ids.initech, "initech", "initech@example.com", now);
    initech.default_network = Some(ids.foreign_fabric);
    let mut admin = Account::new(ids.admin, "admin", "root@localhost", now);
    admin.operator = true;
    for account in [acme, initech, admin] {
        world.add_account(account);
    }
    Ok(())
}

fn add_networks(world: &mut World, ids: &Ids) {
    let subnet = |a, b, c| Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), 24);
    let gateway = |a, b, c| Ipv4Addr::new(a, b, c, 1);
    let [first, second] = ids.pool_members;
    for (id, name, a, b, c) in [
        (ids.external, "external", 203, 0, 113),
        (first, "public-a", 198, 51, 100),
        (second, "public-b", 192, 0, 2),
    ] {
        world.add_network(Network::shared(id, name, true, subnet(a, b, c), gateway(a, b, c)));
    }
    world.add_pool(Pool {
        id: ids.pool,
        name: "public-pool".into(),
        description: Some("Public networks".to_owned()),
        public: true,
        owner: None,
        members: ids.pool_members.to_vec(),
    });
    for (owner, id) in [(ids.acme, ids.fabric), (ids.initech, ids.foreign_fabric)] {
        let vlan = Vlan { vlan_id: 2, name: "My-Fabric-VLAN".to_owned(), description: None };
        world.add_vlan(owner, vlan);
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 128, 0), 22);
        let gateway = Ipv4Addr::new(192, 168, 128, 1);
        world.add_network(Network::fabric(id, owner, 2, "My-Fabric-Network", subnet, gateway));
    }
}

fn add_packages(world: &mut World, ids: &Ids) {
    for (id, (name, memory_mib, disk_mib, vcpus, hvm)) in ids.packages.into_iter().zip(PACKAGES) {
        let package = container_package(id, name, memory_mib, disk_mib);
        world.add_package(match hvm {
            false => package,
            true => Package {
                vcpus,
                group: "Bhyve".to_owned(),
                brand: Some(Brand::Bhyve),
                flexible_disk: true,
                ..package
            },
        });
    }
}

fn container_package(id: PackageId, name: &str, memory_mib: u64, disk_mib: u64) -> Package {
    Package {
        id,
        name: name.into(),
        memory_mib,
        disk_mib,
        swap_mib: memory_mib * 4,
        lwps: 4000,
        vcpus: 0,
        version: "1.0.0".to_owned(),
        default: false,
        group: "Compute".to_owned(),
        description: format!("{} GiB of memory, {} GiB of disk", memory_mib / 1024, disk_mib / 1024),
        brand: None,
        flexible_disk: false,
        disks: None,
        os: None,
        networks: Vec::new(),
        active: true,
        owners: Vec::new(),
    }
}

fn add_images(world: &mut World, ids: &Ids, now: Timestamp) {
    let images = [
        (ids.base_64, "base-64-lts", "23.4.0", "smartos", "zone-dataset", "root"),
        (ids.ubuntu_hvm, "ubuntu-24.04", "20240612", "linux", "zvol", "ubuntu"),
        (ids.talos, "talos", "1.8.3", "linux", "zvol", "talos"),
        (ids.load_balancer, "cloud-load-balancer", "1.0.0", "smartos", "zone-dataset", "root"),
    ];
    for (id, name, version, os, kind, user) in images {
        let mut image = base_image(Image::new(id, ids.admin, name, version, os, kind), user, now);
        match kind {
            "zvol" => {
                image.brand = Some(Brand::Bhyve);
                image.bootrom = Some("uefi".to_owned());
                image.min_ram_mib = Some(1024);
                image.image_size_mib = Some(10_240);
            }
            _ => image.min_ram_mib = Some(256),
        }
        world.add_image(image);
    }
    world.add_image(lx_image(ids, ids.ubuntu_lx, "ubuntu-22.04", "20240612", now));
}

fn lx_image(ids: &Ids, id: ImageId, name: &str, version: &str, now: Timestamp) -> Image {
    let image = Image::new(id, ids.admin, name, version, "linux", "lx-dataset");
    Image { brand: Some(Brand::Lx), ..base_image(image, "root", now) }
}

/// What all images have.
fn base_image(mut image: Image, user: &str, now: Timestamp) -> Image {
    image.description = Some(format!("{} {}", image.name, image.version));
    image.published = Some(now);
    image.tags.insert("role".to_owned(), Value::String("os".to_owned()));
    image.tags.insert("default_user".to_owned(), Value::String(user.to_owned()));
    // Any number does that differs between images.
    let sha1 = format!("{:040x}", image.id.as_uuid().as_u128());
    image.file = Some(ImageFile { compression: "gzip".to_owned(), sha1, size: 100 << 20 });
    image
}

#[cfg(test)]
mod tests;
