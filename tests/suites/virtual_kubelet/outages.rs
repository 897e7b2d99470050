//! CloudAPI is down, lies, or does not say what it did; and the kubelet misses what Kubernetes did.

use std::collections::BTreeSet;

use triton_sim::cloudapi::Operation;
use triton_sim::faults::{FaultPlan, Rate, RequestFaults, Target};
use triton_sim::{Preset, Settings};

use super::stage::{NODE, Stage};

/// A pod of this name in `default`.
fn pod(name: &str, seconds: u32) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeSelector: {{type: virtual-kubelet}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
  terminationGracePeriodSeconds: {seconds}
  containers: [{{name: main, image: base-64-lts}}]
"
    )
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {type: virtual-kubelet}
      tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
      containers: [{name: main, image: base-64-lts, readinessProbe: {tcpSocket: {port: 22}, periodSeconds: 1}}]
";

/// Lets requests fail so, and nothing else.
fn set_faults(stage: &Stage, target: Target, faults: RequestFaults) {
    let plan = FaultPlan { requests: [(target, faults)].into(), ..FaultPlan::default() };
    stage.simulator.control().set_faults(plan).unwrap();
}

fn set_sound(stage: &Stage) {
    stage.simulator.control().set_faults(FaultPlan::default()).unwrap();
}

/// The names of the pods whose instances there really are, one for each instance.
fn truth(stage: &Stage) -> Vec<String> {
    let mut pods: Vec<String> = stage.simulator.control().read(|world| {
        let alive = world.machines().filter(|machine| machine.is_active());
        alive.filter_map(|machine| Some(machine.tags.get("k8s.pod")?.as_str()?.to_owned())).collect()
    });
    pods.sort();
    pods
}

/// What Kubernetes believes of the Deployment's pods.
async fn belief(stage: &Stage) -> String {
    let path = "{range .items[*]}{.metadata.uid} {.status.phase} {.status.podIP} \
                {.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type==\"Ready\")].status}\n{end}";
    stage.of_pods("default", "app=web", path).await
}

/// The pods that are there.
async fn uids(stage: &Stage) -> String {
    stage.kubectl(&["get", "pods", "--output=jsonpath={.items[*].metadata.uid}"]).await
}

/// Waits until so many requests of an operation have come since faults were last set; and nothing else may change.
async fn until_asked(stage: &Stage, operation: Operation, times: u64) {
    let what = format!("{times} requests {}", operation.name());
    stage.until(&what, async || stage.simulator.control().begun(operation) >= times).await;
}

/// One stage for all of it, one thing after another: a fault is everybody's.
#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn outages_lies_and_lost_answers_change_no_pod_and_make_none_twice() {
    let flags = ["--orphan-grace=5s", "--firewall-relist=1s"];
    let mut stage = Stage::with(Settings::preset(Preset::Development), &flags).await;
    stage.apply(DEPLOYMENT).await;
    for (name, seconds) in [("leaving", 1), ("stubborn", 3), ("orphan", 30)] {
        stage.apply(&pod(name, seconds)).await;
        stage.until_field(&format!("pod/{name}"), "{.status.phase}", "Running").await;
    }
    stage.until_field("deployment/web", "{.status.readyReplicas}", "3").await;
    let (before, instances) = (belief(&stage).await, truth(&stage));
    assert_eq!(instances.len(), 6);

    down(&stage, &before).await;
    blind(&stage, &before).await;
    set_sound(&stage);
    stage.until_field("pod/coming", "{.status.phase}", "Running").await;
    until_gone(&stage, "leaving").await;
    let mut expected: Vec<String> = instances.into_iter().filter(|pod| pod != "leaving").collect();
    expected.push("coming".to_owned());
    expected.sort();
    assert_eq!((truth(&stage), belief(&stage).await), (expected, before.clone()));

    lost_answers(&stage).await;

    // An instance that cannot be stopped is deleted when the grace period is over.
    let always = Some(Rate::ALWAYS);
    let faults = RequestFaults { error_rate: always, ..RequestFaults::default() };
    set_faults(&stage, Target::Operation(Operation::UpdateMachine), faults);
    stage.kubectl(&["delete", "pod", "stubborn", "--wait=false"]).await;
    until_asked(&stage, Operation::UpdateMachine, 1).await;
    until_gone(&stage, "stubborn").await;
    set_sound(&stage);

    // A pod is deleted while nobody looks.
    assert!(stage.kubelets[0].stop("TERM").await.unwrap().success());
    stage.kubectl(&["delete", "pod", "orphan", "--force", "--grace-period=0"]).await;
    assert!(truth(&stage).contains(&"orphan".to_owned()));
    stage.start_kubelet(&flags).await;
    stage.until("the orphan is gone", async || !truth(&stage).contains(&"orphan".to_owned())).await;
    assert_eq!(belief(&stage).await, before, "after all that");

    refused_rules(&stage).await;
    silent(&mut stage).await;
    let left: BTreeSet<String> = truth(&stage).into_iter().collect();
    assert!(left.len() == 7 && left.contains("coming") && left.contains("torn"), "{left:?}");
}

