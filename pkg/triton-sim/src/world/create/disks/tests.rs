use serde_json::json;

use super::*;
use crate::world::testing::{Stage, message, params};

const QUOTA: u64 = 102_400;
const IMAGE: u64 = 10_240;

fn sizes(stage: &mut Stage, more: Value) -> Result<Vec<u64>, WorldError> {
    let params = stage.hvm(more);
    let machine = stage.try_create(&params)?;
    assert_eq!(machine.flexible_disk_mib, Some(QUOTA));
    Ok(machine.disks.iter().map(|disk| disk.size_mib).collect())
}

#[test]
fn a_flexible_quota_is_divided() {
    let mut stage = Stage::new();
    for (disks, expected) in [
        (json!(null), vec![IMAGE, QUOTA - IMAGE]),
        (json!([{}]), vec![IMAGE]),
        (json!([{"size": 20_480}]), vec![20_480]),
        (json!([{"size": "remaining"}]), vec![QUOTA]),
        (json!([{}, {"size": 1024}, {"size": "remaining"}]), vec![IMAGE, 1024, QUOTA - IMAGE - 1024]),
        (json!([{"size": "remaining"}, {"size": "1024"}]), vec![QUOTA - 1024, 1024]),
        (json!([{"size": IMAGE}, {"size": 512, "block_size": 4096}]), vec![IMAGE, 512]),
    ] {
        assert_eq!(sizes(&mut stage, json!({"disks": disks})).unwrap(), expected, "{disks}");
    }
}

#[test]
fn disks_that_cannot_be_are_refused() {
    let mut stage = Stage::new();
    let nine = json!([{}, {"size": 1}, {"size": 1}, {"size": 1}, {"size": 1}, {"size": 1}, {"size": 1}, {"size": 1}, {"size": 1}]);
    for (disks, expected) in [
        (json!([]), "non-empty array"),
        (nine, "A maximum of 8 disks"),
        (json!([{"size": 0}]), "disks[0].size"),
        (json!([{"size": "much"}]), "disks[0].size"),
        (json!([{"size": IMAGE - 1}]), "greater than or equal to image size"),
        (json!([{}, {}]), "disk.size must be set"),
        (json!([{}, {"size": "remaining"}, {"size": "remaining"}]), "Only one disk.size"),
        (json!([{}, {"size": QUOTA}]), "greater than the package quota"),
        (json!([{}, {"size": u64::MAX}, {"size": u64::MAX}]), "greater than the package quota"),
        (json!([{"size": QUOTA}, {"size": "remaining"}]), "greater than the package quota"),
        (json!([{"block_size": 4096}]), "Cannot set block_size"),
        (json!([{}, {"size": 1, "block_size": 1000}]), "Invalid block_size"),
        (json!([{}, {"size": 1, "block_size": 262_144}]), "Invalid block_size"),
    ] {
        let text = message(sizes(&mut stage, json!({"disks": disks})));
        assert!(text.contains(expected), "{disks}: {text}");
    }
}

#[test]
fn disks_are_only_for_flexible_packages() {
    let mut stage = Stage::new();
    let mut package = Package::clone(stage.world.package(stage.ids.acme, "b1.medium").unwrap());
    package.flexible_disk = false;
    stage.world.add_package(package);
    assert!(message(sizes(&mut stage, json!({"disks": [{}]}))).contains("flexible_disk"));
    let params = stage.hvm(json!({}));
    let machine = stage.try_create(&params).unwrap();
    let sizes: Vec<u64> = machine.disks.iter().map(|disk| disk.size_mib).collect();
    assert_eq!((sizes, machine.disk_mib, machine.flexible_disk_mib), (vec![IMAGE, QUOTA], QUOTA, None));
}

#[test]
fn the_first_disk_gets_the_image_and_is_booted() {
    let mut stage = Stage::new();
    let params = stage.hvm(json!({}));
    let machine = stage.try_create(&params).unwrap();
    let disks: Vec<_> = machine.disks.iter().map(|disk| (disk.boot, disk.image, &*disk.pci_slot)).collect();
    assert_eq!(disks, [(true, Some(stage.ids.ubuntu_hvm), "0:4:0"), (false, None, "0:4:1")]);
}

#[test]
fn what_names_a_brand_must_agree() {
    let stage = Stage::new();
    let image = |id| Image::clone(stage.world.image_by_id(id).unwrap());
    let package = |name| Package::clone(stage.world.package(stage.ids.acme, name).unwrap());
    let (zone, lx, hvm) = (image(stage.ids.base_64), image(stage.ids.ubuntu_lx), image(stage.ids.ubuntu_hvm));
    let (small, flexible) = (package("g1.small"), package("b1.medium"));
    let mut any_hvm = hvm.clone();
    any_hvm.brand = None;
    let mut any_package = flexible.clone();
    any_package.brand = None;
    let nothing = json!({});
    let table = [
        (&zone, &small, nothing.clone(), Ok(Brand::Joyent)),
        (&lx, &small, nothing.clone(), Ok(Brand::Lx)),
        (&hvm, &flexible, nothing.clone(), Ok(Brand::Bhyve)),
        (&hvm, &small, nothing.clone(), Ok(Brand::Bhyve)),
        (&any_hvm, &any_package, nothing.clone(), Ok(Brand::Bhyve)),
        (&any_hvm, &any_package, json!({"brand": "kvm"}), Ok(Brand::Kvm)),
        (&any_hvm, &flexible, json!({"brand": "kvm"}), Err("Package requires brand \"bhyve\"")),
        (&hvm, &any_package, json!({"brand": "kvm"}), Err("Image requires brand \"bhyve\"")),
        (&lx, &flexible, nothing.clone(), Err("Package requires brand \"bhyve\"")),
        (&zone, &any_package, json!({"brand": "bhyve"}), Err("requires the image type to be \"zvol\"")),
        (&zone, &small, json!({"brand": "<script>"}), Err("Unknown brand \"script\"")),
    ];
    for (image, package, more, expected) in table {
        match (brand(image, package, &params(more.clone())), expected) {
            (Ok(brand), Ok(expected)) => assert_eq!(brand, expected, "{more}"),
            (result, Err(expected)) => {
                let text = message(result);
                assert!(text.contains(expected), "{more}: {text}");
            }
            (Err(error), Ok(_)) => panic!("{more}: {error}"),
        }
    }
}
