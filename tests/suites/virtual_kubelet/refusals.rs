//! What bad input gets: each pod says what is wrong with it, and everything else goes on.

use super::stage::Stage;

/// A pod with this metadata and these fields in its spec.
fn pod(name: &str, annotations: &str, spec: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: bad, annotations: {{{annotations}}}}}
spec:
  nodeSelector: {{type: virtual-kubelet}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
  {spec}
"
    )
}

const MAIN: &str = "containers: [{name: main, image: base-64-lts}]";

/// Pod, annotations, spec, phase, and what the status or an event must say.
const CASES: [(&str, &str, &str, &str, &str); 9] = [
    (
        "two",
        "",
        "containers: [{name: a, image: base-64-lts}, {name: b, image: x}]",
        "Failed",
        "spec.containers",
    ),
    (
        "init",
        "",
        "initContainers: [{name: i, image: x}]\n  containers: [{name: main, image: base-64-lts}]",
        "Failed",
        "initContainers",
    ),
    (
        "volume",
        "",
        "containers: [{name: main, image: base-64-lts, volumeMounts: [{name: v, mountPath: /v}]}]\n  volumes: [{name: v, emptyDir: {}}]",
        "Failed",
        "volumes",
    ),
    ("image", "", "containers: [{name: main, image: nowhere}]", "Pending", "nowhere"),
    ("package", "package: giant", MAIN, "Pending", "giant"),
    ("network", "networks: atlantis", MAIN, "Pending", "atlantis"),
    (
        "fit",
        "",
        "containers: [{name: main, image: base-64-lts, resources: {requests: {memory: 20Gi}}}]",
        "Pending",
        "no package fits",
    ),
    ("misfit", "package: b1.medium", MAIN, "Pending", "b1.medium"),
    ("affinity", "affinity: 'role=!x'", MAIN, "Pending", "affinity"),
];

/// Every bad pod says what is wrong, no instance is made for it, and a good one beside them runs.
pub(super) async fn every_bad_pod_says_what_is_wrong(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "bad"]).await;
    for (name, annotations, spec, _, _) in CASES {
        stage.apply(&pod(name, annotations, spec)).await;
    }
    stage.apply(&pod("good", "", MAIN)).await;
    stage.until_field_in("bad", "pod/good", "{.status.phase}", "Running").await;
    for (name, _, _, phase, text) in CASES {
        let object = format!("pod/{name}");
        stage
            .until(&format!("{name} is {phase} and says {text}"), async || {
                let status = stage.field_in("bad", &object, "{.status}").await;
                let events = format!("--field-selector=involvedObject.name={name}");
                let events = stage.kubectl(&["get", "events", "--namespace=bad", &events]).await;
                status.contains(&format!(r#""phase":"{phase}""#))
                    && status.contains(text)
                    && events.contains(text)
            })
            .await;
    }
    assert_eq!(stage.instances_of("bad").await.len(), 1);
    stage.kubectl(&["delete", "namespace", "bad", "--wait=false"]).await;
    stage
        .until("bad pods can be deleted", async || {
            stage.kubectl(&["get", "pods", "--namespace=bad", "--output=name"]).await.is_empty()
        })
        .await;
}
