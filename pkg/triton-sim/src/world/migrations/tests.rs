use serde_json::json;

use super::*;
use crate::world::testing::{Stage, caller, foreign, params, refusal};

fn act(stage: &mut Stage, id: InstanceId, action: &str) -> Result<Migration, WorldError> {
    let action = params(json!({"action": action}));
    stage.world.migrate(stage.now, stage.ids.acme, id, &action, &caller())
}

fn status(stage: &Stage, id: InstanceId) -> (&'static str, &'static str) {
    let migration = stage.world.migration(stage.ids.acme, id).unwrap();
    (migration.phase.as_str(), migration.state.as_str())
}

#[test]
fn a_migration_moves_an_instance_step_by_step() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let (source, nics) = (stage.machine(id).compute_node, stage.machine(id).nics.clone());
    assert_eq!(act(&mut stage, id, "begin").unwrap().state, MigrationState::Running);
    stage.settle();
    assert_eq!(status(&stage, id), ("begin", "paused"));
    assert_eq!(stage.memory_in_use(), 1024);
    assert_eq!(refusal(act(&mut stage, id, "switch")), (412, "PreconditionFailed".to_owned()));
    act(&mut stage, id, "sync").unwrap();
    stage.settle();
    assert_eq!(status(&stage, id), ("sync", "paused"));
    let booted = stage.machine(id).booted;
    act(&mut stage, id, "switch").unwrap();
    stage.settle();
    assert_eq!(status(&stage, id), ("switch", "successful"));
    assert_ne!(stage.machine(id).compute_node, source);
    assert!(stage.machine(id).nics == nics && stage.machine(id).booted > booted);
    assert_eq!(stage.memory_in_use(), 512);
    assert_eq!(act(&mut stage, id, "finalize").unwrap().state, MigrationState::Finished);
    assert!(act(&mut stage, id, "begin").is_ok());
}

#[test]
fn an_automatic_migration_needs_nothing_more() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let source = stage.machine(id).compute_node;
    act(&mut stage, id, "automatic").unwrap();
    stage.settle();
    assert_eq!(status(&stage, id), ("switch", "successful"));
    assert_ne!(stage.machine(id).compute_node, source);
    let phases: Vec<_> = stage.world.list_migrations(stage.ids.acme).flat_map(|m| &m.progress).collect();
    assert!(phases.len() == 3 && phases.iter().all(|progress| progress.finished.is_some()));
}

#[test]
fn a_sync_can_be_paused_and_a_migration_aborted() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    act(&mut stage, id, "automatic").unwrap();
    stage.pass(std::time::Duration::from_millis(1100));
    assert_eq!(status(&stage, id), ("sync", "running"));
    act(&mut stage, id, "pause").unwrap();
    stage.settle();
    assert_eq!(status(&stage, id), ("sync", "paused"));
    act(&mut stage, id, "abort").unwrap();
    assert_eq!((status(&stage, id), stage.memory_in_use()), (("abort", "aborted"), 512));
    act(&mut stage, id, "begin").unwrap();
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    assert_eq!(act(&mut stage, id, "sync").unwrap_err().status(), 404);
    let (acme, foreign) = (stage.ids.acme, foreign(&stage));
    let begin = params(json!({"action": "begin"}));
    assert_eq!(stage.world.migrate(stage.now, foreign, id, &begin, &caller()).unwrap_err().status(), 404);
    let missing = stage.world.migrate(stage.now, acme, id, &Params::new(), &caller());
    assert_eq!(refusal(missing), (409, "MissingParameter".to_owned()));
    assert_eq!(refusal(act(&mut stage, id, "teleport")), (409, "InvalidArgument".to_owned()));
    act(&mut stage, id, "begin").unwrap();
    for action in ["begin", "automatic", "sync", "switch", "pause", "abort", "finalize"] {
        assert_eq!(act(&mut stage, id, action).unwrap_err().status(), 412, "{action}");
    }
    assert!(stage.world.migration_estimate(acme, id).unwrap() > 0);
}

#[test]
fn without_another_node_it_fails_and_can_be_tried_again() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let nodes = stage.ids.nodes;
    let others: Vec<_> =
        nodes.into_iter().filter(|node| Some(*node) != stage.machine(id).compute_node).collect();
    for up in [false, true] {
        for node in &others {
            let now = stage.now;
            stage.world.set_compute_node_up(now, *node, up);
        }
        act(&mut stage, id, "begin").unwrap();
        stage.settle();
        assert_eq!(status(&stage, id), ("begin", if up { "paused" } else { "failed" }));
    }
    stage.delete(id).unwrap();
    stage.settle();
    assert_eq!((stage.memory_in_use(), stage.world.migration(stage.ids.acme, id).is_err()), (0, true));
}

#[test]
fn an_instance_on_the_move_keeps_its_size() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    act(&mut stage, id, "begin").unwrap();
    stage.act(id, json!({"action": "resize", "package": "g1.small"})).unwrap();
    stage.settle();
    assert_eq!((stage.audit(id)[0].as_str(), stage.machine(id).memory_mib), ("resize no", 512));
}
