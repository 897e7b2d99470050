//! Services of type LoadBalancer whose pods run here: CNS answers with the pods that are ready.

use triton::types::{CreateInstance, Metadata, TagValue, Tags};

use super::stage::Stage;

/// What the Services and pods of this scenario are in.
const NAMESPACE: &str = "shop";

fn service(name: &str, more: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80, targetPort: web}}]{more}}}
---
"
    )
}

fn pod(name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {NAMESPACE}, labels: {{app: web}}, annotations: {{sim.ports: "http:80"}}}}
spec:
  nodeSelector: {{type: virtual-kubelet}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
  containers:
  - name: main
    image: base-64-lts
    ports: [{{containerPort: 80, name: web}}]
    readinessProbe: {{httpGet: {{port: web, path: /readyz}}, periodSeconds: 1, failureThreshold: 1}}
---
"#
    )
}

/// A Service is in CNS for as long as it is there, with the pods that it selects and that are ready; what others wrote
/// stays, and a name of others is not taken before it is free.
pub(super) async fn services_are_in_cns(stage: &Stage) {
    stage.kubectl(&["create", "namespace", NAMESPACE]).await;
    let mut foreign = CreateInstance::new("g1.nano", stage.simulator.ids().base_64);
    foreign.tags = Tags::from_iter([("triton.cns.services".to_owned(), TagValue::from("taken-shop"))]);
    let foreign = stage.account.create_instance(&foreign).await.unwrap().id;

    let cns = ", loadBalancerClass: tritondatacenter.com/cns";
    let other = ", loadBalancerClass: example.com/other";
    let manifest =
        [service("web", ""), service("classy", cns), service("other", other), pod("one"), pod("two")];
    stage.apply(&manifest.concat()).await;
    for name in ["one", "two"] {
        stage.until_field_in(NAMESPACE, &format!("pod/{name}"), "{.status.phase}", "Running").await;
    }
    stage.until_resolved("web-shop", NAMESPACE, &["one", "two"]).await;
    stage.until_resolved("classy-shop", NAMESPACE, &["one", "two"]).await;
    until_services(stage, "one", "classy-shop:80,web-shop:80").await;

    // Only pods that are ready are answered with.
    answer(stage, "two", "/readyz=503").await;
    stage.until_resolved("web-shop", NAMESPACE, &["one"]).await;
    answer(stage, "two", "/readyz=200").await;
    stage.until_resolved("web-shop", NAMESPACE, &["one", "two"]).await;

    // A pod that is not selected any more is in none.
    stage.kubectl(&["label", "pod", "two", "--namespace=shop", "app=other", "--overwrite"]).await;
    stage.until_resolved("web-shop", NAMESPACE, &["one"]).await;
    until_services(stage, "two", "").await;
    stage.kubectl(&["label", "pod", "two", "--namespace=shop", "app=web", "--overwrite"]).await;
    stage.until_resolved("classy-shop", NAMESPACE, &["one", "two"]).await;

    // What a person adds stays, whatever becomes of our entries.
    let id = stage.instance_of(NAMESPACE, "one").await.id;
    let by_hand = [("triton.cns.services", "mine:22,classy-shop:80,web-shop:80"), ("app", "edited")];
    let by_hand = by_hand.map(|(key, value)| (key.to_owned(), TagValue::from(value)));
    stage.account.add_tags(id, &Tags::from_iter(by_hand)).await.unwrap();
    stage
        .until("the kubelet has seen it: it puts the label's tag right", async || {
            let instance = stage.instance_of(NAMESPACE, "one").await;
            let tag = |key: &str| instance.tags.get(key).and_then(TagValue::as_str).unwrap_or_default();
            tag("triton.cns.services").starts_with("mine:22,") && tag("app") == "web"
        })
        .await;
    stage.kubectl(&["delete", "service", "classy", "--namespace=shop"]).await;
    stage.until_resolved("classy-shop", NAMESPACE, &[]).await;
    until_services(stage, "one", "mine:22,web-shop:80").await;
    stage.until_resolved("mine", NAMESPACE, &["one"]).await;

    // A name of others is reported, and taken when it is free.
    stage.apply(&service("taken", "")).await;
    let event = stage.until_event(NAMESPACE, "taken", "CNSNameConflict").await;
    assert!(event.contains("taken-shop") && event.contains("cns-service"), "{event}");
    until_services(stage, "one", "mine:22,web-shop:80").await;
    stage.account.delete_instance(foreign).await.unwrap();
    stage.until_resolved("taken-shop", NAMESPACE, &["one", "two"]).await;

    stage.kubectl(&["delete", "service", "web", "taken", "--namespace=shop"]).await;
    stage.until_resolved("web-shop", NAMESPACE, &[]).await;
    until_services(stage, "one", "mine:22").await;
    until_services(stage, "two", "").await;
    stage.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]).await;
    stage
        .until("the shop's instances are gone", async || stage.instances_of(NAMESPACE).await.is_empty())
        .await;
}

/// Waits until the instance of a pod has these entries.
async fn until_services(stage: &Stage, pod: &str, entries: &str) {
    stage
        .until(&format!("the instance of {pod} is in {entries:?}"), async || {
            let instance = stage.instance_of(NAMESPACE, pod).await;
            let tag = instance.tags.get("triton.cns.services").and_then(TagValue::as_str);
            tag.unwrap_or_default() == entries
        })
        .await;
}

/// Makes the guest's web server answer so.
async fn answer(stage: &Stage, pod: &str, statuses: &str) {
    let mut metadata = Metadata::new();
    metadata.insert("sim.http-status", statuses);
    let id = stage.instance_of(NAMESPACE, pod).await.id;
    stage.account.add_metadata(id, &metadata).await.unwrap();
}
