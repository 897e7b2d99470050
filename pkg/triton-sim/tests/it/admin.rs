//! The admin API.

use serde_json::{Value, json};
use triton_sim::cloudapi::Operation;

use crate::http::{Answer, Stage, exchange};

async fn ask(stage: &Stage, method: &str, target: &str, body: &str) -> Answer {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(stage.simulator.admin_url().expect("on"), request.as_bytes()).await
}

async fn get(stage: &Stage, target: &str) -> Value {
    let answer = ask(stage, "GET", target, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn faults_are_set_and_cleared() {
    let stage = Stage::new().await;
    let plan = json!({"seed": 3, "requests": {"GetAccount": {"error_rate": 1.0}}});
    let answer = ask(&stage, "PUT", "/faults", &plan.to_string()).await;
    assert_eq!(
        (answer.status, answer.json()["requests"].clone()),
        (200, plan["requests"].clone()),
        "{answer:?}"
    );
    assert_eq!(stage.get("/my").await.status, 500);
    assert_eq!(stage.get("/my/keys").await.status, 200);
    assert_eq!(ask(&stage, "DELETE", "/faults", "").await.json()["requests"], json!({}));
    assert_eq!(stage.get("/my").await.status, 200);
}

#[tokio::test]
async fn the_throttle_is_changed_while_it_runs() {
    let stage = Stage::new().await;
    assert_eq!(get(&stage, "/throttle").await, Value::Null);
    let limits = json!({"burst": 0, "rate": 1});
    assert_eq!(ask(&stage, "PUT", "/throttle", &limits.to_string()).await.json(), limits);
    assert_eq!((stage.get("/my").await.status, get(&stage, "/throttle").await), (429, limits));
    assert_eq!(ask(&stage, "PUT", "/throttle", r#"{"burst": -1, "rate": 1}"#).await.status, 400);
    assert_eq!(ask(&stage, "DELETE", "/throttle", "").await.json(), Value::Null);
    assert_eq!(stage.get("/my").await.status, 200);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong_and_change_nothing() {
    let stage = Stage::new().await;
    for (body, part) in [
        (r#"{"sede": 1}"#, "unknown field `sede`"),
        (r#"{"requests": {"GetMaschine": {}}}"#, "unknown operation"),
        (r#"{"requests": {"all": {"error_rate": 2}}}"#, "is not a rate"),
        ("{", "EOF"),
    ] {
        let answer = ask(&stage, "PUT", "/faults", body).await;
        let error = answer.json()["error"].as_str().expect("an error").to_owned();
        assert!((400..500).contains(&answer.status) && error.contains(part), "{answer:?}");
    }
    let unknown = json!({"instances": {"compute_nodes_down": ["c0de0009-0000-4000-8000-000000000000"]}});
    assert_eq!(ask(&stage, "PUT", "/faults", &unknown.to_string()).await.status, 404);
    assert_eq!(get(&stage, "/faults").await["requests"], json!({}));
    for target in ["/nonsense", "/instances/x", "/instances/c0de0009-0000-4000-8000-000000000000"] {
        let answer = ask(&stage, "GET", target, "").await;
        assert!(answer.status == 404 && answer.json()["error"].is_string(), "{answer:?}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_status() {
    let stage = Stage::new().await;
    stage.get("/my/machines").await;
    stage.get("/my/machines").await;
    stage.get("/my/machines/c0de0009-0000-4000-8000-000000000000").await;
    stage.send("GET", "/my/keys", &[], b"").await;
    let counted = json!({
        "total": 4,
        "operations": {"GetMachine": {"404": 1}, "ListKeys": {"401": 1}, "ListMachines": {"200": 2}},
    });
    assert_eq!(get(&stage, "/requests").await, counted);
    assert_eq!(stage.simulator.control().requests().of(Operation::ListMachines), 2);
    assert_eq!(ask(&stage, "DELETE", "/requests", "").await.json(), counted);
    assert_eq!(get(&stage, "/requests").await["total"], 0);
}

#[tokio::test]
async fn the_truth_can_be_looked_at_and_compute_nodes_can_be_lost() {
    let stage = Stage::new().await;
    let id = stage.instance("truth").await;
    let truth = get(&stage, &format!("/instances/{id}")).await;
    assert_eq!(
        (truth["state"].clone(), truth["audit"][0]["action"].clone()),
        (json!("running"), json!("provision"))
    );
    assert_eq!(get(&stage, "/instances").await.as_array().map(Vec::len), Some(1));
    let node = truth["compute_node"].as_str().expect("a node").to_owned();
    assert_eq!(ask(&stage, "POST", &format!("/compute-nodes/{node}/down"), "").await.status, 204);
    assert_eq!(stage.get(&format!("/my/machines/{id}")).await.json()["state"], "unknown");
    let nodes = get(&stage, "/compute-nodes").await;
    let lost = nodes.as_array().unwrap().iter().filter(|it| it["up"] == json!(false)).count();
    assert_eq!((nodes.as_array().map(Vec::len), lost), (Some(4), 1));
    assert_eq!(ask(&stage, "POST", &format!("/compute-nodes/{node}/up"), "").await.status, 204);
    assert_eq!(stage.get(&format!("/my/machines/{id}")).await.json()["state"], "running");
    assert_eq!(ask(&stage, "POST", "/compute-nodes/x/up", "").await.status, 404);
    let load = r#"{"cpu_percent": 50}"#;
    assert_eq!(ask(&stage, "PUT", &format!("/instances/{id}/load"), load).await.status, 204);
    assert_eq!(
        ask(&stage, "PUT", "/instances/c0de0009-0000-4000-8000-000000000000/load", load).await.status,
        404
    );
    let unknown = ask(&stage, "PUT", &format!("/instances/{id}/load"), r#"{"cpu": 50}"#).await;
    assert!((400..500).contains(&unknown.status), "{unknown:?}");
}

#[tokio::test]
async fn settling_waits_until_nothing_is_pending() {
    let stage = Stage::new().await;
    assert_eq!(get(&stage, "/").await["pending"], 0);
    let ids = stage.simulator.ids();
    let body = json!({"image": ids.ubuntu_lx, "package": "g1.nano", "networks": [ids.external]}).to_string();
    assert_eq!(stage.ask("POST", "/my/machines", &body).await.status, 201);
    let settled = ask(&stage, "POST", "/settle?timeout_ms=20000", "").await;
    assert_eq!(settled.json(), json!({"settled": true}));
    assert_eq!(ask(&stage, "POST", "/settle?timeout=1", "").await.status, 400);
    assert_eq!(get(&stage, "/changefeed").await, json!({"clients": 0}));
    assert_eq!(ask(&stage, "POST", "/changefeed/cut", "").await.status, 204);
}
