//! Commands in instances: probes and hooks by `exec`.

use triton::id::InstanceId;
use triton::types::{Metadata, TagValue, Tags};

use super::stage::Stage;

/// A probe's command decides about readiness and a hook's command runs before the instance stops, both over SSH; the
/// host key is pinned, and another one is refused.
pub(super) async fn exec_probes_run_over_ssh(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "commands"]).await;
    stage
        .apply(
            r#"
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: commands}
spec:
  nodeSelector: {type: virtual-kubelet}
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  containers:
  - name: main
    image: base-64-lts
    readinessProbe:
      exec: {command: [mdata-get, ready]}
      periodSeconds: 1
      timeoutSeconds: 10
      failureThreshold: 1
    lifecycle:
      preStop: {exec: {command: [mdata-put, last-words, "it's $HOME; enough"]}}
---
apiVersion: v1
kind: Pod
metadata:
  name: spoofed
  namespace: commands
  annotations:
    tritondatacenter.com/ssh-host-key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqIP3+kLPFm/Lql+XTlw7UQ7SxjQqtUKcPSdq7fGcth
spec:
  nodeSelector: {type: virtual-kubelet}
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  containers:
  - {name: main, image: base-64-lts, readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 10}}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: commands, annotations: {tritondatacenter.com/ssh-user: nobody}}
spec:
  nodeSelector: {type: virtual-kubelet}
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  containers:
  - {name: main, image: base-64-lts, readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 10}}
"#,
        )
        .await;
    stage.until_field_in("commands", "pod/web", "{.status.phase}", "Running").await;
    let ready = r#"{.status.conditions[?(@.type=="Ready")].status}"#;
    until_events_say(stage, "Readiness probe failed: the command ended with exit code 1").await;
    assert_eq!(stage.field_in("commands", "pod/web", ready).await, "False");

    until_events_say(stage, "Readiness probe cannot run: the SSH server of root@").await;
    until_events_say(stage, "is the one it had").await;
    until_events_say(stage, "Readiness probe cannot run: nobody@").await;
    for pod in ["pod/spoofed", "pod/stranger"] {
        assert_eq!(stage.field_in("commands", pod, ready).await, "False", "{pod}");
    }
    stage.kubectl(&["delete", "pod", "spoofed", "stranger", "--namespace=commands", "--wait=false"]).await;

    let ours = stage.instances_of("commands").await;
    let is_web = |tags: &Tags| tags.get("k8s.pod").and_then(TagValue::as_str) == Some("web");
    let id = ours.iter().find(|instance| is_web(&instance.tags)).unwrap().id;
    let mut metadata = Metadata::new();
    metadata.insert("ready", "yes");
    stage.account.add_metadata(id, &metadata).await.unwrap();
    stage.until_field_in("commands", "pod/web", ready, "True").await;
    let pin = pin(stage).await;
    assert!(pin.starts_with("ssh-ed25519 ") && pin.ends_with(&id.to_string()), "{pin}");

    stage.kubectl(&["delete", "pod", "web", "--namespace=commands", "--wait=false"]).await;
    let words = async |id: InstanceId| {
        let found = stage.account.get_instance(id).await.unwrap().into_instance();
        found.metadata.get("last-words").map(str::to_owned)
    };
    stage
        .until("the hook has said its words", async || {
            words(id).await.as_deref() == Some("it's $HOME; enough")
        })
        .await;
    stage.until("the instance is gone", async || stage.instances_of("commands").await.is_empty()).await;
    let events = stage.kubectl(&["get", "events", "--namespace=commands"]).await;
    assert!(!events.contains("FailedPreStopHook"), "{events}");
    stage.kubectl(&["delete", "namespace", "commands", "--wait=false"]).await;
}

/// Waits for an event of the namespace with this text.
async fn until_events_say(stage: &Stage, text: &str) {
    stage
        .until(&format!("an event says {text:?}"), async || {
            stage.kubectl(&["get", "events", "--namespace=commands"]).await.contains(text)
        })
        .await;
}

/// The host key that is pinned, once it is.
async fn pin(stage: &Stage) -> String {
    let path = r"{.metadata.annotations.tritondatacenter\.com/ssh-host-key}";
    stage
        .until("the host key is pinned", async || {
            !stage.field_in("commands", "pod/web", path).await.is_empty()
        })
        .await;
    stage.field_in("commands", "pod/web", path).await
}
