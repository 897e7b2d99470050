use std::time::Duration;

use serde_json::json;

use super::*;
use crate::world::account::{Limit, LimitCheck, LimitedBy};
use crate::world::settings::Settings;
use crate::world::testing::{KEYS, Stage, message, params, refusal};

#[test]
fn a_new_instance_is_a_row_and_nothing_else() {
    let mut stage = Stage::new();
    let params = stage.zone(json!({
        "name": "web-{{shortId}}", "tag.role": "web", "tag.tier": 2, "metadata.user-script": "true",
        "metadata.secret_pw": "hidden", "metadata.credentials": {"root": "a", "admin_pw": "b"},
        "firewall_enabled": true, "deletion_protection": "true",
    }));
    let machine = stage.try_create(&params).unwrap();
    let short = machine.id.to_string().split('-').next().unwrap().to_owned();
    assert_eq!(machine.name, format!("web-{short}"));
    assert_eq!((machine.public_state(), machine.type_name()), ("provisioning", "smartmachine"));
    assert_eq!((machine.memory_mib, machine.disk_mib), (512, 10_240));
    assert!(machine.nics.is_empty() && machine.compute_node.is_none());
    assert!(machine.firewall_enabled && machine.deletion_protection);
    assert_eq!(json!(machine.tags), json!({"role": "web", "tier": 2}));
    let keys = format!("{}\n", KEYS[0]);
    assert_eq!(json!(machine.metadata), json!({"user-script": "true", "root_authorized_keys": keys}));
    assert_eq!(json!(machine.credentials), json!({"root": "a", "admin": "b"}));
    let own_keys = stage.create(json!({"metadata.root_authorized_keys": "mine"}));
    assert_eq!(stage.machine(own_keys).metadata["root_authorized_keys"], "mine");
    let unnamed = stage.create(json!({}));
    assert_eq!(stage.machine(unnamed).name, unnamed.to_string().split('-').next().unwrap());
}

