use serde_json::json;

use super::*;
use crate::world::testing::{Stage, caller, foreign, params, refusal};

fn add(stage: &mut Stage, id: InstanceId, nic: Value) -> Result<Nic, WorldError> {
    stage.world.add_nic(stage.now, stage.ids.acme, id, &params(nic), &caller())
}

fn states(stage: &Stage, id: InstanceId) -> Vec<&'static str> {
    stage.world.list_nics(stage.ids.acme, id).unwrap().map(|(_, state)| state).collect()
}

#[test]
fn a_nic_is_there_at_once_and_in_the_instance_after_a_reboot() {
    let mut stage = Stage::new();
    let (id, external) = (stage.running(json!({})), stage.ids.external.to_string());
    let booted = stage.machine(id).booted;
    stage.pass(std::time::Duration::from_secs(1));
    let nic = add(&mut stage, id, json!({"network": external, "primary": true})).unwrap();
    assert_eq!(states(&stage, id), ["running", "provisioning"]);
    assert_eq!(stage.machine(id).nics.len(), 1);
    stage.settle();
    assert_eq!(states(&stage, id), ["running", "running"]);
    assert!(stage.machine(id).booted > booted);
    assert_eq!(stage.machine(id).primary_nic().unwrap().mac, nic.mac);
    assert_eq!(stage.audit(id)[0], "unknown yes");
    assert!(matches!(
        add(&mut stage, id, json!({"network": external})),
        Err(WorldError::NicExists { mac, .. }) if mac == nic.mac
    ));
    let (acme, mac) = (stage.ids.acme, nic.mac.to_path_segment());
    stage.world.remove_nic(stage.now, acme, id, &mac, &caller()).unwrap();
    assert_eq!(states(&stage, id).len(), 2);
    stage.settle();
    assert_eq!(stage.world.nic(acme, id, &mac).unwrap_err().status(), 404);
    assert!(stage.machine(id).nics[0].primary);
    assert_eq!(stage.addresses_in_use(), 1);
}

#[test]
fn a_nic_that_is_not_added_is_given_back() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    stage.world.settings_mut().job_failures = 1.0;
    let external = stage.ids.external.to_string();
    add(&mut stage, id, json!({"network": external})).unwrap();
    assert_eq!(stage.addresses_in_use(), 2);
    stage.settle();
    assert_eq!((stage.addresses_in_use(), states(&stage, id).len()), (1, 1));
}

#[test]
fn a_stopped_instance_stays_so() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    stage.act(id, json!({"action": "stop"})).unwrap();
    stage.settle();
    let external = stage.ids.external.to_string();
    add(&mut stage, id, json!({"network": external})).unwrap();
    stage.settle();
    assert_eq!((stage.state(id), states(&stage, id)), (VmState::Stopped, vec!["stopped", "stopped"]));
}

#[test]
fn networks_and_addresses_are_checked() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"networks": [stage.ids.external.to_string()]}));
    let fabric = stage.ids.fabric.to_string();
    let ip = |ip: &str| json!({"network": {"ipv4_uuid": fabric, "ipv4_ips": [ip]}});
    for (nic, status) in [
        (json!({}), 409),
        (json!({"network": "x"}), 409),
        (json!({"network": 7}), 409),
        (json!({"network": stage.ids.foreign_fabric.to_string()}), 409),
        (json!({"network": stage.ids.acme.to_string()}), 409),
        (ip("192.168.128.1"), 409),
        (ip("10.0.0.1"), 409),
    ] {
        assert_eq!(add(&mut stage, id, nic.clone()).unwrap_err().status(), status, "{nic}");
    }
    let other = stage.create(json!({}));
    assert_eq!(refusal(add(&mut stage, other, ip("192.168.128.99"))), (409, "UnallocatedVM".to_owned()));
    assert_eq!(add(&mut stage, id, ip("192.168.128.99")).unwrap().ip.to_string(), "192.168.128.99");
    let (acme, foreign) = (stage.ids.acme, foreign(&stage));
    assert_eq!(refusal(stage.world.nic(acme, id, "90:b8:d0:00:00:01")), (409, "InvalidArgument".to_owned()));
    assert_eq!(stage.world.nic(acme, id, "90b8d0000001").unwrap_err().status(), 404);
    assert_eq!(stage.world.list_nics(foreign, id).map(|_| ()).unwrap_err().status(), 404);
}

#[test]
fn a_full_network_is_an_error_of_its_own() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let mut network = stage.world.network_by_id(stage.ids.external).unwrap().clone();
    network.provision_end = network.provision_start;
    network.reset_addresses();
    stage.world.add_network(network);
    let external = stage.ids.external.to_string();
    stage.running(json!({"networks": [external]}));
    assert_eq!(refusal(add(&mut stage, id, json!({"network": external}))), (507, "SubnetFull".to_owned()));
}
