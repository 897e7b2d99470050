//! One of the servers is away while pods come and go.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use serde_json::json;
use tokio::time::sleep;
use triton_sim::faults::{FaultPlan, Rate, RequestFaults, Target};

use super::cluster::{Cluster, until};
use super::exact::{is_exact, never_failed};
use super::fault::Calm;
use super::process::Victim;
use super::virtual_node::{BOUND, VirtualNode, data_center};

const FLAGS: [&str; 4] =
    ["--leader-elect=false", "--firewall-grace=1s", "--cloudapi-grace=1s", "--orphan-grace=3s"];

/// The taint of a node that is not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// One after the other: the API server is everybody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_be_away_for_long() {
    let nodes = ["silent", "frozen", "bystander"].map(str::to_owned);
    let cluster = Cluster::start(&nodes).await.unwrap();
    // Where no node at all is ready, Kubernetes evicts nobody.
    let mut bystander = VirtualNode::new(&cluster, "bystander", data_center(), Arc::new(Calm)).await.unwrap();
    bystander.start_kubelet(Victim::new(), &FLAGS).unwrap();
    cloudapi_is_away(&cluster).await;
    kubernetes_is_away(&cluster).await;
    bystander.end().await;
}

async fn stage(cluster: &Arc<Cluster>, name: &str, victim: Victim) -> VirtualNode {
    let mut node = VirtualNode::new(cluster, name, data_center(), Arc::new(Calm)).await.unwrap();
    node.start_kubelet(victim, &FLAGS).unwrap();
    for name in ["one", "two", "leaving"] {
        make(&node, name).await;
    }
    until_exact(&mut node, 3).await;
    node
}

async fn make(node: &VirtualNode, name: &str) {
    node.make_pod(name, json!({}), json!({}), json!({})).await.unwrap();
}

async fn until_exact(node: &mut VirtualNode, pods: usize) {
    let exact = until(BOUND, async || is_exact(node, pods)).await;
    if let Err(error) = exact.and_then(|()| never_failed(node)) {
        let said = node.stop_kubelets().await.logs.join("\n--- the next process\n");
        panic!("{}: {error}\n{:#?}\n{:#?}\n{said}", node.name, node.pods_now(), node.truth());
    }
}

/// Those that were there before the outage, as they must be after it.
fn those_that_stay(node: &VirtualNode) -> Vec<(Option<String>, Option<String>, i32)> {
    let stays = |pod: &Pod| matches!(pod.metadata.name.as_deref(), Some("one" | "two"));
    let restarts = |pod: &Pod| {
        let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
        Some((status.container_id.clone(), status.restart_count))
    };
    let pods = node.pods_now().into_iter().filter(stays);
    pods.map(|pod| {
        (pod.metadata.uid.clone(), restarts(&pod).and_then(|it| it.0), restarts(&pod).map_or(0, |it| it.1))
    })
    .collect()
}

/// CloudAPI is away until Kubernetes has no more patience to lose: the node is tainted, and no pod tolerates that for a
/// time only. Whether this lasts a minute or an hour makes no difference to anybody any more. Then it comes back.
async fn cloudapi_is_away(cluster: &Arc<Cluster>) {
    let mut node = stage(cluster, "silent", Victim::new()).await;
    let before = those_that_stay(&node);
    let faults = RequestFaults { unavailable_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    let plan = FaultPlan { requests: [(Target::All, faults)].into(), ..FaultPlan::default() };
    node.simulator.control().set_faults(plan).unwrap();
    node.simulator.control().cut_feeds();
    node.delete_pod("leaving").await.unwrap();
    make(&node, "coming").await;
    let nodes: Api<Node> = Api::all(cluster.admin.clone());
    let given_up = async || {
        let tainted = nodes.get(&node.name).await.map_err(|error| error.to_string())?;
        let taints = tainted.spec.and_then(|spec| spec.taints).unwrap_or_default();
        if !taints.iter().any(|taint| taint.key == NOT_READY && taint.effect == "NoExecute") {
            return Err(format!("not tainted: {taints:?}"));
        }
        let ends = |pod: &Pod| {
            let tolerations =
                pod.spec.as_ref().and_then(|spec| spec.tolerations.as_ref()).into_iter().flatten();
            tolerations
                .filter(|it| it.key.as_deref() == Some(NOT_READY))
                .any(|it| it.toleration_seconds.is_some())
        };
        let pods = node.pods_now();
        let mut staying = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        staying
            .find(|pod| ends(pod))
            .map_or(Ok(()), |pod| Err(format!("{:?} would be evicted", pod.metadata.name)))
    };
    until(BOUND, given_up).await.unwrap();
    assert_eq!(those_that_stay(&node), before, "while it is away");
    node.simulator.control().set_faults(FaultPlan::default()).unwrap();
    until_exact(&mut node, 3).await;
    assert_eq!(those_that_stay(&node), before, "when it is back");
    assert_eq!(node.truth().len(), 4, "one instance for each pod that there ever was");
    node.end().await;
}

/// The API server hangs while one pod comes and another goes, and the kubelet is killed meanwhile and starts before the
/// API server answers.
async fn kubernetes_is_away(cluster: &Arc<Cluster>) {
    let victim = Victim::new();
    let mut node = stage(cluster, "frozen", victim.clone()).await;
    let before = those_that_stay(&node);
    node.delete_pod("leaving").await.unwrap();
    make(&node, "coming").await;
    cluster.plane.freeze_apiserver(true).unwrap();
    victim.kill().await;
    // So long it is away; the instances go on meanwhile.
    sleep(Duration::from_secs(5)).await;
    cluster.plane.freeze_apiserver(false).unwrap();
    until_exact(&mut node, 3).await;
    assert_eq!(those_that_stay(&node), before);
    assert_eq!(node.truth().len(), 4, "one instance for each pod that there ever was");
    node.end().await;
}
