//! The node: how it appears, what of it is kept, when it is ready, and who writes it.

use std::path::PathBuf;

use serde_json::Value;
use suites::control_plane::{ControlPlane, Options};
use suites::until::until;
use suites::virtual_kubelet::{VirtualKubelet, install};
use triton_sim::faults::{FaultPlan, Rate, RequestFaults, Target};
use triton_sim::{Preset, Settings, Simulator};

/// The default name, which the manifest gives rights to.
const NODE: &str = "virtual-kubelet";

struct Stage {
    plane: ControlPlane,
    simulator: Simulator,
    kubeconfig: PathBuf,
}

impl Stage {
    async fn new() -> Self {
        let options = Options { scheduler: false, ..Options::default() };
        let plane = ControlPlane::start(&options).await.unwrap();
        let simulator = Simulator::start(Settings::preset(Preset::Instant)).await.unwrap();
        let kubeconfig = install(&plane).await.unwrap();
        Self { plane, simulator, kubeconfig }
    }

    /// Starts a replica, which finds CloudAPI by the original's variables.
    async fn replica(&self, arguments: &[&str], variables: &[(&str, &str)]) -> VirtualKubelet {
        let triton = self.simulator.environment().into_iter();
        let triton = triton.map(|(name, value)| (name.replace("TRITON_", "SDC_"), value));
        let more = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables: Vec<_> = triton.chain(more).collect();
        VirtualKubelet::start(&self.kubeconfig, &variables, arguments).await.unwrap()
    }

    async fn kubectl(&self, line: &str) -> String {
        self.plane.kubectl(&line.split(' ').collect::<Vec<_>>()).await.unwrap()
    }