/// CloudAPI answers nothing but errors: no pod changes, and what is asked of the kubelet meanwhile waits.
async fn down(stage: &Stage, before: &str) {
    let faults = RequestFaults { unavailable_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    set_faults(stage, Target::All, faults);
    stage.simulator.control().cut_feeds();
    stage.kubectl(&["delete", "pod", "leaving", "--wait=false"]).await;
    stage.apply(&pod("coming", 30)).await;
    for operation in [Operation::ListMachines, Operation::CreateMachine, Operation::DeleteMachine] {
        until_asked(stage, operation, 1).await;
    }
    assert_eq!(belief(stage).await, before);
    assert_eq!(stage.field("pod/leaving", "{.status.phase}").await, "Running");
    assert_eq!(stage.field("pod/coming", "{.status.phase}").await, "Pending");
    assert_eq!(truth(stage).len(), 6);
}

/// CloudAPI answers again, but its lists are empty: instances that are not listed are not gone, so nobody buries or
/// repeats them, and nothing is taken for an orphan.
async fn blind(stage: &Stage, before: &str) {
    let faults = RequestFaults { missing_row_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    set_faults(stage, Target::Operation(Operation::ListMachines), faults);
    stage.simulator.control().cut_feeds();
    until_asked(stage, Operation::ListMachines, 2).await;
    stage
        .until("the pod that came during the outage has its instance", async || {
            truth(stage).contains(&"coming".to_owned())
        })
        .await;
    assert_eq!(belief(stage).await, before);
    assert_eq!(truth(stage).iter().filter(|pod| *pod != "leaving").count(), 6);
}

/// Instances are made, but the answers to the creates are errors, or are torn: one instance for each pod.
async fn lost_answers(stage: &Stage) {
    let always = Some(Rate::ALWAYS);
    let refused = RequestFaults { error_rate: always, applied: Some(true), ..RequestFaults::default() };
    let torn = RequestFaults { torn_rate: always, ..RequestFaults::default() };
    for (name, faults) in [("refused", refused), ("torn", torn)] {
        set_faults(stage, Target::Operation(Operation::CreateMachine), faults);
        stage.apply(&pod(name, 1)).await;
        stage.until_field(&format!("pod/{name}"), "{.status.phase}", "Running").await;
        assert_eq!(truth(stage).iter().filter(|pod| *pod == name).count(), 1, "{name}");
    }
    set_sound(stage);
}

/// A firewall rule is refused: the pod that needs it says so, and runs all the same; the rule is made later.
async fn refused_rules(stage: &Stage) {
    let faults = RequestFaults { error_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    set_faults(stage, Target::Operation(Operation::CreateFirewallRule), faults);
    stage.apply(&pod("open", 1).replace("base-64-lts", "base-64-lts, ports: [{containerPort: 8082}]")).await;
    let message = stage.until_event("default", "open", "FailedFirewallRule").await;
    assert!(message.contains("could not be made"), "{message}");
    stage.until_field("pod/open", "{.status.phase}", "Running").await;
    set_sound(stage);
    let made = async || stage.rules().await.iter().any(|rule| rule.rule.contains("8082"));
    stage.until("the rule is made", made).await;
}

/// CloudAPI is silent for longer than the node's grace: the node is not ready, and its pods are not evicted for that,
/// whenever the silence ends.
async fn silent(stage: &mut Stage) {
    assert!(stage.kubelets.last_mut().unwrap().stop("TERM").await.unwrap().success());
    stage.start_kubelet(&["--cloudapi-grace=2s"]).await;
    let end = "{.spec.tolerations[?(@.key==\"node.kubernetes.io/not-ready\")].tolerationSeconds}";
    assert_eq!(stage.field("pod/coming", end).await, "300");
    let pods = uids(stage).await;
    let node = "{.status.conditions[?(@.type==\"Ready\")].status}";
    let faults = RequestFaults { unavailable_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    set_faults(stage, Target::All, faults);
    stage.simulator.control().cut_feeds();
    stage.until_field(&format!("node/{NODE}"), node, "False").await;
    stage.until_field("pod/coming", end, "").await;
    set_sound(stage);
    stage.until_field(&format!("node/{NODE}"), node, "True").await;
    stage.until_field("deployment/web", "{.status.readyReplicas}", "3").await;
    assert_eq!(uids(stage).await, pods, "the same pods as before");
}

async fn until_gone(stage: &Stage, pod: &str) {
    stage
        .until(&format!("pod {pod} and its instance are gone"), async || {
            let object = stage.field(&format!("pod/{pod}"), "{.metadata.name}").await;
            object.is_empty() && !truth(stage).contains(&pod.to_owned())
        })
        .await;
}
