use serde_json::json;

use super::*;
use crate::world::settings::{Settings, Timing};
use crate::world::testing::{Stage, caller, foreign, params, refusal};

/// What an action makes of an instance in each state: the state afterwards and the audit entry.
#[test]
fn actions_follow_the_state_machine_and_wrong_states_fail_without_effect() {
    let table = [
        ("running", "start", VmState::Running, "start no"),
        ("running", "stop", VmState::Stopped, "stop yes"),
        ("running", "reboot", VmState::Running, "reboot yes"),
        ("stopped", "start", VmState::Running, "start yes"),
        ("stopped", "stop", VmState::Stopped, "stop no"),
        ("stopped", "reboot", VmState::Stopped, "reboot no"),
    ];
    for (before, action, after, audit) in table {
        let mut stage = Stage::new();
        let id = stage.running(json!({}));
        if before == "stopped" {
            stage.act(id, json!({"action": "stop"})).unwrap();
            stage.settle();
        }
        stage.act(id, json!({"action": action})).unwrap();
        stage.settle();
        assert_eq!(stage.state(id), after, "{action} of a {before} instance");
        assert_eq!(stage.audit(id).first().unwrap(), audit, "{action} of a {before} instance");
    }
}

#[test]
fn stopping_and_destroying_show_on_the_way() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    stage.act(id, json!({"action": "stop"})).unwrap();
    assert_eq!(stage.state(id), VmState::Stopping);
    stage.settle();
    assert_eq!(stage.state(id), VmState::Stopped);
    stage.act(id, json!({"action": "start"})).unwrap();
    assert_eq!(stage.state(id), VmState::Stopped);
    stage.settle();
    stage.delete(id).unwrap();
    assert_eq!((stage.state(id), stage.machine(id).public_state()), (VmState::Stopping, "stopping"));
    stage.settle();
    assert_eq!((stage.state(id), stage.machine(id).public_state()), (VmState::Destroyed, "deleted"));
}

#[test]
fn a_reboot_ends_a_second_later_even_when_nothing_else_takes_time() {
    let mut stage = Stage::with(Settings { timing: Timing::instant(), ..Settings::default() });
    let id = stage.running(json!({}));
    let (asked, booted) = (stage.now, stage.machine(id).booted);
    stage.act(id, json!({"action": "reboot"})).unwrap();
    stage.settle();
    let entry = stage.world.audit(id).next().unwrap();
    assert_eq!(entry.action, "reboot");
    assert!(entry.time.duration_since(asked).as_secs() >= 1);
    assert!(stage.machine(id).booted > booted);
}

#[test]
fn a_destroyed_instance_answers_with_its_row_for_ever() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"name": "web"}));
    stage.delete(id).unwrap();
    stage.delete(id).unwrap();
    stage.settle();
    assert!(matches!(stage.delete(id), Err(WorldError::Gone(machine)) if machine.name == "web"));
    assert_eq!(stage.act(id, json!({"action": "start"})).unwrap_err().status(), 410);
    let acme = stage.ids.acme;
    assert!(stage.world.machine(acme, id).unwrap().is_destroyed());
    assert_eq!(stage.audit(id), ["destroy yes", "provision yes"]);
}

#[test]
fn an_instance_that_is_being_made_can_only_be_deleted_once_it_has_a_node() {
    let mut stage = Stage::new();
    let id = stage.create(json!({"name": "web"}));
    for action in ["start", "stop", "reboot", "enable_firewall", "enable_deletion_protection"] {
        let refused = refusal(stage.act(id, json!({"action": action})));
        assert_eq!(refused, (409, "UnallocatedVM".to_owned()), "{action}");
    }
    assert_eq!(refusal(stage.delete(id)), (409, "ConflictError".to_owned()));
    stage.pass(std::time::Duration::from_millis(600));
    assert_eq!(stage.state(id), VmState::Provisioning);
    assert!(stage.machine(id).compute_node.is_some());
    stage.delete(id).unwrap();
    stage.settle();
    assert_eq!(stage.state(id), VmState::Failed);
    assert_eq!(stage.audit(id), ["destroy yes", "provision no"]);
    assert_eq!((stage.machine(id).nics.len(), stage.addresses_in_use(), stage.memory_in_use()), (0, 0, 0));
    stage.running(json!({"name": "web"}));
}

#[test]
fn wrong_actions_are_refused() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let table = [
        (json!({}), "MissingParameter"),
        (json!({"action": "explode"}), "InvalidArgument"),
        (json!({"action": "rename"}), "MissingParameter"),
        (json!({"action": "rename", "name": "a".repeat(64)}), "InvalidArgument"),
        (json!({"action": "rename", "name": "a".repeat(190)}), "InvalidArgument"),
        (json!({"action": "rename", "name": "-web"}), "ValidationFailed"),
        (json!({"action": "resize"}), "MissingParameter"),
        (json!({"action": "resize", "package": "nonesuch"}), "InvalidArgument"),
    ];
    for (action, code) in table {
        assert_eq!(refusal(stage.act(id, action.clone())), (409, code.to_owned()), "{action}");
    }
    let (foreign, now) = (foreign(&stage), stage.now);
    let start = params(json!({"action": "start"}));
    let refused = refusal(stage.world.update_machine(now, foreign, id, &start, &caller()));
    assert_eq!(refused, (404, "ResourceNotFound".to_owned()));
    assert_eq!(stage.world.pending(), 0);
}

