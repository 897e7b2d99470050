//! Pods and nodes that go in other ways than by a Deployment's deletion, and replicas that take over.

use super::stage::{NODE, Stage};

/// A pod of this name in `default`.
fn pod(name: &str, spec: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeSelector: {{type: virtual-kubelet}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
  containers: [{{name: main, image: base-64-lts}}]
  {spec}
"
    )
}

#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn forced_deletion_eviction_and_a_deleted_node_leave_no_instance_behind() {
    let stage = Stage::set().await;
    for (name, spec) in [
        ("forced", ""),
        ("evicted", ""),
        ("patient", "terminationGracePeriodSeconds: 2"),
        ("late", "activeDeadlineSeconds: 1"),
    ] {
        stage.apply(&pod(name, spec)).await;
    }
    for name in ["forced", "evicted", "patient"] {
        stage.until_field(&format!("pod/{name}"), "{.status.phase}", "Running").await;
    }
    stage.until_field("pod/late", "{.status.phase} {.status.reason}", "Failed DeadlineExceeded").await;

    stage.kubectl(&["delete", "pod", "forced", "--force", "--grace-period=0"]).await;
    stage.kubectl(&["delete", "pod", "patient", "late"]).await;
    stage.until("one instance is left", async || stage.instances_of("default").await.len() == 1).await;

    stage.kubectl(&["taint", "node", NODE, "maintenance=now:NoExecute"]).await;
    stage
        .until("the pod was evicted", async || {
            stage.field("pod/evicted", "{.metadata.name}").await.is_empty()
        })
        .await;
    assert!(stage.instances_of("default").await.is_empty(), "a pod goes after its instance");
    stage.kubectl(&["taint", "node", NODE, "maintenance-"]).await;

    // The Node is deleted: it comes back, and pods can run on it.
    let uid = stage.field(&format!("node/{NODE}"), "{.metadata.uid}").await;
    stage.kubectl(&["delete", "node", NODE]).await;
    stage
        .until("the node is there again", async || {
            let now = stage.field(&format!("node/{NODE}"), "{.metadata.uid}").await;
            !now.is_empty() && now != uid
        })
        .await;
    stage.apply(&pod("after", "")).await;
    stage.until_field("pod/after", "{.status.phase}", "Running").await;
}

#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn another_replica_takes_over_what_the_first_has_begun() {
    let mut stage = Stage::set().await;
    stage.start_kubelet(&[]).await;
    stage.apply(&pod("before", "")).await;
    stage.until_field("pod/before", "{.status.phase}", "Running").await;
    let before = stage.instances_of("default").await[0].id;
    assert!(stage.kubelets[0].stop("TERM").await.unwrap().success());
    stage.apply(&pod("after", "")).await;
    stage.until_field("pod/after", "{.status.phase}", "Running").await;
    let instances = stage.instances_of("default").await;
    assert!(instances.len() == 2 && instances.iter().any(|instance| instance.id == before), "{instances:#?}");
    // Killed outright, it is replaced when its lease has run out.
    stage.start_kubelet(&[]).await;
    stage.apply(&pod("last", "")).await;
    stage.kubelets[1].stop("KILL").await.unwrap();
    stage.until_field("pod/last", "{.status.phase}", "Running").await;
    assert_eq!(stage.instances_of("default").await.len(), 3, "none was lost and none made twice");
}
