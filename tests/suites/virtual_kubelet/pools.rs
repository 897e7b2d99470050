//! Several virtual nodes in one process.

use std::collections::{BTreeMap, BTreeSet};

use suites::control_plane::Options;
use triton::types::{Instance, TagValue};
use triton_sim::cloudapi::Operation;
use triton_sim::{Preset, Settings};

use super::stage::Stage;

const FILE: &str = r#"
Pods = 50

[[Node]]
Name = "inner"
Labels = { pool = "inner", family = "zones", "topology.kubernetes.io/zone" = "rack-1" }
Packages = ["g1.*"]

[[Node]]
Name = "outer"
Labels = { pool = "outer", family = "zones", "topology.kubernetes.io/zone" = "rack-2" }
Packages = ["g1.small", "g1.medium"]
Networks = ["external"]
Pods = 7

[[Node]]
Name = "machines"
Labels = { pool = "machines" }
Taints = ["dedicated=machines:NoSchedule"]
Packages = ["b1.*"]
"#;

const NODES: [&str; 3] = ["inner", "outer", "machines"];

/// A pod with these annotations on the nodes of this pool.
fn pod(name: &str, pool: &str, image: &str, annotations: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  nodeSelector: {{pool: {pool}}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}, {{key: dedicated, operator: Exists}}]
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: {image}, ports: [{{containerPort: 8081}}]}}]
---
"
    )
}

/// Four pods, as evenly as possible on the zones.
const SPREAD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: spread}
spec:
  replicas: 4
  selector: {matchLabels: {app: spread}}
  template:
    metadata: {labels: {app: spread}}
    spec:
      nodeSelector: {family: zones}
      tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule,
           labelSelector: {matchLabels: {app: spread}}}
      containers: [{name: main, image: base-64-lts}]
";