#[test]
fn flags_change_in_a_job_and_not_at_all_when_they_are_so_already() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    for (action, audit) in
        [("enable_firewall", "unknown yes"), ("enable_deletion_protection", "enable_deletion_protection yes")]
    {
        stage.act(id, json!({"action": action})).unwrap();
        stage.settle();
        assert_eq!(stage.audit(id).first().unwrap(), audit);
        stage.act(id, json!({"action": action})).unwrap();
        assert_eq!(stage.world.unfinished_jobs(id), 0, "{action} twice");
    }
    assert!(stage.machine(id).firewall_enabled && stage.machine(id).deletion_protection);
    assert_eq!(refusal(stage.delete(id)), (409, "CannotDestroyMachineError".to_owned()));
    stage.act(id, json!({"action": "disable_deletion_protection"})).unwrap();
    stage.settle();
    stage.delete(id).unwrap();
}

#[test]
fn protection_that_comes_before_the_destruction_saves_the_instance() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    stage.act(id, json!({"action": "enable_deletion_protection"})).unwrap();
    stage.delete(id).unwrap();
    stage.settle();
    assert_eq!(stage.state(id), VmState::Running);
    assert_eq!(stage.audit(id)[..2], ["destroy no", "enable_deletion_protection yes"]);
}

#[test]
fn names_are_unique_among_active_instances_of_one_account() {
    let mut stage = Stage::new();
    let web = stage.running(json!({"name": "web"}));
    let db = stage.running(json!({"name": "db"}));
    let rename = |stage: &mut Stage| stage.act(db, json!({"action": "rename", "name": "web"}));
    assert_eq!(refusal(rename(&mut stage)), (409, "ValidationFailed".to_owned()));
    stage.act(web, json!({"action": "rename", "name": "www"})).unwrap();
    stage.settle();
    rename(&mut stage).unwrap();
    // Two renames to one name that wait at the same time: the later one finds it taken.
    stage.act(web, json!({"action": "rename", "name": "api"})).unwrap();
    let other = stage.running(json!({"name": "api2"}));
    assert_eq!(stage.machine(db).name, "web");
    stage.act(other, json!({"action": "rename", "name": "x1"})).unwrap();
    stage.act(web, json!({"action": "rename", "name": "x1"})).unwrap();
    stage.settle();
    assert_eq!((stage.machine(other).name.as_str(), stage.machine(web).name.as_str()), ("x1", "api"));
    assert_eq!(stage.audit(web).first().unwrap(), "rename no");
}

#[test]
fn a_resize_changes_the_size_and_the_room_on_the_node() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    assert_eq!(stage.memory_in_use(), 512);
    stage.act(id, json!({"action": "resize", "package": "g1.small"})).unwrap();
    stage.settle();
    let machine = stage.machine(id);
    assert_eq!((&*machine.package_name, machine.memory_mib, machine.disk_mib), ("g1.small", 2048, 51_200));
    assert_eq!(stage.memory_in_use(), 2048);
    let node = machine.compute_node.unwrap();
    stage.world.set_compute_node_capacity(node, 3000, 4 << 20);
    let refused = refusal(stage.act(id, json!({"action": "resize", "package": "g1.medium"})));
    assert_eq!(refused, (409, "ValidationFailed".to_owned()));
}

#[test]
fn a_bhyve_machine_is_resized_only_when_stopped_and_flexible() {
    let mut stage = Stage::new();
    let params = stage.hvm(json!({}));
    let id = stage.try_create(&params).unwrap().id;
    stage.settle();
    let resize =
        |stage: &mut Stage, package: &str| stage.act(id, json!({"action": "resize", "package": package}));
    assert_eq!(refusal(resize(&mut stage, "b1.large")), (409, "VmNotStopped".to_owned()));
    stage.act(id, json!({"action": "stop"})).unwrap();
    stage.settle();
    assert_eq!(refusal(resize(&mut stage, "g1.medium")), (409, "InvalidArgument".to_owned()));
    resize(&mut stage, "b1.large").unwrap();
    stage.settle();
    assert_eq!(stage.machine(id).flexible_disk_mib, Some(204_800));
    assert_eq!(stage.machine(id).free_space_mib(), Some(102_400));
}

#[test]
fn a_running_guest_writes_metadata_powers_off_and_reboots() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    stage.changes();
    let now = stage.now;
    stage.world.guest_sets_metadata(now, id, "k8s:exit-code", Some("3"));
    assert_eq!(stage.machine(id).metadata["k8s:exit-code"], "3");
    stage.world.guest_sets_metadata(now, id, "k8s:exit-code", None);
    assert!(!stage.machine(id).metadata.contains_key("k8s:exit-code"));
    stage.now = stage.now.checked_add(std::time::Duration::from_secs(5)).unwrap();
    stage.world.guest_reboots(stage.now, id);
    assert_eq!(stage.machine(id).booted, Some(stage.now));
    stage.world.guest_powers_off(stage.now, id);
    assert_eq!(stage.state(id), VmState::Stopped);
    let properties: Vec<&str> = stage.changes().iter().map(|(_, properties)| properties[0]).collect();
    assert_eq!(properties, ["customer_metadata", "customer_metadata", "boot_timestamp", "state"]);
    stage.world.guest_sets_metadata(stage.now, id, "late", Some("1"));
    stage.world.guest_reboots(stage.now, id);
    assert_eq!((stage.state(id), stage.machine(id).metadata.contains_key("late")), (VmState::Stopped, false));
    assert_eq!(stage.audit(id), ["provision yes"]);
}
