//! `explain`: it shows what the controllers see and would do, and does none of it.

use serde_json::{Value, json};
use suites::cloud_controller_manager::CloudControllerManager;
use triton::types::InstanceState;

use super::stage::{Ended, Stage, until};

impl Stage {
    async fn explain(&self, arguments: &[&str]) -> Ended {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        let given = ["explain", "--kubeconfig", kubeconfig];
        let arguments: Vec<&str> = given.iter().chain(arguments).copied().collect();
        self.sub_command(&self.simulator.environment(), &arguments).await
    }

    /// Waits until an explanation ends with this code and has these parts; it writes neither to Triton nor to the cluster.
    async fn until_explained(&self, arguments: &[&str], code: i32, parts: &[&str]) -> String {
        let mut last = String::new();
        for _ in 0..60 {
            let ended = self.explain(arguments).await;
            last = ended.out + &ended.err;
            if ended.code == code && parts.iter().all(|part| last.contains(part)) {
                return last;
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        panic!("{arguments:?} does not end with {code} and {parts:?}:\n{last}");
    }

    /// The objects with the versions that every write changes.
    async fn versions(&self) -> String {
        let path = "--output=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
        self.kubectl(&["get", "nodes,services,events.events.k8s.io,leases", "--all-namespaces", path]).await
    }
}

/// A load balancer with an endpoint on the Node, which is ready.
fn web() -> String {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.1.0.1"], "nodeName": "n1", "conditions": {"ready": true}}],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [service, slice]}).to_string()
}

#[tokio::test]
async fn what_would_be_done_is_shown_and_not_done() {
    let stage = Stage::set().await;
    let account = stage.account().await;
    let id = stage.machine(&account, "n1").await;
    // An account that shows nothing proves nothing.
    stage.machine(&account, "bystander").await;
    stage.register("n1", &id).await;
    let ready = r#"{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}"#;
    stage.kubectl(&["patch", "node", "n1", "--subresource=status", "--type=merge", "--patch", ready]).await;
    stage.apply(&web()).await;

    // Nobody has looked after them yet.
    let before = stage.versions().await;
    let _ = stage.simulator.control().requests().take();
    let node = stage.explain(&["node/n1"]).await;
    assert_eq!(node.code, 1, "{}{}", node.out, node.err);
    for part in [
        "node/n1\n",
        &format!("{id}, by its provider ID"),
        "running",
        "label node.kubernetes.io/instance-type:",
        "1. write into the status: addresses InternalIP",
        "no taint node.cloudprovider.kubernetes.io/uninitialized",
    ] {
        assert!(node.out.contains(part), "{part}\n{}", node.out);
    }
    let service = stage.explain(&["svc/web", "--namespace=default", "--output=json"]).await;
    assert_eq!(service.code, 1, "{}{}", service.out, service.err);
    let told: Value = serde_json::from_str(&service.out).unwrap();
    assert_eq!((told["kind"].as_str(), told["name"].as_str()), (Some("service"), Some("default/web")));
    assert!(told["plan"][0] == "add the finalizer", "{told}");
    // A process that only looks says and counts the same, without leading.
    let mut rehearsal = stage.start(&["--dry-run"]).await;
    let would = |process: &CloudControllerManager, step: &str| {
        process.log().lines().any(|line| line.contains(&format!("dry run: would {step}")))
    };
    for step in ["write into the status: addresses", "write into the Node: ", "add the finalizer"] {
        until(|| rehearsal.log(), step, async || would(&rehearsal, step)).await;
    }
    assert!(rehearsal.stop("TERM").await.unwrap().success(), "{}", rehearsal.log());
    // Nothing was written.
    let asked = stage.simulator.control().requests().take();
    let is_read = |name: &str| name.starts_with("Get") || name.starts_with("List") || name == "Changefeed";
    assert!(asked.total > 0 && asked.operations.keys().all(|name| is_read(name)), "{asked:?}");
    assert_eq!(stage.versions().await, before);

    // The process does just that, and then there is nothing to do.
    let mut process = stage.start(&[]).await;
    stage.until_initialised(&process, "n1").await;
    let settled = ["nothing to do", "initialised:  yes"];
    stage.until_explained(&["node/n1"], 0, &settled).await;
    let settled = ["nothing to do", "web-default", "(node n1)", "serves the Service", "hostname:"];
    stage.until_explained(&["service/default/web"], 0, &settled).await;
    assert!(process.stop("TERM").await.unwrap().success());

    // A machine that is shut down while nobody looks.
    account.stop_instance(id.parse().unwrap()).await.unwrap();
    let stopped = async || {
        let found = account.get_instance(id.parse().unwrap()).await.unwrap();
        found.into_instance().state == InstanceState::Stopped
    };
    until(String::new, "it has stopped", stopped).await;
    let tainted =
        ["stopped", "write into the Node: taints", "node.cloudprovider.kubernetes.io/shutdown:NoSchedule"];
    stage.until_explained(&["node/n1"], 1, &tainted).await;
    stage
        .until_explained(
            &["service/web"],
            1,
            &[
                "Warning  UnAvailableLoadBalancer",
                "is not to be in",
                "no triton.cns.services",
                "is not settled",
            ],
        )
        .await;
    // And one that is destroyed.
    account.delete_instance(id.parse().unwrap()).await.unwrap();
    stage.until_explained(&["node/n1"], 1, &["destroyed", "delete the Node"]).await;
    let (before, _) = (stage.versions().await, stage.simulator.control().requests().take());
    let rehearsal = stage.start(&["--dry-run"]).await;
    let step = "delete the Node: its instance is destroyed";
    until(|| rehearsal.log(), step, async || would(&rehearsal, step)).await;
    assert_eq!(stage.versions().await, before);
    let asked = stage.simulator.control().requests().take();
    assert!(asked.total > 0 && asked.operations.keys().all(|name| is_read(name)), "{asked:?}");
    drop(rehearsal);

    // What there is not, what makes no sense, and what cannot be known.
    let missing = stage.explain(&["service/none"]).await;
    assert_eq!(missing.code, 2, "{}{}", missing.out, missing.err);
    assert!(missing.err.contains("there is no service default/none in the cluster"), "{}", missing.err);
    assert_eq!(stage.explain(&["pod/web"]).await.code, 2);
    let (stranger, _) = stage.new_key("stranger", "").await;
    let mut wrong = stage.simulator.environment();
    wrong.retain(|(name, _)| !name.starts_with("TRITON_KEY"));
    wrong.push(("TRITON_KEY_MATERIAL".to_owned(), stranger));
    let arguments = ["explain", "node/n1", "--kubeconfig", stage.kubeconfig.to_str().unwrap()];
    let unknown = stage.sub_command(&wrong, &arguments).await;
    assert_eq!(unknown.code, 3, "{}{}", unknown.out, unknown.err);
}