fn node_of(instance: &Instance) -> String {
    instance.tags.get("k8s.node").and_then(TagValue::as_str).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn pools_share_a_process_and_keep_apart_what_they_run() {
    let settings = Settings::preset(Preset::Development);
    let mut stage = Stage::empty(settings, &Options::default(), &NODES).await;
    let file = stage.file("triton.toml", FILE);
    stage.start_kubelet(&["--provider-config", &file, "--orphan-grace=5s", "--firewall-relist=1s"]).await;
    for node in NODES {
        stage.until_ready(node).await;
    }
    nodes_are_as_the_file_says(&stage).await;

    // Everybody on their own packages and networks, but for those that name theirs.
    stage.apply(&pod("in", "inner", "base-64-lts", "fwenabled: 'true'")).await;
    stage.apply(&pod("out", "outer", "base-64-lts", "fwenabled: 'true'")).await;
    stage.apply(&pod("vm", "machines", "ubuntu-24.04", "")).await;
    stage
        .apply(&pod("named", "outer", "base-64-lts", "package: g1.medium, networks: My-Fabric-Network"))
        .await;
    // Two that cannot be: of another node's package, and of none.
    stage.apply(&pod("misplaced", "inner", "base-64-lts", "package: b1.large")).await;
    stage.apply(&pod("misfit", "machines", "base-64-lts", "")).await;
    stage.apply(SPREAD).await;
    for name in ["in", "out", "vm", "named"] {
        stage.until_field(&format!("pod/{name}"), "{.status.phase}", "Running").await;
    }
    stage.until_field("deployment/spread", "{.status.readyReplicas}", "4").await;
    let ids = stage.simulator.ids().clone();
    for (name, node, package, network) in [
        ("in", "inner", "g1.nano", ids.fabric),
        ("out", "outer", "g1.small", ids.external),
        ("vm", "machines", "b1.medium", ids.fabric),
        ("named", "outer", "g1.medium", ids.fabric),
    ] {
        let instance = stage.instance_of("default", name).await;
        let got = (node_of(&instance), instance.package.as_deref(), instance.networks.to_vec());
        assert_eq!(got, (node.to_owned(), Some(package), vec![network]), "{name}");
    }
    let message = stage.until_event("default", "misplaced", "PackageNotFound").await;
    assert!(
        message.contains("package b1.large is not there; node inner has packages g1.* only"),
        "{message}"
    );
    let message = stage.until_event("default", "misfit", "PackageNotFound").await;
    assert!(message.contains("node machines has packages b1.* only"), "{message}");

    let mut spread: BTreeMap<String, usize> = BTreeMap::new();
    for instance in stage.instances().await.iter().filter(|it| it.tags.contains_key("app")) {
        *spread.entry(node_of(instance)).or_default() += 1;
    }
    assert_eq!(spread, [("inner".to_owned(), 2), ("outer".to_owned(), 2)].into());

    // One of everything for all of them.
    assert_eq!(stage.simulator.control().feed_clients(), 1);
    let rules: Vec<String> =
        stage.rules().await.into_iter().filter_map(|rule| Some(rule.description?.to_string())).collect();
    assert!(matches!(rules.as_slice(), [rule] if rule.ends_with("tcp 8081")), "{rules:?}");
    let leases = stage.kubectl(&["get", "leases", "--namespace=kube-system", "--output=name"]).await;
    let elections: Vec<&str> = leases.lines().filter(|line| line.contains("/triton-")).collect();
    assert_eq!(elections, ["lease.coordination.k8s.io/triton-virtual-kubelet"]);
    let metrics = stage.kubelets[0].get("/metrics").await.unwrap();
    for node in NODES {
        let line = format!("triton_vk_node_ready{{node=\"{node}\"}} 1");
        assert!(metrics.contains(&line), "{line} is not in:\n{metrics}");
    }

    a_deleted_node_comes_back(&stage).await;

    // What the pools share stays while one of them needs it.
    stage.kubectl(&["delete", "pod", "in", "named", "misplaced", "misfit"]).await;
    stage.kubectl(&["delete", "deployment", "spread"]).await;
    stage.until("two instances are left", async || stage.instances().await.len() == 2).await;
    assert_eq!(stage.rules().await.len(), 1, "the pod on the other node needs it");
    assert_eq!(stage.field("pod/out", "{.status.phase}").await, "Running");
    assert!(!stage.kubelets[0].log().contains("forbidden"), "{}", stage.kubelets[0].log());
}

async fn nodes_are_as_the_file_says(stage: &Stage) {
    for (node, zone, pods, taints) in [
        ("inner", "rack-1", "50", "virtual-kubelet.io/provider=triton:NoSchedule"),
        ("outer", "rack-2", "7", "virtual-kubelet.io/provider=triton:NoSchedule"),
        ("machines", "dc1", "50", "dedicated=machines:NoSchedule"),
    ] {
        let object = format!("node/{node}");
        stage.until_field(&object, r"{.metadata.labels.topology\.kubernetes\.io/zone}", zone).await;
        stage.until_field(&object, "{.status.capacity.pods}", pods).await;
        let path = "{range .spec.taints[*]}{.key}={.value}:{.effect}{end}";
        // The taint of a node that was not ready goes a little later.
        stage.until_field(&object, path, taints).await;
        assert_eq!(stage.field(&object, "{.metadata.labels.pool}").await, node);
        assert_eq!(stage.field(&object, "{.metadata.labels.type}").await, "virtual-kubelet");
        let lease =
            stage.field_in("kube-node-lease", &format!("lease/{node}"), "{.spec.holderIdentity}").await;
        assert_eq!(lease, node);
    }
}

/// The Node object of one pool is deleted: it comes back as it was, and no instance of any pool changes.
async fn a_deleted_node_comes_back(stage: &Stage) {
    let ids = async || -> BTreeSet<_> { stage.instances().await.iter().map(|it| it.id).collect() };
    let before = ids().await;
    let uid = stage.field("node/inner", "{.metadata.uid}").await;
    let deletes = stage.simulator.control().begun(Operation::DeleteMachine);
    stage.kubectl(&["delete", "node", "inner"]).await;
    stage
        .until("the node is there again", async || {
            let now = stage.field("node/inner", "{.metadata.uid}").await;
            !now.is_empty() && now != uid
        })
        .await;
    stage.until_ready("inner").await;
    assert_eq!(stage.field("node/inner", "{.metadata.labels.pool}").await, "inner");
    // Pods can run there, those that were there still do, and the other pools have noticed nothing.
    stage.apply(&pod("after", "inner", "base-64-lts", "")).await;
    stage.until_field("pod/after", "{.status.phase}", "Running").await;
    for name in ["in", "out", "vm", "named"] {
        assert_eq!(stage.field(&format!("pod/{name}"), "{.status.phase}").await, "Running", "{name}");
    }
    stage.kubectl(&["delete", "pod", "after"]).await;
    stage.until("the later pod's instance is gone", async || ids().await.len() == before.len()).await;
    assert_eq!(ids().await, before);
    assert_eq!(stage.simulator.control().begun(Operation::DeleteMachine), deletes + 1);
}