#[test]
fn wrong_parameters_are_refused_and_leave_nothing() {
    let mut stage = Stage::new();
    let ids = stage.ids.clone();
    let (image, fabric) = (ids.base_64.to_string(), ids.fabric.to_string());
    let foreign = ids.foreign_fabric.to_string();
    let external = ids.external.to_string();
    let unknown = "00000000-0000-4000-8000-0123456789ab";
    let ip = |ip: &str| json!([{"ipv4_uuid": fabric, "ipv4_ips": [ip]}]);
    stage.running(json!({"name": "taken", "networks": ip("192.168.128.77")}));
    let table = [
        (json!({"image": null}), 409, "MissingParameter"),
        (json!({"dataset": image}), 409, "InvalidArgument"),
        (json!({"image": "ubuntu"}), 409, "InvalidArgument"),
        (json!({"image": unknown}), 404, "ResourceNotFound"),
        (json!({"package": ""}), 409, "MissingParameter"),
        (json!({"package": "g9"}), 409, "InvalidArgument"),
        (json!({"package": unknown}), 404, "ResourceNotFound"),
        (json!({"package": "b1.medium"}), 409, "InvalidArgument"),
        (json!({"brand": "lx"}), 409, "InvalidArgument"),
        (json!({"brand": "bhyve"}), 409, "InvalidArgument"),
        (json!({"bootrom": "uefi"}), 409, "InvalidArgument"),
        (json!({"name": "-web"}), 409, "ValidationFailed"),
        (json!({"name": "a b"}), 409, "ValidationFailed"),
        (json!({"name": "taken"}), 409, "ValidationFailed"),
        (json!({"name": "a".repeat(64)}), 409, "InvalidArgument"),
        (json!({"tag.x": {"a": 1}}), 409, "ValidationFailed"),
        (json!({"tag.triton.x": "1"}), 409, "ValidationFailed"),
        (json!({"metadata.x": ["a"]}), 409, "ValidationFailed"),
        (json!({"affinity": "role!"}), 409, "InvalidArgument"),
        (json!({"affinity": ["role==web", 3]}), 409, "InvalidArgument"),
        (json!({"affinity": "role==web", "locality": {"strict": false}}), 409, "InvalidArgument"),
        (json!({"locality": "near"}), 409, "ValidationFailed"),
        (json!({"locality": {"strict": "yes"}}), 409, "ValidationFailed"),
        (json!({"locality": {"near": "x"}}), 409, "ValidationFailed"),
        (json!({"networks": ["x"]}), 409, "InvalidArgument"),
        (json!({"networks": [unknown]}), 409, "InvalidArgument"),
        (json!({"networks": [foreign]}), 409, "InvalidArgument"),
        (json!({"networks": [7]}), 409, "InvalidArgument"),
        (json!({"networks": [ids.pool_members[0].to_string()]}), 409, "InvalidArgument"),
        (json!({"networks": [external, ids.pool.to_string()]}), 409, "InvalidArgument"),
        (json!({"networks": [{"ipv4_count": 1}]}), 409, "MissingParameter"),
        (json!({"networks": [{"ipv4_uuid": 7}]}), 409, "InvalidArgument"),
        (json!({"networks": [{"ipv4_uuid": "x"}]}), 409, "InvalidArgument"),
        (json!({"networks": [{"ipv4_uuid": fabric, "ipv4_count": 2}]}), 409, "InvalidArgument"),
        (
            json!({"networks": [{"ipv4_uuid": fabric, "ipv4_count": 1, "ipv4_ips": []}]}),
            409,
            "InvalidArgument",
        ),
        (json!({"networks": [{"ipv4_uuid": fabric, "ipv4_ips": []}]}), 409, "InvalidArgument"),
        (json!({"networks": [{"ipv4_uuid": fabric, "ipv4_ips": "10.0.0.1"}]}), 409, "InvalidArgument"),
        (
            json!({"networks": [{"ipv4_uuid": foreign, "ipv4_ips": ["192.168.128.9"]}]}),
            404,
            "ResourceNotFound",
        ),
        (json!({"networks": [{"ipv4_uuid": external, "ipv4_ips": ["203.0.113.9"]}]}), 409, "InvalidArgument"),
        (
            json!({"networks": [{"ipv4_uuid": ids.pool.to_string(), "ipv4_ips": ["192.0.2.9"]}]}),
            409,
            "InvalidArgument",
        ),
        (json!({"networks": ip("10.0.0.1")}), 409, "InvalidArgument"),
        (json!({"networks": ip("192.168.128.1")}), 409, "InvalidArgument"),
        (json!({"networks": ip("192.168.131.255")}), 409, "InvalidArgument"),
        (json!({"networks": ip("192.168.128.77")}), 409, "ValidationFailed"),
        (json!({"volumes": [{"name": "v1", "type": "floppy", "mountpoint": "/v"}]}), 409, "InvalidArgument"),
        (json!({"volumes": [{"name": "v1", "mode": "wo", "mountpoint": "/v"}]}), 409, "InvalidArgument"),
        (json!({"volumes": [{"name": "v1", "mountpoint": "//"}]}), 409, "InvalidArgument"),
        (json!({"volumes": [{"name": "!", "mountpoint": "/v"}]}), 409, "InvalidArgument"),
        (
            json!({"volumes": [{"name": "v1", "mountpoint": "/v"}], "networks": [external]}),
            409,
            "VolumesNotReachable",
        ),
    ];
    let count = stage.world.machines().count();
    for (more, status, code) in table {
        let params = stage.zone(more.clone());
        assert_eq!(refusal(stage.try_create(&params)), (status, code.to_owned()), "{more}");
    }
    assert_eq!((stage.world.machines().count(), stage.world.pending()), (count, 0));
    assert_eq!(stage.addresses_in_use(), 1);
}

#[test]
fn errors_name_the_field() {
    let mut stage = Stage::new();
    stage.create(json!({"name": "web"}));
    let params = stage.zone(json!({"name": "web"}));
    let error = stage.try_create(&params).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.message, "Invalid VM parameters: Invalid machine name");
    assert_eq!((refusal.errors[0].field.as_str(), refusal.errors[0].code), ("alias", "Duplicate"));
}

