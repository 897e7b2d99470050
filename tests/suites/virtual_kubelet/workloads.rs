//! Jobs, StatefulSets, DaemonSets, and pods that say nothing about Triton.

use triton::types::TagValue;

use super::stage::Stage;

/// What lets pods onto the virtual node.
const PLACED: &str = "nodeSelector: {type: virtual-kubelet}
      tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]";

/// A Job whose guest reports an exit code and halts.
fn job(name: &str, code: u8) -> String {
    format!(
        r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, namespace: jobs}}
spec:
  backoffLimit: 0
  template:
    metadata: {{annotations: {{user-script: "mdata-put k8s:exit-code {code}; poweroff"}}}}
    spec:
      {PLACED}
      restartPolicy: Never
      containers: [{{name: main, image: base-64-lts}}]
"#
    )
}

/// Jobs end as their guests say.
pub(super) async fn jobs_end_as_their_guests_say(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "jobs"]).await;
    stage.apply(&job("works", 0)).await;
    stage.apply(&job("fails", 3)).await;
    stage.until_field_in("jobs", "job/works", "{.status.succeeded}", "1").await;
    stage.until_field_in("jobs", "job/fails", "{.status.failed}", "1").await;
    let code = "{.items[0].status.containerStatuses[0].state.terminated.exitCode}";
    let code = stage.of_pods("jobs", "job-name=fails", code).await;
    assert_eq!(code, "3");
    // The instances stay for whoever wants to look, until the pods go.
    assert_eq!(stage.instances_of("jobs").await.len(), 2);
    stage.kubectl(&["delete", "--namespace=jobs", "jobs", "--all"]).await;
    stage.until("the jobs' instances are gone", async || stage.instances_of("jobs").await.is_empty()).await;
}

/// A StatefulSet's pods come one after another, and a pod that is deleted comes back under its name.
pub(super) async fn a_stateful_set_keeps_its_names(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "sets"]).await;
    stage
        .apply(&format!(
            r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db, namespace: sets}}
spec:
  replicas: 2
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      {PLACED}
      containers: [{{name: main, image: base-64-lts, readinessProbe: {{tcpSocket: {{port: 22}}, periodSeconds: 1}}}}]
"
        ))
        .await;
    stage.until_field_in("sets", "statefulset/db", "{.status.readyReplicas}", "2").await;
    let uid = stage.field_in("sets", "pod/db-0", "{.metadata.uid}").await;
    stage.kubectl(&["delete", "--namespace=sets", "pod", "db-0", "--wait=true"]).await;
    stage
        .until("db-0 is another one and ready", async || {
            let now = stage.field_in("sets", "pod/db-0", "{.metadata.uid}").await;
            let ready = stage.field_in("sets", "statefulset/db", "{.status.readyReplicas}").await;
            !now.is_empty() && now != uid && ready == "2"
        })
        .await;
    let mut pods: Vec<String> = stage
        .instances_of("sets")
        .await
        .iter()
        .filter_map(|instance| Some(instance.tags.get("k8s.pod").and_then(TagValue::as_str)?.to_owned()))
        .collect();
    pods.sort();
    assert_eq!(pods, ["db-0", "db-1"]);
    stage.kubectl(&["delete", "namespace", "sets", "--wait=false"]).await;
    stage.until("the set's instances are gone", async || stage.instances_of("sets").await.is_empty()).await;
}

/// A DaemonSet that tolerates the taint has its pod here; one that does not, has none.
pub(super) async fn daemon_sets_come_when_they_tolerate_the_taint(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "daemons"]).await;
    for (name, tolerations) in [("welcome", "[{operator: Exists}]"), ("elsewhere", "[]")] {
        stage
            .apply(&format!(
                r"
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}, namespace: daemons}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      tolerations: {tolerations}
      containers: [{{name: main, image: base-64-lts}}]
"
            ))
            .await;
    }
    stage.until_field_in("daemons", "daemonset/welcome", "{.status.numberReady}", "1").await;
    assert_eq!(
        stage.field_in("daemons", "daemonset/elsewhere", "{.status.desiredNumberScheduled}").await,
        "0"
    );
    stage.kubectl(&["delete", "namespace", "daemons", "--wait=false"]).await;
}

/// A pod without annotations and resources gets the smallest package that its image accepts, and the default network.
pub(super) async fn a_bare_pod_gets_the_smallest_package_and_the_default_network(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "bare"]).await;
    for (name, image) in [("zone", "base-64-lts"), ("machine", "ubuntu-24.04@20240612")] {
        stage
            .apply(&format!(
                r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: bare}}
spec:
      {PLACED}
      containers: [{{name: main, image: "{image}"}}]
"#
            ))
            .await;
    }
    for (name, package) in [("zone", "g1.nano"), ("machine", "b1.medium")] {
        stage.until_field_in("bare", &format!("pod/{name}"), "{.status.phase}", "Running").await;
        let instances = stage.instances_of("bare").await;
        let tagged = |tag: Option<&TagValue>| tag.and_then(TagValue::as_str) == Some(name);
        let instance = instances.iter().find(|instance| tagged(instance.tags.get("k8s.pod"))).unwrap();
        assert_eq!(instance.package.as_deref(), Some(package));
        assert_eq!(instance.networks.as_ref(), [stage.simulator.ids().fabric]);
    }
    stage.kubectl(&["delete", "namespace", "bare", "--wait=false"]).await;
    stage.until("their instances are gone", async || stage.instances_of("bare").await.is_empty()).await;
}

/// A guest that fails again and again is started again, each time after a longer pause.
pub(super) async fn a_guest_that_fails_is_started_again(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "crashes"]).await;
    stage
        .apply(&format!(
            r#"
apiVersion: v1
kind: Pod
metadata: {{name: crashes, namespace: crashes, annotations: {{user-script: "mdata-put k8s:exit-code 7; poweroff"}}}}
spec:
      {PLACED}
      restartPolicy: OnFailure
      containers: [{{name: main, image: base-64-lts}}]
"#
        ))
        .await;
    let status =
        "{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.waiting.reason}";
    stage.until_field_in("crashes", "pod/crashes", status, "1 CrashLoopBackOff").await;
    let last = "{.status.containerStatuses[0].lastState.terminated.exitCode}";
    assert_eq!(stage.field_in("crashes", "pod/crashes", last).await, "7");
    assert_eq!(stage.instances_of("crashes").await.len(), 1);
    stage.kubectl(&["delete", "namespace", "crashes", "--wait=false"]).await;
    stage.until("its instance is gone", async || stage.instances_of("crashes").await.is_empty()).await;
}