    /// An object as JSON; null when there is none.
    async fn get(&self, line: &str) -> Value {
        let line = format!("get --output=json --ignore-not-found {line}");
        let text = self.kubectl(&line).await;
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    async fn node(&self) -> Value {
        self.get(&format!("node {NODE}")).await
    }

    async fn node_lease(&self) -> Value {
        self.get(&format!("lease --namespace=kube-node-lease {NODE}")).await
    }

    async fn election(&self) -> Value {
        self.get(&format!("lease --namespace=kube-system triton-{NODE}")).await
    }

    /// Waits until the node's Ready condition has this status and reason.
    async fn until_ready_is(&self, status: &str, reason: &str) {
        until(&format!("Ready is {status} because {reason}"), async || {
            let ready = condition(&self.node().await, "Ready");
            ready["status"] == status && ready["reason"] == reason
        })
        .await;
    }

    /// Waits for an event on the node.
    async fn until_event(&self, reason: &str) {
        until(&format!("an event {reason}"), async || {
            let events = self.kubectl("get events --output=jsonpath={.items[*].reason}").await;
            events.split(' ').any(|it| it == reason)
        })
        .await;
    }

    /// Lets CloudAPI answer nothing but errors, or answer again.
    fn set_silent(&self, silent: bool) {
        let mut plan = FaultPlan::default();
        if silent {
            let faults = RequestFaults { unavailable_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
            plan.requests.insert(Target::All, faults);
        }
        self.simulator.control().set_faults(plan).unwrap();
        if silent {
            self.simulator.control().cut_feeds();
        }
    }
}

fn condition(node: &Value, type_: &str) -> Value {
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default()
}

fn taints(node: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints
        .iter()
        .map(|it| format!("{}={}:{}", text(&it["key"]), text(&it["value"]), text(&it["effect"])))
        .collect()
}

/// The writes of a replica, by object and outcome, as its metrics tell.
async fn writes(replica: &VirtualKubelet) -> Vec<String> {
    let metrics = replica.get("/metrics").await.unwrap();
    metrics
        .lines()
        .filter(|line| line.starts_with("triton_vk_node_writes_total"))
        .map(str::to_owned)
        .collect()
}

/// Nothing was refused: the manifest gives all the rights that are needed.
async fn check_rights(replica: &VirtualKubelet) {
    let writes = writes(replica).await;
    assert!(!writes.iter().any(|line| line.contains("refused")), "{writes:?}");
    assert!(!replica.log().contains("forbidden"), "{}", replica.log());
}

#[tokio::test]
async fn a_node_appears_with_everything_that_manifests_select_on() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("triton.toml");
    std::fs::write(&file, "Region = \"moon\"\nCPU = \"100\"\nPods = 1000\n").unwrap();
    let variables = [("VKUBELET_POD_IP", "127.0.0.1"), ("KUBELET_PORT", "12345")];
    let arguments = ["--provider", "triton", "--provider-config", file.to_str().unwrap()];
    let replica = stage.replica(&arguments, &variables).await;
    stage.until_ready_is("True", "KubeletReady").await;
    until("it is ready", async || replica.get("/readyz").await.unwrap() == "ok").await;
    stage.until_event("NodeReady").await;

    let node = stage.node().await;
    let datacenter = Settings::preset(Preset::Instant).world.datacenter;
    for (label, value) in [
        ("type", "virtual-kubelet"),
        ("kubernetes.io/role", "agent"),
        ("kubernetes.io/hostname", NODE),
        ("kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("node.kubernetes.io/exclude-from-external-load-balancers", "true"),
        ("alpha.service-controller.kubernetes.io/exclude-balancer", "true"),
        ("topology.kubernetes.io/region", "moon"),
        ("topology.kubernetes.io/zone", &datacenter),
    ] {
        assert_eq!(node["metadata"]["labels"][label], value, "{label}");
    }
    assert!(taints(&node).contains(&"virtual-kubelet.io/provider=triton:NoSchedule".to_owned()), "{node}");
    for type_ in ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"] {
        assert_eq!(condition(&node, type_)["status"], "False", "{type_}");
    }
    let status = &node["status"];
    assert_eq!(status["addresses"][0]["address"], "127.0.0.1");
    assert_eq!(status["daemonEndpoints"]["kubeletEndpoint"]["Port"], 12345);
    assert_eq!((&status["capacity"]["cpu"], &status["capacity"]["pods"]), (&"100".into(), &"1k".into()));
    assert_eq!(status["allocatable"]["memory"], "40Gi");
    assert_eq!(status["nodeInfo"]["operatingSystem"], "linux");

    let first = stage.node_lease().await;
    assert_eq!(first["spec"]["leaseDurationSeconds"], 40);
    assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], node["metadata"]["uid"]);
    until("the lease is renewed", async || {
        stage.node_lease().await["spec"]["renewTime"] != first["spec"]["renewTime"]
    })
    .await;
    check_rights(&replica).await;

    let account = "--as=system:serviceaccount:kube-system:triton-virtual-kubelet";
    for (verb, object) in [
        ("delete", "node/virtual-kubelet"),
        ("patch", "node/worker-1"),
        ("list", "nodes"),
        ("create", "pods"),
        ("update", "pods"),
        ("update", "secrets"),
    ] {
        let line = ["auth", "can-i", verb, object, account];
        assert!(stage.plane.kubectl(&line).await.is_err(), "it may {verb} {object}");
    }
}

