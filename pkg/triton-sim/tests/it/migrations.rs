//! Watching migrations, which no client library here does.

use std::time::Duration;

use serde_json::{Value, json};
use triton_sim::world::settings::Timing;
use triton_sim::{Preset, Settings};

use crate::http::{Answer, Stage};

/// What a watcher is told, a line each.
fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-json-stream")));
    assert!(answer.body.ends_with('\n'), "{answer:?}");
    answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn a_watcher_is_told_of_the_phases_under_way_and_of_the_end() {
    let mut settings = Settings::preset(Preset::Instant);
    settings.world.timing = Timing { migration: Duration::from_millis(100), ..settings.world.timing };
    let stage = Stage::with(settings).await;
    let id = stage.simulator.control().write(|world, now| {
        let ids = stage.simulator.ids();
        let params = json!({"image": ids.base_64, "package": "g1.nano", "networks": [ids.fabric]});
        world.create_running_machine(now, ids.acme, params.as_object().unwrap()).expect("created")
    });
    let act = async |action: &str| {
        stage.ask("POST", &format!("/my/machines/{id}/migrate?action={action}"), "").await
    };
    let none = act("watch").await;
    assert_eq!((none.status, none.code().as_str()), (404, "ResourceNotFound"));

    let phase = |phase: &str| json!([phase, "successful", 100]);
    let told = |lines: &[Value]| -> Vec<Value> {
        lines.iter().map(|it| json!([it["phase"], it["state"], it["current_progress"]])).collect()
    };
    assert_eq!(act("begin").await.status, 201);
    let lines_of_begin = lines(&act("watch").await);
    assert_eq!(told(&lines_of_begin), [phase("begin"), json!(["begin", "paused", null])]);
    assert_eq!((&lines_of_begin[0]["type"], &lines_of_begin[1]["type"]), (&json!("progress"), &json!("end")));
    // What was over before is not told again.
    assert_eq!(told(&lines(&act("watch").await)), [json!(["begin", "paused", null])]);
    assert_eq!(act("sync").await.status, 201);
    assert_eq!(told(&lines(&act("watch").await)), [phase("sync"), json!(["sync", "paused", null])]);
    assert_eq!(act("abort").await.status, 201);

    assert_eq!(act("automatic").await.status, 201);
    let all = [phase("begin"), phase("sync"), phase("switch"), json!(["switch", "successful", null])];
    assert_eq!(told(&lines(&act("watch").await)), all);
}