#[test]
fn an_account_needs_a_key_approval_and_quota() {
    let mut stage = Stage::new();
    let (initech, acme) = (stage.ids.initech, stage.ids.acme);
    let now = stage.now;
    let zone = stage.zone(json!({"networks": [stage.ids.external.to_string()]}));
    let create =
        |stage: &mut Stage, owner| stage.world.create_machine(now, owner, &zone, 9, &Caller::default());
    assert_eq!(refusal(create(&mut stage, initech)), (409, "KeyRequired".to_owned()));
    stage.world.account_mut(acme).unwrap().approved = false;
    assert_eq!(refusal(create(&mut stage, acme)), (409, "InvalidArgument".to_owned()));
    stage.world.account_mut(acme).unwrap().approved = true;
    let limit = |by, value, check| vec![Limit { by, value, check }];
    for limits in [
        limit(LimitedBy::Machines, 1, None),
        limit(LimitedBy::Ram, 1000, None),
        limit(LimitedBy::Quota, 15, Some(LimitCheck::Os("smartos".to_owned()))),
        limit(LimitedBy::Machines, 1, Some(LimitCheck::Image("base-64-lts".to_owned()))),
        limit(LimitedBy::Machines, 1, Some(LimitCheck::Brand("joyent".to_owned()))),
    ] {
        let mut stage = Stage::new();
        stage.running(json!({}));
        stage.world.account_mut(acme).unwrap().limits = limits;
        assert_eq!(refusal(create(&mut stage, acme)), (403, "NotAuthorized".to_owned()));
        let used = stage.world.limits(acme)[0].1;
        assert!([1, 512, 10].contains(&used));
        stage.world.account_mut(acme).unwrap().limits[0].check = Some(LimitCheck::Os("linux".to_owned()));
        create(&mut stage, acme).unwrap();
    }
}

#[test]
fn a_shared_image_needs_consent_since_api_9() {
    let mut stage = Stage::new();
    let (acme, initech, now) = (stage.ids.acme, stage.ids.initech, stage.now);
    let mut image = Image::new(
        "13a9e000-0000-4000-8000-000000000001".parse().unwrap(),
        initech,
        "s",
        "1",
        "smartos",
        "zone-dataset",
    );
    (image.public, image.acl) = (false, vec![acme]);
    let zone = stage.zone(json!({"image": image.id.to_string()}));
    stage.world.add_image(image);
    assert!(message(stage.try_create(&zone)).contains("is a shared image"));
    stage.world.create_machine(now, acme, &zone, 8, &Caller::default()).unwrap();
    let mut consent = zone;
    consent.insert("allow_shared_images".to_owned(), json!(true));
    stage.try_create(&consent).unwrap();
}

#[test]
fn an_image_with_a_password_needs_no_key() {
    let mut stage = Stage::new();
    let mut image = Image::clone(stage.world.image_by_id(stage.ids.base_64).unwrap());
    image.needs_password = true;
    stage.world.add_image(image);
    let acme = stage.ids.acme;
    stage.world.account_mut(acme).unwrap().keys.clear();
    let zone = stage.zone(json!({}));
    assert_eq!(refusal(stage.try_create(&zone)), (409, "MissingParameter".to_owned()));
    let id = stage.create(json!({"password": "s3cret"}));
    assert_eq!(json!(stage.machine(id).metadata), json!({"administrator_pw": "s3cret"}));
}

#[test]
fn packages_must_fit_the_image() {
    let mut stage = Stage::new();
    let mut image = Image::clone(stage.world.image_by_id(stage.ids.base_64).unwrap());
    image.min_ram_mib = Some(1024);
    stage.world.add_image(image);
    let zone = stage.zone(json!({}));
    assert!(message(stage.try_create(&zone)).contains("at least 1024 MiB of RAM"));
    let mut package = Package::clone(stage.world.package(stage.ids.acme, "g1.small").unwrap());
    package.os = Some("linux".to_owned());
    stage.world.add_package(package);
    let zone = stage.zone(json!({"package": "g1.small"}));
    assert!(message(stage.try_create(&zone)).contains("must have the same OS"));
}

