//! Services whose pods are instances, beside machines: each is written by its own.

use serde_json::json;
use triton::types::{Instance, ListInstances, TagValue};

use super::stage::{Stage, VIRTUAL_NODE};

/// The instance of a pod.
async fn instance_of(stage: &Stage, pod: &str) -> Option<Instance> {
    let all = stage.account.list_all_instances(&ListInstances::default()).await.unwrap().items;
    all.into_iter().find(|instance| instance.tags.get("k8s.pod").and_then(TagValue::as_str) == Some(pod))
}

/// Makes a pod that is an instance, as if the scheduler had bound it.
pub(super) async fn run_pod(stage: &Stage, name: &str) -> Instance {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "nodeName": VIRTUAL_NODE, "automountServiceAccountToken": false,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": "base-64-lts", "ports": [{"containerPort": 80}]}],
        },
    });
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::default_namespaced(stage.admin.clone());
    pods.create(&Default::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    stage
        .until("the pod's instance runs", async || {
            instance_of(stage, name)
                .await
                .is_some_and(|instance| instance.state.is_running() && !instance.ips.is_empty())
        })
        .await;
    instance_of(stage, name).await.unwrap()
}

#[tokio::test]
async fn pods_that_are_instances_are_members_themselves_and_the_finalizer_waits_for_them() {
    let mut stage = Stage::set().await;
    stage.plane.kubectl(&["create", "serviceaccount", "default"]).await.unwrap();
    stage.start_kubelet().await;
    stage.start_controllers().await;
    let m1 = stage.join("m1").await;
    let pod = run_pod(&stage, "one").await;
    let address = pod.primary_ip.unwrap().to_string();
    stage.balance("web", 30080, json!({})).await;
    stage.endpoints("web", &[(VIRTUAL_NODE, "ready", &address)]).await;

    // Only instances serve: no node is a member.
    stage.until_resolved("web-default", &[&pod]).await;
    stage.until_published("web").await;
    assert_eq!(
        stage.hostname("web").await,
        stage.name_in("web-default", 1),
        "the pod has a private address only"
    );
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "");
    // An ordinary pod beside it: nodes and instance together.
    stage.endpoints("web", &[(VIRTUAL_NODE, "ready", &address), ("m1", "ready", "10.1.0.1")]).await;
    stage.until_resolved("web-default", &[&pod, &m1]).await;
    assert_eq!(stage.tag(&pod, "triton.cns.services").await, "web-default:80");
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "web-default:30080");

    // The virtual kubelet is away: the node leaves, and the Service waits for the pod.
    stage.kubelet.as_mut().unwrap().stop("KILL").await.unwrap();
    stage.delete_service("web").await;
    stage
        .until_condition("web", "Leaving", &format!("1 instances are still in CNS, such as {}", pod.id))
        .await;
    stage.until_tag(&m1, "").await;
    assert_eq!(stage.tag(&pod, "triton.cns.services").await, "web-default:80", "that is not ours to write");
    stage.start_kubelet().await;
    stage.until_gone("web").await;
    stage.until_resolved("web-default", &[]).await;
    assert_eq!(stage.tag(&pod, "triton.cns.services").await, "");
}
