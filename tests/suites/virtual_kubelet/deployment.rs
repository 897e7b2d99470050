//! The Deployment of the original Triton provider, word for word.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::json;
use triton::types::{InstanceState, TagValue};

use super::stage::{NODE, Stage};

/// From the documentation of the original provider.
const MANIFEST: &str = include_str!("../../../deploy/examples/ubuntu.yaml");

#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn applied_scaled_healed_and_deleted() {
    let stage = Stage::set().await;
    stage.apply(MANIFEST).await;
    stage.until_field("deployment/ubuntu", "{.status.readyReplicas}", "1").await;

    // One instance, as the manifest says.
    let instances = stage.instances().await;
    let [instance] = instances.as_slice() else { panic!("not one instance: {instances:#?}") };
    assert_eq!(instance.package.as_deref(), Some("g4-highcpu-1G"));
    assert!(instance.firewall_enabled);
    let networks: Vec<String> = instance.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["17d7aa50-6ad9-4e56-93b7-12dc868fac2a", "a0ae9499-b476-4fef-9861-d0c25029378d"]);
    let tag = |key: &str| instance.tags.get(key).and_then(TagValue::as_str).unwrap_or_default().to_owned();
    assert_eq!((tag("app"), tag("triton.cns.services")), ("ubuntu".to_owned(), "ubuntu".to_owned()));
    assert_eq!((tag("k8s.node"), tag("k8s.cluster")), (NODE.to_owned(), "kubernetes".to_owned()));
    let user_data: serde_json::Value =
        serde_json::from_str(instance.metadata.get("user-data").unwrap()).unwrap();
    assert_eq!(
        (&user_data["env_vars"]["foo"], &user_data["env_vars"]["bar"]),
        (&json!("bar"), &json!("baz"))
    );

    // Its address is the pod's, and the pod says where it runs.
    let ip = instance.primary_ip.unwrap().to_string();
    let pod = stage.kubectl(&["get", "pods", "--output=jsonpath={.items[0].metadata.name}"]).await;
    let pod = format!("pod/{pod}");
    assert_eq!(stage.field(&pod, "{.status.podIP}").await, ip);
    let container = stage.field(&pod, "{.status.containerStatuses[0].containerID}").await;
    assert_eq!(container, format!("triton://{}", instance.id));
    let description = stage.kubectl(&["describe", &pod]).await;
    for text in ["Scheduled", "Running", &ip] {
        assert!(description.contains(text), "no {text} in:\n{description}");
    }

    // Port 22 is open to everybody, and the group's members reach each other.
    let mut rules: Vec<String> = stage.rules().await.iter().map(|rule| rule.rule.to_string()).collect();
    rules.sort();
    assert_eq!(rules.len(), 3, "{rules:#?}");
    assert!(
        rules.iter().any(|rule| rule.starts_with("FROM any TO tag") && rule.ends_with("ALLOW tcp PORT 22"))
    );

    // Three of them, and CNS names all that are ready.
    stage.kubectl(&["scale", "deployment/ubuntu", "--replicas=3"]).await;
    stage.until_field("deployment/ubuntu", "{.status.readyReplicas}", "3").await;
    let addresses: BTreeSet<IpAddr> =
        stage.instances().await.iter().flat_map(|instance| instance.ips.iter().copied()).collect();
    assert_eq!(addresses.len(), 6);
    stage.until("CNS answers with all of them", async || stage.resolve("ubuntu").await == addresses).await;
    assert_eq!(stage.rules().await.len(), 3, "the rules are shared");

    // One stops behind Kubernetes' back, and starts again.
    let id = stage.instances().await[0].id;
    stage.account.stop_instance(id).await.unwrap();
    let stopped = async || {
        stage.account.get_instance(id).await.unwrap().into_instance().state == InstanceState::Stopped
    };
    stage.until("it has stopped", stopped).await;
    stage.until_field("deployment/ubuntu", "{.status.readyReplicas}", "2").await;
    stage.until_field("deployment/ubuntu", "{.status.readyReplicas}", "3").await;
    assert_eq!(stage.instances().await.len(), 3, "the same three");
    let restarts = stage.kubectl(&[
        "get",
        "pods",
        "--output=jsonpath={.items[*].status.containerStatuses[0].restartCount}",
    ]);
    let mut restarts: Vec<String> = restarts.await.split(' ').map(str::to_owned).collect();
    restarts.sort();
    assert_eq!(restarts, ["0", "0", "1"]);

    // Nothing is left.
    stage.kubectl(&["delete", "deployment/ubuntu"]).await;
    stage
        .until("no pod is left", async || stage.kubectl(&["get", "pods", "--output=name"]).await.is_empty())
        .await;
    assert!(stage.instances().await.is_empty(), "a pod goes after its instance");
    stage.until("no rule is left", async || stage.rules().await.is_empty()).await;
}
