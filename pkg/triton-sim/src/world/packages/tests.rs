use serde_json::json;

use super::*;
use crate::world::testing::{Stage, foreign, params};

#[test]
fn lists_are_filtered() {
    let stage = Stage::new();
    for (query, expected) in [
        (json!({}), &["g1.nano", "g1.micro", "g1.small", "g1.medium", "b1.medium", "b1.large"][..]),
        (json!({"name": "g1.nano"}), &["g1.nano"]),
        (json!({"name": "*.medium"}), &["g1.medium", "b1.medium"]),
        (json!({"name": "b*", "memory": "8192"}), &["b1.large"]),
        (json!({"memory": 4096}), &["g1.medium", "b1.medium"]),
        (json!({"memory": "lots"}), &[]),
        (json!({"disk": 10_240}), &["g1.nano"]),
        (json!({"swap": 2048}), &["g1.nano"]),
        (json!({"lwps": 1}), &[]),
        (json!({"vcpus": 4}), &["b1.large"]),
        (json!({"version": "1.*", "group": "Bhyve"}), &["b1.medium", "b1.large"]),
        (json!({"brand": "bhyve"}), &["b1.medium", "b1.large"]),
        (json!({"flexible_disk": true}), &["b1.medium", "b1.large"]),
        (json!({"flexible_disk": "false", "memory": 512}), &["g1.nano"]),
    ] {
        let packages = stage.world.list_packages(stage.ids.acme, &params(query.clone()));
        let names: Vec<&str> = packages.iter().map(|package| &*package.name).collect();
        assert_eq!(names, expected, "{query}");
    }
}

#[test]
fn a_name_means_the_highest_active_version_that_the_account_sees() {
    let mut stage = Stage::new();
    let (acme, foreign) = (stage.ids.acme, foreign(&stage));
    let nano = Package::clone(stage.world.package(acme, "g1.nano").unwrap());
    let id = |number: u32| format!("bac000{number:02}-0000-4000-8000-000000000001").parse().unwrap();
    for (number, version, active, owners) in [
        (10, "1.10.0", true, vec![]),
        (11, "1.9.0", true, vec![]),
        (12, "2.0.0", false, vec![]),
        (13, "1.11.0", true, vec![acme]),
    ] {
        let version = version.to_owned();
        stage.world.add_package(Package { id: id(number), version, active, owners, ..nano.clone() });
    }
    assert_eq!(stage.world.package(acme, "g1.nano").unwrap().id, id(13));
    assert_eq!(stage.world.package(foreign, "g1.nano").unwrap().id, id(10));
    assert_eq!(stage.world.package(acme, &id(12).to_string()).unwrap().version, "2.0.0");
    assert_eq!(stage.world.package(foreign, &id(13).to_string()).unwrap_err().status(), 404);
    assert_eq!(stage.world.package(acme, "nonesuch").unwrap_err().status(), 404);
    let zone = stage.zone(json!({"package": id(12).to_string()}));
    assert_eq!(stage.try_create(&zone).unwrap_err().status(), 409);
}
