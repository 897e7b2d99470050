//! What changes while an instance runs.

use triton::id::InstanceId;
use triton::types::{Metadata, TagValue};

use super::stage::Stage;

/// A ConfigMap, a Secret and a label that change reach the running instance; what others wrote there stays.
pub(super) async fn config_maps_secrets_and_labels_reach_the_instance(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "changes"]).await;
    stage
        .apply(
            r"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: changes}
data: {COLOUR: red}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: changes}
stringData: {word: swordfish}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: changes, labels: {tier: front}}
spec:
  nodeSelector: {type: virtual-kubelet}
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  containers:
  - name: main
    image: base-64-lts
    envFrom: [{configMapRef: {name: settings}}]
    env:
    - {name: WORD, valueFrom: {secretKeyRef: {name: password, key: word}}}
    - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
",
        )
        .await;
    stage.until_field_in("changes", "pod/web", "{.status.phase}", "Running").await;
    let ip = stage.field_in("changes", "pod/web", "{.status.podIP}").await;
    until_environment(stage, &[("COLOUR", "red"), ("WORD", "swordfish"), ("ADDRESS", &ip)]).await;
    let id = stage.instances_of("changes").await[0].id;
    let mut foreign = Metadata::new();
    foreign.insert("mine", "leave me");
    stage.account.add_metadata(id, &foreign).await.unwrap();

    let new = r#"--patch={"data":{"COLOUR":"blue"}}"#;
    stage.kubectl(&["patch", "configmap", "settings", "--namespace=changes", new]).await;
    let new = r#"--patch={"stringData":{"word":"sesame"}}"#;
    stage.kubectl(&["patch", "secret", "password", "--namespace=changes", new]).await;
    stage
        .kubectl(&["label", "pod", "web", "--namespace=changes", "tier=back", "new=yes", "--overwrite"])
        .await;
    until_environment(stage, &[("COLOUR", "blue"), ("WORD", "sesame"), ("ADDRESS", &ip)]).await;
    stage
        .until("the labels are tags", async || {
            let instances = stage.instances_of("changes").await;
            let tag = |key: &str| instances[0].tags.get(key).and_then(TagValue::as_str);
            (tag("tier"), tag("new")) == (Some("back"), Some("yes"))
        })
        .await;
    stage.kubectl(&["label", "pod", "web", "--namespace=changes", "new-"]).await;
    stage
        .until("the label that went takes its tag along", async || {
            !stage.instances_of("changes").await[0].tags.contains_key("new")
        })
        .await;
    assert_eq!(stage.instances_of("changes").await[0].metadata.get("mine"), Some("leave me"));
    stage.kubectl(&["delete", "namespace", "changes", "--wait=false"]).await;
}

/// Waits until the environment in the instance's metadata has these.
async fn until_environment(stage: &Stage, expected: &[(&str, &str)]) {
    stage
        .until(&format!("the environment has {expected:?}"), async || {
            let instances = stage.instances_of("changes").await;
            let user_data = instances[0].metadata.get("user-data").unwrap_or_default();
            let Ok(user_data) = serde_json::from_str::<serde_json::Value>(user_data) else { return false };
            expected.iter().all(|(name, value)| user_data["env_vars"][name] == *value)
        })
        .await;
}

/// Readiness sets the pod's condition and takes the instance out of DNS and back; liveness restarts it.
pub(super) async fn probes_decide_about_readiness_and_restarts(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "probes"]).await;
    stage
        .apply(
            r#"
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: probes, annotations: {sim.ports: "http:80"}}
spec:
  nodeSelector: {type: virtual-kubelet}
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  containers:
  - name: main
    image: base-64-lts
    ports: [{containerPort: 80, name: web}]
    readinessProbe: {httpGet: {port: web, path: /readyz}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {httpGet: {port: web, path: /healthz}, periodSeconds: 1, failureThreshold: 2}
"#,
        )
        .await;
    let ready = r#"{.status.conditions[?(@.type=="Ready")].status}"#;
    stage.until_field_in("probes", "pod/web", ready, "True").await;
    let id = stage.instances_of("probes").await[0].id;
    until_cns_status(stage, id, "up").await;

    answer(stage, id, "/readyz=503").await;
    stage.until_field_in("probes", "pod/web", ready, "False").await;
    until_cns_status(stage, id, "down").await;
    answer(stage, id, "/readyz=200").await;
    stage.until_field_in("probes", "pod/web", ready, "True").await;
    until_cns_status(stage, id, "up").await;
    let restarts = "{.status.containerStatuses[0].restartCount}";
    assert_eq!(stage.field_in("probes", "pod/web", restarts).await, "0");

    answer(stage, id, "/healthz=500").await;
    stage.until_field_in("probes", "pod/web", restarts, "1").await;
    answer(stage, id, "/healthz=200").await;
    stage.until_field_in("probes", "pod/web", ready, "True").await;
    let events = stage.kubectl(&["get", "events", "--namespace=probes"]).await;
    assert!(events.contains("Unhealthy") && events.contains("Killing"), "{events}");
    assert_eq!(stage.instances_of("probes").await.len(), 1);
    stage.kubectl(&["delete", "namespace", "probes", "--wait=false"]).await;
}

/// Makes the guest's web server answer so.
async fn answer(stage: &Stage, id: InstanceId, statuses: &str) {
    let mut metadata = Metadata::new();
    metadata.insert("sim.http-status", statuses);
    stage.account.add_metadata(id, &metadata).await.unwrap();
}

async fn until_cns_status(stage: &Stage, id: InstanceId, status: &str) {
    stage
        .until(&format!("triton.cns.status is {status}"), async || {
            let found = stage.account.get_instance(id).await.unwrap();
            found.into_instance().metadata.get("triton.cns.status") == Some(status)
        })
        .await;
}