#[test]
fn networks_are_used_once_and_the_public_one_is_primary() {
    let mut stage = Stage::new();
    let (fabric, external) = (stage.ids.fabric, stage.ids.external);
    let networks = json!([
        fabric.to_string(), {"ipv4_uuid": fabric.to_string(), "primary": true}, {"ipv4_uuid": external.to_string()},
    ]);
    let id = stage.running(json!({"networks": networks}));
    let nics: Vec<_> = stage.machine(id).nics.iter().map(|nic| (nic.network, nic.primary)).collect();
    assert_eq!(nics, [(fabric, false), (external, true)]);
    assert_eq!(stage.machine(id).primary_nic().unwrap().ip.to_string(), "203.0.113.2");

    let mut zone = stage.zone(json!({}));
    zone.remove("networks");
    let id = stage.try_create(&zone).unwrap().id;
    stage.settle();
    let networks: Vec<_> = stage.machine(id).nics.iter().map(|nic| nic.network).collect();
    assert_eq!(networks, [stage.ids.pool_members[0], fabric]);

    let mut package = Package::clone(stage.world.package(stage.ids.acme, "g1.nano").unwrap());
    package.networks = vec![fabric];
    stage.world.add_package(package);
    let id = stage.try_create(&zone).unwrap().id;
    stage.settle();
    assert_eq!(stage.machine(id).nics.iter().map(|nic| nic.network).collect::<Vec<_>>(), [fabric]);
}

#[test]
fn an_address_that_was_asked_for_is_taken_at_once() {
    let mut stage = Stage::new();
    let (acme, fabric) = (stage.ids.acme, stage.ids.fabric);
    let networks = json!([{"ipv4_uuid": fabric.to_string(), "ipv4_ips": ["192.168.129.7"]}]);
    stage.world.update_address(acme, fabric, "192.168.129.7", &params(json!({"reserved": true}))).unwrap();
    let id = stage.create(json!({"networks": networks}));
    let zone = stage.zone(json!({"networks": networks}));
    let refused = stage.try_create(&zone).unwrap_err();
    assert_eq!(refused.refusal().unwrap().errors[0].code, "UsedBy");
    stage.settle();
    assert_eq!(stage.machine(id).nics[0].ip.to_string(), "192.168.129.7");
    stage.delete(id).unwrap();
    stage.settle();
    let (_, address) = stage.world.address(acme, fabric, "192.168.129.7").unwrap();
    assert!(address.reserved && address.instance.is_none());
}

#[test]
fn a_full_network_or_data_centre_only_shows_as_a_failed_instance() {
    let mut stage = Stage::new();
    let first = "192.168.128.2".parse().unwrap();
    let fabric = stage.ids.fabric;
    let mut network = stage.world.network_by_id(fabric).unwrap().clone();
    (network.provision_start, network.provision_end) = (first, first);
    network.reset_addresses();
    stage.world.add_network(network);
    let ids: Vec<_> = (0..2).map(|_| stage.create(json!({}))).collect();
    stage.settle();
    assert_eq!(
        ids.iter().map(|id| stage.state(*id)).collect::<Vec<_>>(),
        [VmState::Running, VmState::Failed]
    );
    for node in stage.ids.nodes {
        stage.world.set_compute_node_capacity(node, 256, 1 << 20);
    }
    let id = stage.create(json!({"networks": [stage.ids.external.to_string()]}));
    stage.settle();
    assert_eq!((stage.state(id), stage.machine(id).compute_node), (VmState::Failed, None));
    assert_eq!(stage.audit(id), ["provision no"]);
}

#[test]
fn the_check_for_duplicates_can_be_made_blind_for_new_rows() {
    let blindness = Duration::from_secs(1);
    let mut stage = Stage::with(Settings { unique_name_blindness: blindness, ..Settings::default() });
    stage.create(json!({"name": "web"}));
    stage.create(json!({"name": "web"}));
    stage.pass(blindness);
    let zone = stage.zone(json!({"name": "web"}));
    assert_eq!(refusal(stage.try_create(&zone)), (409, "ValidationFailed".to_owned()));
}

#[test]
fn there_are_only_so_many_instances() {
    let mut stage = Stage::with(Settings { max_instances: 2, ..Settings::default() });
    stage.create(json!({}));
    stage.create(json!({}));
    let zone = stage.zone(json!({}));
    assert_eq!(stage.try_create(&zone).unwrap_err().status(), 503);
}

#[test]
fn an_instance_can_be_made_to_run_at_once() {
    let mut stage = Stage::new();
    let (now, acme) = (stage.now, stage.ids.acme);
    let zone = stage.zone(json!({}));
    let id = stage.world.create_running_machine(now, acme, &zone).unwrap();
    assert_eq!((stage.state(id), stage.machine(id).booted), (VmState::Running, Some(now)));
    stage.settle();
    assert_eq!(stage.audit(id), ["provision yes"]);
}
