//! Replicas that are killed in turn, and Node objects that somebody deletes.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::sleep;

use super::cluster::{Cluster, until};
use super::exact::{is_exact, never_failed};
use super::fault::Calm;
use super::process::Victim;
use super::virtual_node::{BOUND, VirtualNode, data_center};

/// A lease that is taken over soon.
const REPLICA: [&str; 4] = [
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
    "--firewall-grace=1s",
];

/// A single replica, whose orphans go soon.
const SINGLE: [&str; 3] = ["--leader-elect=false", "--firewall-grace=1s", "--orphan-grace=3s"];

/// All of it at once, on one control plane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_may_die_and_nodes_be_deleted() {
    let nodes = ["pair", "renewed", "abandoned"].map(str::to_owned);
    let cluster = Cluster::start(&nodes).await.unwrap();
    tokio::join!(killed_in_turn(&cluster), node_deleted(&cluster), node_deleted_while_nobody_looks(&cluster));
}

async fn make(node: &VirtualNode, name: &str) {
    let (metadata, container) =
        (json!({"annotations": {"fwenabled": "true"}}), json!({"ports": [{"containerPort": 80}]}));
    node.make_pod(name, metadata, container, json!({})).await.unwrap();
}

fn runs(node: &VirtualNode, name: &str) -> Result<(), String> {
    let phases = node.cluster.seen(&node.name, name).phases;
    if phases.last().is_some_and(|phase| phase == "Running") {
        Ok(())
    } else {
        Err(format!("{name}: {phases:?}"))
    }
}

/// Waits until there are so many pods and all that belongs to them; on failure all that the replicas said is shown.
async fn until_exact(node: &mut VirtualNode, pods: usize) {
    let exact = until(BOUND, async || is_exact(node, pods)).await;
    if let Err(error) = exact.and_then(|()| never_failed(node)) {
        let said = node.stop_kubelets().await.logs.join("\n--- the next process\n");
        panic!("{}: {error}\n{:#?}\n{:#?}\n{said}", node.name, node.pods_now(), node.truth());
    }
}

/// Two replicas race for each pod, and one of them is killed at some instant of its life: no instance is made twice.
async fn killed_in_turn(cluster: &Arc<Cluster>) {
    const ROUNDS: usize = 6;
    let mut node = VirtualNode::new(cluster, "pair", data_center(), Arc::new(Calm)).await.unwrap();
    let victims = [Victim::new(), Victim::new()];
    for victim in &victims {
        node.start_kubelet(victim.clone(), &REPLICA).unwrap();
    }
    let mut rng = Rng::with_seed(6);
    for round in 0..ROUNDS {
        make(&node, &format!("web-{round}")).await;
        if let Some(old) = round.checked_sub(2) {
            let old = format!("web-{old}");
            until(BOUND, async || runs(&node, &old)).await.unwrap();
            node.delete_pod(&old).await.unwrap();
        }
        sleep(Duration::from_millis(rng.u64(0..2500))).await;
        victims[round % 2].kill().await;
    }
    until_exact(&mut node, 2).await;
    assert_eq!(node.truth().len(), ROUNDS, "one instance for each pod that there ever was");
    for pod in node.pods_now() {
        node.delete_pod(pod.metadata.name.as_deref().unwrap()).await.unwrap();
    }
    until_exact(&mut node, 0).await;
    let record = node.end().await;
    // A replica that is starved of its lease ends by itself, which is as it should be; nothing else may end one.
    let unasked: Vec<_> = record.unasked.iter().filter(|how| !how.contains("exit status: 1")).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
}

/// Somebody deletes the Node object: it comes back, and its pods and instances do not notice.
async fn node_deleted(cluster: &Arc<Cluster>) {
    let mut node = VirtualNode::new(cluster, "renewed", data_center(), Arc::new(Calm)).await.unwrap();
    node.start_kubelet(Victim::new(), &SINGLE).unwrap();
    for name in ["one", "two"] {
        make(&node, name).await;
    }
    until_exact(&mut node, 2).await;
    let nodes: Api<Node> = Api::all(cluster.admin.clone());
    let before = nodes.get(&node.name).await.unwrap().metadata.uid;
    let uids =
        |node: &VirtualNode| -> Vec<_> { node.pods_now().into_iter().map(|pod| pod.metadata.uid).collect() };
    let pods = uids(&node);
    nodes.delete(&node.name, &DeleteParams::default()).await.unwrap();
    let back = async || match nodes.get_opt(&node.name).await {
        Ok(Some(now)) if now.metadata.uid != before => Ok(()),
        other => Err(format!("{other:?}")),
    };
    until(BOUND, back).await.unwrap();
    // Whatever it makes of that is done when the next pod has come and gone.
    make(&node, "three").await;
    until_exact(&mut node, 3).await;
    node.delete_pod("three").await.unwrap();
    until_exact(&mut node, 2).await;
    assert_eq!((uids(&node), node.truth().len()), (pods, 3));
    node.end().await;
}

/// The Node object is deleted while no process looks, so Kubernetes' collector of garbage removes its pods by force. When
/// a process comes back, it removes their instances.
async fn node_deleted_while_nobody_looks(cluster: &Arc<Cluster>) {
    let mut node = VirtualNode::new(cluster, "abandoned", data_center(), Arc::new(Calm)).await.unwrap();
    node.start_kubelet(Victim::new(), &SINGLE).unwrap();
    for name in ["one", "two"] {
        make(&node, name).await;
    }
    until_exact(&mut node, 2).await;
    node.stop_kubelets().await;
    let nodes: Api<Node> = Api::all(cluster.admin.clone());
    nodes.delete(&node.name, &DeleteParams::default()).await.unwrap();
    // Its quarantine is 40 s.
    let gone = async || match node.pods_now().len() {
        0 => Ok(()),
        left => Err(format!("{left} pods are left")),
    };
    until(BOUND, gone).await.unwrap();
    assert_eq!(
        node.truth().iter().filter(|truth| truth.is_active).count(),
        2,
        "nobody was there to delete them"
    );
    node.start_kubelet(Victim::new(), &SINGLE).unwrap();
    let exact = async || is_exact(&node, 0);
    until(BOUND, exact).await.unwrap();
    node.end().await;
}
