//! What pods can wish for: sizes, addresses, environments, protection, and how they are ended.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use triton::types::InstanceState;

use super::stage::Stage;

/// A pod with these annotations, fields in its spec, and fields in its container.
fn pod(namespace: &str, name: &str, annotations: &str, spec: &str, container: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, annotations: {{{annotations}}}}}
spec:
  nodeSelector: {{type: virtual-kubelet}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
  {spec}
  containers:
  - name: main
    image: base-64-lts
    {container}
"
    )
}

async fn until_running(stage: &Stage, namespace: &str, name: &str) {
    stage.until_field_in(namespace, &format!("pod/{name}"), "{.status.phase}", "Running").await;
}

async fn until_no_pod(stage: &Stage, namespace: &str, name: &str) {
    let object = format!("pod/{name}");
    stage
        .until(&format!("{object} is gone"), async || {
            stage.field_in(namespace, &object, "{.metadata.name}").await.is_empty()
        })
        .await;
}

/// A zone follows the resources of its pod, in place.
pub(super) async fn a_pod_is_resized_in_place(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "sizes"]).await;
    let resources = "resources: {requests: {memory: 300Mi}, limits: {memory: 400Mi}}";
    stage.apply(&pod("sizes", "grows", "", "", resources)).await;
    until_running(stage, "sizes", "grows").await;
    let before = stage.instance_of("sizes", "grows").await;
    assert_eq!(before.package.as_deref(), Some("g1.nano"));
    for (memory, package) in [("1500Mi", "g1.small"), ("400Mi", "g1.nano")] {
        let patch = format!(
            r#"--patch={{"spec":{{"containers":[{{"name":"main","resources":{{"limits":{{"memory":"{memory}"}}}}}}]}}}}"#
        );
        stage.kubectl(&["patch", "pod", "grows", "--namespace=sizes", "--subresource=resize", &patch]).await;
        stage
            .until(&format!("the package is {package}"), async || {
                stage.instance_of("sizes", "grows").await.package.as_deref() == Some(package)
            })
            .await;
    }
    assert_eq!(stage.instance_of("sizes", "grows").await.id, before.id);
    let restarts = "{.status.containerStatuses[0].restartCount}";
    assert_eq!(stage.field_in("sizes", "pod/grows", restarts).await, "0");
    stage.kubectl(&["delete", "namespace", "sizes", "--wait=false"]).await;
}

/// Services, resources, and references among variables are in the environment; one that is too large is refused.
pub(super) async fn environments_are_as_in_any_pod(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "variables"]).await;
    stage
        .apply(
            r"
apiVersion: v1
kind: Service
metadata: {name: my-db, namespace: variables}
spec: {selector: {app: none}, ports: [{name: sql, port: 5432}]}
",
        )
        .await;
    let container = r#"resources: {requests: {cpu: 10m, memory: 300Mi}, limits: {memory: 400Mi}}
    env:
    - {name: URL, value: "postgres://$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT)/$$(x)/$(unknown)"}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: DISK, valueFrom: {resourceFieldRef: {resource: limits.ephemeral-storage, divisor: 1Gi}}}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}"#;
    stage.apply(&pod("variables", "web", "", "", container)).await;
    let large = format!(r#"env: [{{name: LARGE, value: "{}"}}]"#, "x".repeat(110_000));
    stage.apply(&pod("variables", "large", "", "", &large)).await;

    until_running(stage, "variables", "web").await;
    let host = stage.field_in("variables", "service/my-db", "{.spec.clusterIP}").await;
    let kubernetes = stage.field("service/kubernetes", "{.spec.clusterIP}").await;
    let instance = stage.instance_of("variables", "web").await;
    let user_data: serde_json::Value =
        serde_json::from_str(instance.metadata.get("user-data").unwrap()).unwrap();
    for (name, value) in [
        ("URL", format!("postgres://{host}:5432/$(x)/$(unknown)")),
        ("MEMORY", "400".to_owned()),
        // Without a limit it is what the package g1.nano has.
        ("DISK", "10".to_owned()),
        ("POD", "web".to_owned()),
        ("NODE", "virtual-kubelet".to_owned()),
        ("MY_DB_SERVICE_HOST", host.clone()),
        ("MY_DB_SERVICE_PORT_SQL", "5432".to_owned()),
        ("MY_DB_PORT_5432_TCP_ADDR", host.clone()),
        ("KUBERNETES_SERVICE_HOST", kubernetes),
    ] {
        assert_eq!(user_data["env_vars"][name], value, "{name}");
    }

    let waiting = "{.status.phase} {.status.containerStatuses[0].state.waiting.reason}";
    stage.until_field_in("variables", "pod/large", waiting, "Pending InstanceTooLarge").await;
    let event = stage.until_event("variables", "large", "InstanceTooLarge").await;
    assert!(event.contains("100000") && event.contains(" bytes"), "no size or limit: {event}");
    assert!(!event.contains("xxx"), "the environment is nobody's business: {event}");
    assert_eq!(stage.instances_of("variables").await.len(), 1);
    stage.kubectl(&["delete", "namespace", "variables", "--wait=false"]).await;
}

