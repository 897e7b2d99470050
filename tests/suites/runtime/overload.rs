//! An API server that refuses with 429, by API priority and fairness.

use serde_json::json;
use suites::control_plane::ControlPlane;

use super::running::Running;
use super::{calm_plane, lease, make_counter, until, user};

/// A priority level with no seats: whatever is put there is refused.
async fn make_jail(plane: &ControlPlane) {
    let level = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "jail"},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    });
    apply(plane, "level", &level).await;
}

async fn jail(plane: &ControlPlane, user: &str) {
    let schema = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "jail"},
        "spec": {
            "priorityLevelConfiguration": {"name": "jail"},
            "matchingPrecedence": 1,
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": user}}],
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                }],
            }],
        },
    });
    apply(plane, "schema", &schema).await;
}

async fn free(plane: &ControlPlane) {
    plane.kubectl(&["delete", "flowschema", "jail"]).await.unwrap();
}

async fn apply(plane: &ControlPlane, name: &str, object: &serde_json::Value) {
    let file = plane.folder().join(format!("{name}.json"));
    std::fs::write(&file, object.to_string()).unwrap();
    plane.kubectl(&["create", "--filename", file.to_str().unwrap()]).await.unwrap();
}

#[tokio::test]
async fn a_short_overload_costs_nothing_and_a_long_one_the_leadership() {
    let plane = calm_plane().await;
    make_counter(&plane, "overload").await;
    make_jail(&plane).await;
    let kubeconfig = user(&plane, "jailed").await;
    let mut leader = Running::candidate("one", "overload", &kubeconfig, &[]).await;
    leader.until_ready_says(200, "ok").await;
    let standby = Running::candidate("two", "overload", &kubeconfig, &[]).await;
    standby.until_ready_says(200, "standby").await;

    jail(&plane, "jailed").await;
    standby.until_ready_says(500, "cannot read lease default/overload: ").await;
    assert!(standby.get("/readyz").await.1.contains("429"), "the server's own answer is told");
    leader.until_says("leader election attempt failed").await;
    assert_eq!(leader.get("/readyz").await, (200, "ok".to_owned()), "the claim is still valid");
    free(&plane).await;
    let renewed = lease(&plane, "overload", ".spec.renewTime").await;
    until("the leader renews", async || lease(&plane, "overload", ".spec.renewTime").await != renewed).await;
    standby.until_ready_says(200, "standby").await;
    assert_eq!(leader.get("/readyz").await, (200, "ok".to_owned()));
    assert_eq!(lease(&plane, "overload", ".spec.holderIdentity").await, "one");

    jail(&plane, "jailed").await;
    let (code, output) = leader.ends().await;
    assert_eq!(code, 1, "{output}");
    let last = output.lines().last().unwrap();
    assert!(last.starts_with("candidate: lost lease default/overload: ") && last.contains("429"), "{output}");
    free(&plane).await;
    standby.until_ready_says(200, "ok").await;
    assert_eq!(lease(&plane, "overload", ".spec.holderIdentity").await, "two");
}
