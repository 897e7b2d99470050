use std::time::Duration;

use serde_json::json;

use super::*;
use crate::view::VmState;
use crate::world::settings::Settings;
use crate::world::testing::{Stage, caller, params};

#[test]
fn jobs_of_one_instance_end_one_after_the_other_and_those_of_two_side_by_side() {
    let mut stage = Stage::new();
    let (first, second) = (stage.running(json!({})), stage.running(json!({})));
    let asked = stage.now;
    for id in [first, second] {
        stage.act(id, json!({"action": "stop"})).unwrap();
        stage.act(id, json!({"action": "start"})).unwrap();
    }
    assert_eq!(stage.world.unfinished_jobs(first), 2);
    stage.settle();
    for id in [first, second] {
        let times: Vec<i128> =
            stage.world.audit(id).map(|entry| entry.time.duration_since(asked).as_millis()).collect();
        assert_eq!(times[..2], [1400, 700]);
        assert_eq!(stage.audit(id)[..2], ["start yes", "stop yes"]);
    }
}

#[test]
fn what_is_late_happens_at_the_time_it_was_due() {
    let mut stage = Stage::new();
    let id = stage.create(json!({}));
    let asked = stage.now;
    stage.pass(Duration::from_secs(3600));
    let entry = stage.world.audit(id).next().unwrap();
    assert_eq!(entry.time.duration_since(asked).as_millis(), 2000);
    assert_eq!(stage.machine(id).booted, Some(entry.time));
    assert_eq!(entry.caller, caller());
}

#[test]
fn a_provision_shows_its_node_and_addresses_before_it_runs() {
    let mut stage = Stage::new();
    let id = stage.create(json!({}));
    assert_eq!((stage.machine(id).nics.len(), stage.machine(id).compute_node), (0, None));
    stage.pass(Duration::from_millis(500));
    assert_eq!((stage.state(id), stage.machine(id).nics.len()), (VmState::Provisioning, 1));
    stage.pass(Duration::from_millis(1500));
    assert_eq!(stage.state(id), VmState::Running);
    let properties: Vec<&str> = stage.changes().into_iter().map(|(_, properties)| properties[0]).collect();
    assert_eq!(properties, ["alias", "server_uuid", "state"]);
}

#[test]
fn injected_failures_fail_provisions_and_jobs() {
    let mut stage = Stage::new();
    let good = stage.running(json!({}));
    stage.world.settings_mut().provision_failures = 1.0;
    let bad = stage.create(json!({}));
    stage.settle();
    assert_eq!((stage.state(bad), stage.audit(bad)), (VmState::Failed, vec!["provision no".to_owned()]));
    assert_eq!(stage.addresses_in_use(), 1);
    stage.world.settings_mut().job_failures = 1.0;
    stage.act(good, json!({"action": "stop"})).unwrap();
    stage.delete(good).unwrap();
    stage.settle();
    assert_eq!(stage.state(good), VmState::Running);
    assert_eq!(stage.audit(good)[..2], ["destroy no", "stop no"]);
}

#[test]
fn the_jobs_of_a_lost_node_fail_and_its_instances_come_back_with_it() {
    for (lost_node, shown) in [
        (super::super::settings::LostNode::Unknown, VmState::Unknown),
        (super::super::settings::LostNode::Running, VmState::Running),
    ] {
        let mut stage = Stage::with(Settings { lost_node, ..Settings::default() });
        let id = stage.running(json!({}));
        let node = stage.machine(id).compute_node.unwrap();
        stage.changes();
        let now = stage.now;
        assert!(stage.world.set_compute_node_up(now, node, false));
        assert_eq!(stage.state(id), shown);
        assert_eq!((stage.changes().len(), stage.world.drain_touched()), (0, vec![id]));
        assert!(!stage.world.instance_view(id).unwrap().compute_node_up);
        let owner = stage.ids.acme;
        stage.world.add_tags(now, owner, id, &params(json!({"a": "b"})), &caller()).unwrap();
        stage.act(id, json!({"action": "stop"})).unwrap();
        stage.settle();
        assert_eq!(stage.audit(id)[..2], ["stop no", "set_tags no"]);
        assert!(stage.machine(id).tags.is_empty());
        let now = stage.now;
        assert!(stage.world.set_compute_node_up(now, node, true));
        assert_eq!(stage.state(id), VmState::Running);
    }
}

#[test]
fn queues_and_audit_logs_are_bounded() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let mut refused = 0;
    for _ in 0..MAX_WAITING + 10 {
        refused += usize::from(stage.act(id, json!({"action": "start"})).is_err());
    }
    assert_eq!(refused, 9);
    stage.settle();
    for _ in 0..3 {
        for _ in 0..MAX_WAITING {
            stage.act(id, json!({"action": "start"})).unwrap();
        }
        stage.settle();
    }
    assert_eq!(stage.world.audit(id).count(), MAX_AUDIT);
}

#[test]
fn the_oldest_tombstones_are_forgotten() {
    let mut stage = Stage::with(Settings { max_tombstones: 2, ..Settings::default() });
    let ids: Vec<_> = (0..4).map(|_| stage.running(json!({}))).collect();
    for id in &ids {
        stage.delete(*id).unwrap();
        stage.settle();
    }
    let known: Vec<bool> = ids.iter().map(|id| stage.world.machine_by_id(*id).is_some()).collect();
    assert_eq!(known, [false, false, true, true]);
    assert_eq!(stage.world.audit(ids[0]).count(), 0);
}

#[test]
fn far_away_delays_do_not_overflow() {
    let mut stage = Stage::new();
    stage.world.settings_mut().timing.provision_zone = Duration::MAX;
    stage.world.settings_mut().timing.jitter = f64::INFINITY;
    stage.create(json!({}));
    assert!(stage.world.next_due().is_some());
    stage.settle();
}