#[tokio::test]
async fn what_others_put_on_the_node_survives_and_the_node_comes_back() {
    let stage = Stage::new().await;
    // A node of a kubelet that is no virtual one is not taken.
    stage
        .plane
        .kubectl(&["create", "--filename", &{
            let file = stage.plane.folder().join("node.json");
            let node = serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
            std::fs::write(&file, node.to_string()).unwrap();
            file.display().to_string()
        }])
        .await
        .unwrap();
    let patch = async |patch: Value| {
        let patch = format!("--patch={patch}");
        stage.plane.kubectl(&["patch", "node", NODE, "--subresource=status", &patch]).await.unwrap();
    };
    let info = serde_json::json!({"architecture": "amd64", "bootID": "", "containerRuntimeVersion": "",
        "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "v1.36.3", "machineID": "",
        "operatingSystem": "linux", "osImage": "", "systemUUID": ""});
    patch(serde_json::json!({"status": {"nodeInfo": info}})).await;
    let replica = stage.replica(&[], &[]).await;
    stage.until_event("NodeNameConflict").await;
    assert_eq!(stage.node().await["metadata"]["labels"]["type"], Value::Null);
    assert_eq!(stage.node_lease().await, Value::Null);
    stage.kubectl(&format!("delete node {NODE}")).await;
    stage.until_ready_is("True", "KubeletReady").await;

    stage.kubectl(&format!("label node {NODE} team=blue")).await;
    stage.kubectl(&format!("taint node {NODE} dedicated=blue:NoSchedule")).await;
    let problem =
        serde_json::json!({"type": "Haunted", "status": "True", "reason": "Ghost", "message": "boo"});
    patch(serde_json::json!({"status": {"conditions": [problem]}})).await;
    // Ours come back, which is a write of all that was written before.
    stage.kubectl(&format!("label node {NODE} type- kubernetes.io/role=pilot --overwrite")).await;
    stage.kubectl(&format!("taint node {NODE} virtual-kubelet.io/provider-")).await;
    patch(serde_json::json!({"status": {"conditions": [{"type": "PIDPressure", "status": "Unknown"}]}}))
        .await;
    until("label, taint and condition of ours are back", async || {
        let node = stage.node().await;
        let labels = &node["metadata"]["labels"];
        labels["type"] == "virtual-kubelet"
            && labels["kubernetes.io/role"] == "agent"
            && taints(&node).contains(&"virtual-kubelet.io/provider=triton:NoSchedule".to_owned())
            && condition(&node, "PIDPressure")["status"] == "False"
    })
    .await;
    let node = stage.node().await;
    assert_eq!(node["metadata"]["labels"]["team"], "blue");
    assert!(taints(&node).contains(&"dedicated=blue:NoSchedule".to_owned()), "{:?}", taints(&node));
    assert_eq!(condition(&node, "Haunted")["reason"], "Ghost");

    stage.kubectl(&format!("delete node {NODE}")).await;
    until("there is a new node, ready, that owns the lease", async || {
        let (new, lease) = (stage.node().await, stage.node_lease().await);
        let uid = &new["metadata"]["uid"];
        uid.is_string()
            && *uid != node["metadata"]["uid"]
            && condition(&new, "Ready")["status"] == "True"
            && lease["metadata"]["ownerReferences"][0]["uid"] == *uid
    })
    .await;
    check_rights(&replica).await;
}

#[tokio::test]
async fn a_silent_cloudapi_makes_the_node_not_ready_until_it_answers() {
    let stage = Stage::new().await;
    let replica = stage.replica(&["--cloudapi-grace", "2s"], &[]).await;
    stage.until_ready_is("True", "KubeletReady").await;
    stage.set_silent(true);
    stage.until_ready_is("False", "CloudAPIUnreachable").await;
    let ready = condition(&stage.node().await, "Ready");
    assert!(ready["message"].as_str().unwrap().starts_with("CloudAPI has not answered since 20"), "{ready}");
    let lease = stage.node_lease().await;
    until("the lease is renewed all the same", async || {
        stage.node_lease().await["spec"]["renewTime"] != lease["spec"]["renewTime"]
    })
    .await;
    stage.until_event("NodeNotReady").await;
    assert_eq!(replica.get("/livez").await.unwrap(), "ok");
    stage.set_silent(false);
    stage.until_ready_is("True", "KubeletReady").await;
    check_rights(&replica).await;
}

#[tokio::test]
async fn of_two_replicas_one_writes_and_the_other_takes_over() {
    let stage = Stage::new().await;
    let mut one = stage.replica(&[], &[]).await;
    stage.until_ready_is("True", "KubeletReady").await;
    let mut two = stage.replica(&[], &[]).await;
    until("the second stands by with warm caches", async || two.get("/readyz").await.unwrap() == "standby")
        .await;
    let lease = stage.node_lease().await;
    until("the first renews the lease", async || {
        stage.node_lease().await["spec"]["renewTime"] != lease["spec"]["renewTime"]
    })
    .await;
    assert_eq!(writes(&two).await, [""; 0]);

    let before = stage.node().await;
    assert!(one.stop("TERM").await.unwrap().success(), "{}", one.log());
    until("the second leads, and renews the node's lease", async || {
        writes(&two).await.iter().any(|line| line.contains("object=\"lease\",outcome=\"success\""))
    })
    .await;
    let after = stage.node().await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(condition(&after, "Ready"), condition(&before, "Ready"), "nobody noticed");

    let holder = &stage.election().await["spec"]["holderIdentity"];
    assert!(holder.as_str().is_some_and(|holder| !holder.is_empty()), "{holder}");
    assert!(two.stop("TERM").await.unwrap().success(), "{}", two.log());
    assert_eq!(stage.election().await["spec"]["holderIdentity"], "", "released");
    check_log(&two);
}

/// What a good life leaves in the log: no errors.
fn check_log(replica: &VirtualKubelet) {
    let log = replica.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
