//! Pods, and the requests that make their instances.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalog::testing::{catalog, id};
use crate::pod::env::{Known, Outcome, Sources, resolve};
use crate::pod::testing::{container, manifest, plain};
use crate::pod::{FirewallDemand, group_tag, ports_tag};
use k8s_openapi::api::core::v1::Pod;

fn desired(pod: &Pod, catalog: &Catalog) -> Result<Desired, Refusal> {
    let demand = Demand::read(pod, "kubernetes", "triton").unwrap();
    let sources = Sources { services: Some(Vec::new()), ..Sources::default() };
    let Outcome::Complete(environment) = resolve(pod, &sources, &Known::default()).outcome else {
        panic!("the environment is not complete");
    };
    Desired::resolve(demand, catalog, environment)
}

fn body(desired: &Desired) -> Value {
    serde_json::to_value(&desired.request).unwrap()
}

#[test]
fn the_manifest_makes_exactly_this_request() {
    let desired = desired(&manifest(), &catalog()).unwrap();
    let FirewallDemand { ports, .. } = &desired.demand.firewall;
    assert_eq!(
        body(&desired),
        json!({
            "name": desired.demand.instance_name,
            "package": "b87c2a29-6b6a-6d19-ea65-aa81e680002c",
            "image": "7b5981c4-1889-11e7-b4c5-3f3bdfc9b88b",
            "networks": ["17d7aa50-6ad9-4e56-93b7-12dc868fac2a", "a0ae9499-b476-4fef-9861-d0c25029378d"],
            "firewall_enabled": true,
            "tag.app": "ubuntu",
            "tag.pod-template-hash": "6d5f7c9b4",
            "tag.triton.cns.services": "ubuntu",
            "tag.k8s.cluster": "kubernetes",
            "tag.k8s.node": "triton",
            "tag.k8s.namespace": "default",
            "tag.k8s.pod": "ubuntu-6d5f7c9b4-x2x7k",
            "tag.k8s.uid": "5f0c9a34-6f5d-4a2b-9a7e-0c3f8d1b2a10",
            "tag.k8s.ports": ports_tag("kubernetes", ports).unwrap(),
            "tag.k8s.group": group_tag("kubernetes", "default", "ubuntu"),
            "tag.k8s.labels": "app,pod-template-hash,triton.cns.services",
            "tag.triton.cmon.groups": "k8s-kubernetes",
            "metadata.user-data": r#"{"env_vars":{"bar":"baz","foo":"bar"}}"#,
            "metadata.k8s:applied": format!(r#"{{"env":"{}"}}"#, desired.environment.names_digest()),
            "metadata.triton.cns.status": "down",
        })
    );
    assert_eq!(desired.warnings, []);
}

#[test]
fn a_pod_without_wishes_makes_exactly_this_request() {
    let pod = container(&json!({"image": "base"}));
    let desired = desired(&pod, &Catalog { default_network: Some(id(24)), ..catalog() }).unwrap();
    assert_eq!(
        body(&desired),
        json!({
            "name": desired.demand.instance_name,
            "package": "00000000-0000-0000-0000-000000000001",
            "image": "00000000-0000-0000-0000-00000000000c",
            "networks": ["00000000-0000-0000-0000-000000000018"],
            "tag.k8s.cluster": "kubernetes",
            "tag.k8s.node": "triton",
            "tag.k8s.namespace": "default",
            "tag.k8s.pod": "web",
            "tag.k8s.uid": "5f0c9a34-6f5d-4a2b-9a7e-0c3f8d1b2a10",
            "tag.k8s.resources": "cpu=0m,memory=0,storage=0",
            "tag.triton.cmon.groups": "k8s-kubernetes",
        })
    );
}

#[rstest]
#[case::nothing_to_wait_for(json!({}), None)]
#[case::a_readiness_probe(json!({"containers": [{"name": "web", "image": "base", "readinessProbe": {}}]}), Some("down"))]
#[case::a_startup_probe(json!({"containers": [{"name": "web", "image": "base", "startupProbe": {}}]}), Some("down"))]
#[case::a_readiness_gate(json!({"readinessGates": [{"conditionType": "example.com/a"}]}), Some("down"))]
fn an_instance_begins_outside_of_dns_where_readiness_must_be_earned(
    #[case] spec: Value,
    #[case] status: Option<&str>,
) {
    let pod =
        plain(&[json!({"spec": {"containers": [{"name": "web", "image": "base"}]}}), json!({"spec": spec})]);
    let catalog = Catalog { default_network: Some(id(24)), ..catalog() };
    let desired = desired(&pod, &catalog).unwrap();
    assert_eq!(desired.request.metadata.get("triton.cns.status"), status);
}

#[rstest]
#[case::image(json!({}), "nobody", RefusalReason::Image)]
#[case::package(json!({"package": "nobody"}), "base", RefusalReason::Package)]
#[case::package_for_image(json!({"package": "nano"}), "hvm", RefusalReason::Package)]
#[case::network(json!({"networks": "nobody"}), "base", RefusalReason::Network)]
#[case::pod_network(json!({"networks": "fabric", "pod-network": "private"}), "base", RefusalReason::Network)]
fn what_is_not_there_is_refused(
    #[case] annotations: Value,
    #[case] image: &str,
    #[case] reason: RefusalReason,
) {
    let mut pod = container(&json!({"image": image}));
    pod.metadata.annotations = serde_json::from_value(annotations).unwrap();
    assert_eq!(desired(&pod, &catalog()).unwrap_err().reason, reason);
}

#[test]
fn switches_and_rules_are_in_the_request() {
    let annotations = json!({"annotations": {
        "delprotect": "true", "fwenabled": "false", "affinity": "role!=db", "user-script": "#!/bin/sh",
        "networks": "fabric, external", "pod-network": "external",
    }});
    let pod = plain(&[
        json!({"metadata": annotations, "spec": {"containers": [{"name": "web", "image": "base"}]}}),
    ]);
    let desired = desired(&pod, &catalog()).unwrap();
    let body = body(&desired);
    assert_eq!(body["deletion_protection"], json!(true));
    assert_eq!(body["firewall_enabled"], json!(false));
    assert_eq!(body["affinity"], json!(["role!=db"]));
    assert_eq!(body["metadata.user-script"], json!("#!/bin/sh"));
    assert_eq!(body["metadata.k8s:applied"], json!(r#"{"metadata":["user-script"]}"#));
    assert_eq!(desired.pod_network, Some(id(21)));
}

#[test]
fn an_image_of_somebody_else_that_is_not_public_is_asked_for_as_shared() {
    let mut catalog = catalog();
    let shared = json!({"name": "mine", "version": "1", "type": "zone-dataset", "public": false, "owner": id::<uuid::Uuid>(7)});
    catalog.images.push(std::sync::Arc::new(crate::catalog::testing::image(15, shared)));
    let pod = container(&json!({"image": "mine"}));
    assert_eq!(desired(&pod, &catalog).unwrap().request.allow_shared_images, Some(true));
    catalog.account = id(7);
    assert_eq!(desired(&pod, &catalog).unwrap().request.allow_shared_images, None);
}

#[test]
fn an_annotation_user_data_wins_over_the_environment() {
    let mut pod = container(&json!({"image": "base", "env": [{"name": "A", "value": "1"}]}));
    pod.metadata.annotations = serde_json::from_value(json!({"user-data": "#cloud-config"})).unwrap();
    let desired = desired(&pod, &catalog()).unwrap();
    assert_eq!(body(&desired)["metadata.user-data"], json!("#cloud-config"));
    assert!(desired.warnings[0].message.contains("takes the place of"), "{:?}", desired.warnings);
}

#[test]
fn a_named_package_that_lacks_something_is_taken_with_a_warning() {
    let mut pod =
        container(&json!({"image": "base", "resources": {"limits": {"memory": "1Gi", "cpu": "9"}}}));
    pod.metadata.annotations = serde_json::from_value(json!({"package": "nano"})).unwrap();
    let desired = desired(&pod, &catalog()).unwrap();
    assert_eq!(
        desired.warnings[0].message,
        "package nano has cpu 250m, memory 512 MiB, disk 10 GiB, the container asks for cpu 9, memory 1 GiB, disk 0"
    );
}

#[test]
fn a_request_that_is_too_large_is_refused_with_its_size_and_the_limit() {
    let pod = |length: usize| {
        container(&json!({"image": "base", "env": [{"name": "A", "value": "x".repeat(length)}]}))
    };
    let small = desired(&pod(1000), &catalog()).unwrap().request.body_bytes();
    let room = MAX_BODY_BYTES - small + 1000;
    assert_eq!(desired(&pod(room), &catalog()).unwrap().request.body_bytes(), MAX_BODY_BYTES);
    let refusal = desired(&pod(room + 1), &catalog()).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::TooLarge);
    let size = format!("has {} bytes, of which the metadata user-data is {}", MAX_BODY_BYTES + 1, room + 22);
    assert!(
        refusal.message.contains(&size) && refusal.message.contains("CloudAPI takes 100000"),
        "{refusal}"
    );
}

#[test]
fn nothing_secret_is_printed() {
    let pod = container(&json!({"image": "base", "env": [{"name": "PASSWORD", "value": "hunter2"}]}));
    let printed = format!("{:?}", desired(&pod, &catalog()).unwrap());
    assert!(printed.contains("PASSWORD") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn the_capacity_of_a_pod_is_that_of_its_package() {
    let demand = |pod: &Pod| Demand::read(pod, "kubernetes", "triton").unwrap();
    let capacity = catalog().capacity_of(&demand(&container(&json!({"image": "hvm"}))));
    assert_eq!((capacity.cpu_millis, capacity.memory_bytes), (1000, 2 << 30));
    assert_eq!(catalog().capacity_of(&demand(&container(&json!({"image": "nobody"})))), Default::default());
}
