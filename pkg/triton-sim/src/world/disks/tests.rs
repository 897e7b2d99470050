use serde_json::json;

use super::*;
use crate::world::testing::{Stage, caller, params, refusal};

fn create(stage: &mut Stage, id: InstanceId, disk: Value) -> Result<Option<Disk>, WorldError> {
    stage.world.create_disk(stage.now, stage.ids.acme, id, &params(disk), &caller())
}

fn resize(stage: &mut Stage, id: InstanceId, disk: DiskId, size: Value) -> Result<Disk, WorldError> {
    stage.world.resize_disk(stage.now, stage.ids.acme, id, disk, &params(size), &caller())
}

fn listed(stage: &Stage, id: InstanceId) -> Vec<(u64, &'static str)> {
    let disks = stage.world.list_disks(stage.ids.acme, id).unwrap();
    disks.into_iter().map(|(disk, state)| (disk.size_mib, state)).collect()
}

/// A stopped machine of 100 GiB with a boot disk of 10 GiB and room for the rest.
fn stage() -> (Stage, InstanceId) {
    let mut stage = Stage::new();
    let id = stage.stopped_hvm();
    let data = stage.machine(id).disks[1].id;
    stage.world.delete_disk(stage.now, stage.ids.acme, id, data, &caller()).unwrap();
    assert_eq!(listed(&stage, id), [(10_240, "stopped"), (92_160, "deleting")]);
    stage.settle();
    assert_eq!(stage.machine(id).free_space_mib(), Some(92_160));
    (stage, id)
}

#[test]
fn a_disk_with_a_slot_is_listed_while_it_is_made() {
    let (mut stage, id) = stage();
    let made = create(&mut stage, id, json!({"size": 1024, "pci_slot": "0:5:0"})).unwrap().unwrap();
    assert_eq!(listed(&stage, id), [(10_240, "stopped"), (1024, "creating")]);
    assert!(create(&mut stage, id, json!({"size": "remaining"})).unwrap().is_none());
    assert_eq!(listed(&stage, id).len(), 2);
    stage.settle();
    // The second one was measured before the first was there, and no longer fits.
    assert_eq!(listed(&stage, id), [(10_240, "stopped"), (1024, "stopped")]);
    assert_eq!(stage.audit(id)[..2], ["unknown no", "unknown yes"]);
    create(&mut stage, id, json!({"size": "remaining"})).unwrap();
    stage.settle();
    assert_eq!(stage.machine(id).free_space_mib(), Some(0));
    assert_eq!(stage.machine(id).disks[2].pci_slot, "0:4:1");
    let again = create(&mut stage, id, json!({"size": 1}));
    assert_eq!(refusal(again), (409, "InsufficientDiskSpace".to_owned()));
    stage.act(id, json!({"action": "start"})).unwrap();
    stage.settle();
    assert_eq!(stage.world.disk(stage.ids.acme, id, made.id).unwrap().1, "running");
}

#[test]
fn a_disk_grows_and_shrinks_only_on_purpose() {
    let (mut stage, id) = stage();
    let boot = stage.machine(id).disks[0].id;
    resize(&mut stage, id, boot, json!({"size": 20_480})).unwrap();
    assert_eq!(listed(&stage, id), [(10_240, "resizing")]);
    stage.settle();
    assert_eq!(listed(&stage, id), [(20_480, "stopped")]);
    let shrink = json!({"size": 10_240});
    assert_eq!(refusal(resize(&mut stage, id, boot, shrink)), (409, "ValidationFailed".to_owned()));
    resize(&mut stage, id, boot, json!({"size": 10_240, "dangerous_allow_shrink": true})).unwrap();
    stage.settle();
    assert_eq!(listed(&stage, id), [(10_240, "stopped")]);
    let large = resize(&mut stage, id, boot, json!({"size": 102_401}));
    assert_eq!(refusal(large), (409, "InsufficientDiskSpace".to_owned()));
    let overflow = resize(&mut stage, id, boot, json!({"size": u64::MAX}));
    assert_eq!(refusal(overflow), (409, "InsufficientDiskSpace".to_owned()));
}

#[test]
fn wrong_machines_states_and_parameters_are_refused() {
    let (mut stage, id) = stage();
    let (now, acme) = (stage.now, stage.ids.acme);
    let boot = stage.machine(id).disks[0].id;
    for (disk, code) in [
        (json!({}), "MissingParameter"),
        (json!({"size": "much"}), "InvalidArgument"),
        (json!({"size": 0}), "ValidationFailed"),
        (json!({"size": 1, "pci_slot": "x"}), "InvalidArgument"),
        (json!({"size": 1, "pci_slot": "0:4:0"}), "ValidationFailed"),
        (json!({"size": 1, "block_size": 1000}), "InvalidArgument"),
    ] {
        assert_eq!(refusal(create(&mut stage, id, disk.clone())), (409, code.to_owned()), "{disk}");
    }
    let deleted = stage.world.delete_disk(now, acme, id, boot, &caller());
    assert_eq!(refusal(deleted), (409, "ValidationFailed".to_owned()));
    let unknown = DiskId::from(uuid::Uuid::nil());
    assert_eq!(resize(&mut stage, id, unknown, json!({"size": 1})).unwrap_err().status(), 404);
    let zone = stage.running(json!({}));
    assert_eq!(refusal(create(&mut stage, zone, json!({"size": 1}))), (409, "InvalidArgument".to_owned()));
    stage.act(id, json!({"action": "start"})).unwrap();
    stage.settle();
    let running = create(&mut stage, id, json!({"size": 1}));
    assert_eq!(refusal(running), (409, "VmNotStopped".to_owned()));
}

#[test]
fn a_machine_that_starts_meanwhile_keeps_its_disks() {
    let (mut stage, id) = stage();
    stage.act(id, json!({"action": "start"})).unwrap();
    create(&mut stage, id, json!({"size": 1024})).unwrap();
    stage.settle();
    assert_eq!(listed(&stage, id), [(10_240, "running")]);
    assert_eq!(stage.audit(id)[..2], ["unknown no", "start yes"]);
}
