//! `instance migration`.

use serde_json::json;

use super::stage::{HOUR, Stage, column, texts};

/// The compute node that an instance is on.
fn node(stage: &Stage, id: &str) -> String {
    let id = id.parse().unwrap();
    stage.simulator.control().read(|world| world.machine_by_id(id).unwrap().compute_node.unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn step_by_step() {
    let Some(stage) = Stage::up().await else { return };
    let id = stage.instance("web", &[]).await;
    let before = node(&stage, &id);
    let settled = async || {
        stage.until("the phase ends", || stage.simulator.control().read(|world| world.pending() == 0)).await;
    };
    for phase in ["begin", "sync", "switch"] {
        stage.ok(&["inst", "migration", phase, "web"]).await;
        settled().await;
        let migration = stage.json(&["inst", "migration", "get", "-j", "web"]).await;
        assert_eq!(texts(&migration, ["machine", "phase"]), [id.as_str(), phase]);
    }
    assert_ne!(node(&stage, &id), before);
    let migrations = stage.lines(&["inst", "migration", "list", "-j"]).await;
    assert_eq!((migrations.len(), &migrations[0]["state"]), (1, &"successful".into()));
    let said = stage.ok(&["inst", "migration", "finalize", "web"]).await.out;
    assert_eq!(said, "Done - the migration is finalized\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_or_not_at_all() {
    let Some(stage) = Stage::up().await else { return };
    let moved = stage.instance("moved", &[]).await;
    let before = node(&stage, &moved);
    stage.ok(&["inst", "migration", "automatic", "moved"]).await;
    stage.until("it has moved", || node(&stage, &moved) != before).await;

    let stays = stage.instance("stays", &[]).await;
    let before = node(&stage, &stays);
    stage.ok(&["inst", "migration", "begin", "stays"]).await;
    stage.until("it has begun", || stage.simulator.control().read(|world| world.pending() == 0)).await;
    stage.ok(&["inst", "migration", "abort", "stays"]).await;
    stage.until("it is aborted", || stage.simulator.control().read(|world| world.pending() == 0)).await;
    let migration = stage.json(&["inst", "migration", "get", "-j", "stays"]).await;
    assert_eq!(texts(&migration, ["phase", "state"]), ["abort", "aborted"]);
    assert_eq!(node(&stage, &stays), before);
    let refused = stage.refused(1, &["inst", "migration", "switch", "stays"]).await;
    assert!(refused.starts_with("triton instance migration switch: error ("), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_wait() {
    let Some(stage) = Stage::slow().await else { return };
    let id = stage.instance("web", &[]).await;
    let before = node(&stage, &id);
    let state = async || {
        let migration = stage.json(&["inst", "migration", "get", "-j", "web"]).await;
        [&migration["phase"], &migration["state"]].map(|it| it.as_str().unwrap().to_owned())
    };

    let events = stage.lines(&["inst", "migration", "begin", "-w", "-j", "web"]).await;
    assert_eq!(column(&events, "type"), ["end", "progress"]);
    assert_eq!(events[1], json!({"type": "end", "phase": "begin", "state": "paused"}));
    // A pause comes while there is something to pause.
    let control = stage.simulator.control();
    let usual = control.write(|world, _| std::mem::replace(&mut world.settings_mut().timing.migration, HOUR));
    stage.ok(&["inst", "migration", "sync", "web"]).await;
    let events = stage.lines(&["inst", "migration", "pause", "-w", "-j", "web"]).await;
    assert_eq!(events, [json!({"type": "end", "phase": "sync", "state": "paused"})]);
    assert_eq!(state().await, ["sync", "paused"]);
    stage.pass();
    control.write(|world, _| world.settings_mut().timing.migration = usual);
    let said = stage.ok(&["inst", "migration", "sync", "-w", "web"]).await.out;
    assert!(said.contains("Done - sync finished in "), "{said}");
    assert_eq!(node(&stage, &id), before);
    let said = stage.ok(&["inst", "migration", "switch", "-w", "-q", "web"]).await.out;
    assert_eq!((said.as_str(), state().await), ("", ["switch", "successful"].map(str::to_owned)));
    assert_ne!(node(&stage, &id), before);
    stage.ok(&["inst", "migration", "finalize", "web"]).await;

    let events = stage.lines(&["inst", "migration", "automatic", "-w", "-j", "web"]).await;
    let phases: Vec<_> = events.iter().map(|it| texts(it, ["type", "phase"]).join(" ")).collect();
    assert_eq!(phases, ["progress begin", "progress sync", "progress switch", "end switch"]);
    let refused = stage.refused(1, &["inst", "migration", "abort", "-w", "web"]).await;
    assert!(
        refused.starts_with("triton instance migration abort: error (PreconditionFailed): "),
        "{refused}"
    );
}