/// The network that a pod names decides about its address.
pub(super) async fn a_pod_has_the_address_of_its_network(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "addresses"]).await;
    let networks = r#"networks: "sdc-private,Example-Fabric-Network""#;
    let named = format!("{networks}, tritondatacenter.com/pod-network: Example-Fabric-Network");
    stage.apply(&pod("addresses", "first", networks, "", "")).await;
    stage.apply(&pod("addresses", "named", &named, "", "")).await;
    for (name, prefix) in [("first", "10.112."), ("named", "172.20.")] {
        until_running(stage, "addresses", name).await;
        let ip = stage.field_in("addresses", &format!("pod/{name}"), "{.status.podIP}").await;
        assert!(ip.starts_with(prefix), "{name} has {ip}");
        let ip: IpAddr = ip.parse().unwrap();
        assert!(stage.instance_of("addresses", name).await.ips.contains(&ip));
    }
    stage.kubectl(&["delete", "namespace", "addresses", "--wait=false"]).await;
}

/// A protection that the pod asked for goes with the pod.
pub(super) async fn protection_ends_with_the_pod_that_asked_for_it(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "guarded"]).await;
    let annotation = r#"delprotect: "true""#;
    stage.apply(&pod("guarded", "asked", annotation, "terminationGracePeriodSeconds: 1", "")).await;
    until_running(stage, "guarded", "asked").await;
    let protected = stage.instance_of("guarded", "asked").await;
    assert!(protected.deletion_protection);
    stage.account.delete_instance(protected.id).await.unwrap_err();
    stage.kubectl(&["delete", "pod", "asked", "--namespace=guarded", "--wait=false"]).await;
    until_no_pod(stage, "guarded", "asked").await;
    assert!(stage.instances_of("guarded").await.is_empty());
    stage.kubectl(&["delete", "namespace", "guarded", "--wait=false"]).await;
}

/// Hooks run while the instance does, and the instance stops only after them.
pub(super) async fn hooks_come_before_the_stop(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "hooks"]).await;
    // Whoever is called by the hook is outside of the instance, which shows that it is called.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hook = format!(
        "lifecycle: {{preStop: {{httpGet: {{host: 127.0.0.1, port: {port}, path: /bye, httpHeaders: [{{name: X-A, value: b}}]}}}}}}"
    );
    stage.apply(&pod("hooks", "calls", "", "", &hook)).await;
    stage.apply(&pod("hooks", "sleeps", "", "", "lifecycle: {preStop: {sleep: {seconds: 1}}}")).await;
    stage.apply(&pod("hooks", "fails", "", "", "lifecycle: {preStop: {httpGet: {port: 9}}}")).await;
    for name in ["calls", "sleeps", "fails"] {
        until_running(stage, "hooks", name).await;
    }
    let delete = ["delete", "pod", "calls", "sleeps", "fails", "--namespace=hooks", "--wait=false"];
    stage.kubectl(&delete).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
    assert!(request.starts_with("get /bye http/1.1\r\n") && request.contains("x-a: b"), "{request}");
    // The hook is not over before it is answered, and till then nothing stops.
    until_no_pod(stage, "hooks", "sleeps").await;
    let instance = stage.instance_of("hooks", "calls").await;
    assert_eq!(instance.state, InstanceState::Running);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
    drop(stream);
    until_no_pod(stage, "hooks", "calls").await;
    until_no_pod(stage, "hooks", "fails").await;
    stage.until_event("hooks", "fails", "FailedPreStopHook").await;
    for name in ["calls", "sleeps"] {
        let selector = format!("--field-selector=involvedObject.name={name},reason=FailedPreStopHook");
        let events = stage.kubectl(&["get", "events", "--namespace=hooks", "--output=name", &selector]).await;
        assert!(events.is_empty(), "{name}: {events}");
    }
    assert!(stage.instances_of("hooks").await.is_empty());
    stage.kubectl(&["delete", "namespace", "hooks", "--wait=false"]).await;
}

/// An instance that somebody deletes makes its pod fail, and its ReplicaSet makes another.
pub(super) async fn a_deleted_instance_is_replaced(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "lost"]).await;
    stage
        .apply(
            r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: lost}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {type: virtual-kubelet}
      tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
      containers: [{name: main, image: base-64-lts}]
",
        )
        .await;
    stage.until_field_in("lost", "deployment/web", "{.status.readyReplicas}", "1").await;
    let before = stage.instances_of("lost").await[0].clone();
    let name = before.tags.get("k8s.pod").unwrap().as_str().unwrap();
    stage.account.delete_instance(before.id).await.unwrap();
    let status = "{.status.phase} {.status.reason}";
    stage.until_field_in("lost", &format!("pod/{name}"), status, "Failed InstanceDeleted").await;
    stage.until_field_in("lost", "deployment/web", "{.status.readyReplicas}", "1").await;
    let after = stage.instances_of("lost").await;
    assert!(after.len() == 1 && after[0].id != before.id, "{after:#?}");
    stage.kubectl(&["delete", "namespace", "lost", "--wait=false"]).await;
    stage
        .until("no pod is left, of those that failed either", async || {
            stage.kubectl(&["get", "pods", "--namespace=lost", "--output=name"]).await.is_empty()
        })
        .await;
}
