//! Tables: names and demands, and what they resolve to.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};
use triton::id::NetworkId;
use triton::types::{Image, Package};

use super::testing::{catalog, id, image, network, package};
use super::*;
use crate::pod::{ImageName, NetworkName, PackageDemand, Resources};

fn image_name(text: &str) -> ImageName {
    match (text.parse(), text.split_once('@')) {
        (Ok(id), _) => ImageName::Id(id),
        (_, Some((name, version))) => ImageName::Name { name: name.into(), version: Some(version.into()) },
        _ => ImageName::Name { name: text.into(), version: None },
    }
}

fn network_name(text: &str) -> NetworkName {
    text.parse().map_or_else(|_| NetworkName::Name(text.into()), NetworkName::Id)
}

fn number(number: u128) -> String {
    id::<uuid::Uuid>(number).to_string()
}

#[rstest]
#[case::newest("base", Ok(12))]
#[case::version("base@1.0", Ok(11))]
#[case::id(&number(13), Ok(13))]
#[case::no_name("nobody", Err("no active image nobody is visible"))]
#[case::no_version("base@3", Err("no active image base@3 is visible"))]
#[case::no_id(&number(99), Err("no image 00000000-0000-0000-0000-000000000063 is visible"))]
fn images_by_name_are_the_newest(#[case] name: &str, #[case] expected: Result<u128, &str>) {
    match (catalog().image(&image_name(name)), expected) {
        (Ok(image), Ok(number)) => assert_eq!(image.id, id(number)),
        (Err(refusal), Err(part)) => {
            assert_eq!(
                (refusal.reason, refusal.field.as_str()),
                (RefusalReason::Image, "spec.containers[0].image")
            );
            assert!(refusal.message.contains(part), "{refusal}");
        }
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn an_image_that_is_not_active_is_refused_by_id_and_passed_over_by_name() {
    let mut catalog = catalog();
    let fields = json!({"name": "base", "version": "3.0", "type": "zone-dataset", "state": "disabled",
                        "published_at": "2025-01-01T00:00:00Z"});
    catalog.images.push(Arc::new(image(15, fields)));
    assert_eq!(catalog.image(&image_name("base")).unwrap().id, id(12));
    let refusal = catalog.image(&ImageName::Id(id(15))).unwrap_err();
    assert!(refusal.message.contains("image base@3.0 is disabled"), "{refusal}");
}

#[test]
fn an_image_that_nothing_runs_is_refused() {
    let mut catalog = catalog();
    catalog.images.push(Arc::new(image(15, json!({"name": "file", "version": "1", "type": "other"}))));
    let refusal = catalog.image(&image_name("file")).unwrap_err();
    assert!(refusal.message.contains("type other, which no instance runs"), "{refusal}");
}

fn wants(cpu_millis: u64, memory_mib: u64, disk_mib: u64) -> PackageDemand {
    let (memory_bytes, storage_bytes) = (memory_mib << 20, disk_mib << 20);
    PackageDemand::Fit(Resources { cpu_millis, memory_bytes, storage_bytes })
}

#[rstest]
#[case::nothing("base", wants(0, 0, 0), "nano")]
#[case::for_the_image("hvm", wants(0, 0, 0), "b-small")]
#[case::memory("base", wants(0, 513, 0), "small")]
#[case::exactly("base", wants(0, 2048, 51_200), "small")]
#[case::disk("base", wants(0, 0, 60_000), "large")]
#[case::memory_share("base", wants(1000, 0, 0), "small")]
#[case::more_than_the_share("base", wants(1001, 0, 0), "large")]
#[case::processors("hvm", wants(1001, 0, 0), "b-large")]
fn the_smallest_package_that_fits_is_taken(
    #[case] image: &str,
    #[case] demand: PackageDemand,
    #[case] name: &str,
) {
    let mut catalog = catalog();
    catalog.packages.retain(|package| !package.name.starts_with("k4"));
    let image = catalog.image(&image_name(image)).unwrap();
    assert_eq!(&*catalog.package(&demand, &image).unwrap().name, name);
}

#[rstest]
#[case::machine("hvm", "with-processors")]
#[case::zone("base", "without")]
fn a_package_that_nobody_named_makes_sense_for_the_image(#[case] image: &str, #[case] name: &str) {
    let flexible = Package { flexible_disk: true, ..package(1, "flexible", 1024, 51_200, 0) };
    let packages =
        [flexible, package(2, "without", 1536, 51_200, 0), package(3, "with-processors", 2048, 51_200, 1)];
    let catalog = Catalog { packages: packages.into_iter().map(Arc::new).collect(), ..catalog() };
    let image = catalog.image(&image_name(image)).unwrap();
    assert_eq!(&*catalog.package(&wants(0, 0, 0), &image).unwrap().name, name);
}

#[test]
fn no_fitting_package_is_told_with_the_largest_that_there_is() {
    let catalog = catalog();
    let image = catalog.image(&image_name("base")).unwrap();
    let refusal = catalog.package(&wants(2500, 16_384, 10_240), &image).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "spec.containers[0].resources: no package fits cpu 2500m, memory 16 GiB, disk 10 GiB with image base@2.0: the \
         largest for it is large with cpu 4, memory 8 GiB, disk 200 GiB; ask for less, or name a package with the \
         annotation package"
    );
    let none = Catalog { packages: vec![Arc::new(package(1, "nano", 512, 1, 0))], ..catalog.clone() };
    let hvm = catalog.image(&image_name("hvm")).unwrap();
    let refusal = none.package(&wants(0, 0, 0), &hvm).unwrap_err();
    assert!(refusal.message.starts_with("none of the 1 packages is for image hvm@1"), "{refusal}");
}

#[test]
fn ties_go_by_name_and_only_the_highest_version_of_a_name_counts() {
    let version = |number: u128, name: &str, version: &str, memory: u64| Package {
        version: Some(version.into()),
        ..package(number, name, memory, 1, 0)
    };
    let packages = [
        version(3, "b", "1.0.0", 512),
        version(2, "a", "1.0.0", 512),
        version(4, "c", "1.9.0", 128),
        version(5, "c", "1.10.0", 1024),
        version(6, "c", "odd", 64),
    ];
    let catalog = Catalog { packages: packages.into_iter().map(Arc::new).collect(), ..Catalog::new(id(1)) };
    let image = Image::new(id(1));
    assert_eq!(catalog.package(&wants(0, 0, 0), &image).unwrap().id, id(2));
    assert_eq!(catalog.package(&PackageDemand::Name("c".into()), &image).unwrap().id, id(5));
    assert_eq!(catalog.package(&PackageDemand::Id(id(4)), &image).unwrap().id, id(4));
}

#[rstest]
#[case::memory(json!({"requirements": {"min_ram": 1024}}), json!({}), Some("has 512 MiB of memory, the image needs at least 1024"))]
#[case::too_much(json!({"requirements": {"max_ram": 256}}), json!({}), Some("the image takes at most 256"))]
#[case::no_limit(json!({"requirements": {"max_ram": 0}}), json!({}), None)]
#[case::brand(json!({"requirements": {"brand": "lx"}}), json!({"brand": "bhyve"}), Some("it is for bhyve, the image for lx"))]
#[case::same_brand(json!({"requirements": {"brand": "lx"}}), json!({"brand": "lx"}), None)]
#[case::any_brand(json!({"requirements": {"brand": "lx"}}), json!({}), None)]
#[case::disk_image(json!({"type": "zvol"}), json!({"brand": "kvm"}), None)]
#[case::disk_image_in_a_zone(json!({"type": "zvol"}), json!({"brand": "joyent"}), Some("it is for joyent, the image for zvol"))]
#[case::zone(json!({"type": "zone-dataset"}), json!({"brand": "joyent-minimal"}), None)]
#[case::zone_in_a_machine(json!({"type": "zone-dataset"}), json!({"brand": "bhyve"}), Some("it is for bhyve"))]
#[case::lx_in_a_zone(json!({"type": "lx-dataset"}), json!({"brand": "joyent"}), Some("it is for joyent"))]
#[case::pool(json!({"type": "zvol", "image_size": 20_480}), json!({"flexible_disk": true, "disk": 10_240}), Some("the image alone is 20480"))]
#[case::fixed_disks(json!({"type": "zvol", "image_size": 20_480}), json!({"disk": 10_240}), None)]
fn a_named_package_must_fit_the_image(
    #[case] fields: Value,
    #[case] of_package: Value,
    #[case] why: Option<&str>,
) {
    let mut object = json!({"id": id::<uuid::Uuid>(1), "name": "p", "memory": 512, "disk": 10_240});
    object.as_object_mut().unwrap().extend(of_package.as_object().unwrap().clone());
    let package: Package = serde_json::from_value(object).unwrap();
    let catalog = Catalog { packages: vec![Arc::new(package)], ..Catalog::new(id(1)) };
    let found = catalog.package(&PackageDemand::Name("p".into()), &image(1, fields));
    match (found, why) {
        (Ok(_), None) => {}
        (Err(refusal), Some(why)) => {
            assert_eq!(refusal.reason, RefusalReason::Package);
            assert!(refusal.message.contains(why), "{refusal}");
        }
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn a_package_that_is_not_there_is_named() {
    let image = Image::new(id(1));
    for demand in [PackageDemand::Name("huge".into()), PackageDemand::Id(id(99))] {
        let refusal = catalog().package(&demand, &image).unwrap_err();
        assert_eq!(refusal.field, "metadata.annotations[package]");
        assert!(refusal.message.starts_with(&format!("no package {demand} is visible")), "{refusal}");
    }
}

#[rstest]
#[case::names("fabric,external", Ok(vec![23, 21]))]
#[case::twice("fabric,fabric", Ok(vec![23]))]
#[case::id(&number(24), Ok(vec![24]))]
#[case::unlisted(&number(29), Ok(vec![29]))]
#[case::ambiguous("twin", Err("2 networks are called twin; name one by its UUID"))]
#[case::no_name("moon", Err("no network moon is visible to the account; it sees external, private, fabric"))]
#[case::no_id(&number(99), Err("is visible to the account"))]
fn networks_keep_their_order(#[case] names: &str, #[case] expected: Result<Vec<u128>, &str>) {
    let names: Vec<NetworkName> = names.split(',').map(network_name).collect();
    match (catalog().networks(&names), expected) {
        (Ok(ids), Ok(numbers)) => {
            assert_eq!(ids, numbers.iter().map(|number| id(*number)).collect::<Vec<NetworkId>>());
        }
        (Err(refusal), Err(part)) => {
            assert_eq!(refusal.reason, RefusalReason::Network);
            assert!(refusal.message.contains(part), "{refusal}");
        }
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn a_pod_without_networks_is_on_the_default_one() {
    let mut catalog = catalog();
    catalog.default_network = Some(id(24));
    assert_eq!(catalog.networks(&[]).unwrap(), [id(24)]);
    catalog.default_network = None;
    assert_eq!(catalog.networks(&[]).unwrap(), [id(23)], "a fabric network, the first by name");
    catalog.networks.retain(|network| !network.fabric && !network.name.starts_with(['s', 'z']));
    assert_eq!(catalog.networks(&[]).unwrap(), [id(22)], "a private network");
    catalog.networks = vec![Arc::new(network(21, "external", true, false))];
    assert_eq!(catalog.networks(&[]).unwrap(), [id(21)], "what there is");
    catalog.networks.clear();
    assert_eq!(catalog.networks(&[]).unwrap_err().reason, RefusalReason::Network);
}

#[test]
fn the_pods_network_is_one_that_it_is_on() {
    let catalog = catalog();
    let on = [id(23), id(21)];
    assert_eq!(catalog.pod_network(&network_name("external"), &on).unwrap(), id(21));
    assert_eq!(catalog.pod_network(&network_name(&number(29)), &on).unwrap(), id(29), "a member of a pool");
    let refusal = catalog.pod_network(&network_name("private"), &on).unwrap_err();
    assert_eq!(refusal.field, "metadata.annotations[pod-network]");
}

#[test]
fn counters_of_limits_are_no_difference() {
    let counted = Catalog { limits: vec![Limit::default()], ..catalog() };
    assert!(counted.resolves_as(&catalog()));
    assert!(!Catalog { default_network: Some(id(24)), ..catalog() }.resolves_as(&catalog()));
}
