//! What pods make of instances, carried out in the simulated data centre.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use triton::Client;
use triton::types::Instance;
use virtual_kubelet::catalog::Catalog;
use virtual_kubelet::lifecycle::Step;
use virtual_kubelet::pod::drift::{CnsTags, plan};
use virtual_kubelet::pod::env::{Known, Outcome, Sources, resolve};
use virtual_kubelet::pod::{Demand, Desired};

use crate::catalog::{BOUND, Kept, client, start, wait_for};

fn pod(annotations: Value, labels: Value, memory: &str) -> Pod {
    let pod = json!({
        "metadata": {
            "name": "web", "namespace": "default", "uid": "5f0c9a34-6f5d-4a2b-9a7e-0c3f8d1b2a10",
            "annotations": annotations, "labels": labels,
        },
        "spec": {"containers": [{
            "name": "web", "image": "base-64-lts", "ports": [{"containerPort": 80}],
            "env": [{"name": "MODE", "value": "fast"}], "resources": {"limits": {"memory": memory}},
        }]},
    });
    serde_json::from_value(pod).unwrap()
}

fn desired(pod: &Pod, catalog: &Catalog) -> Desired {
    let demand = Demand::read(pod, "kubernetes", "triton").unwrap();
    let sources = Sources { services: Some(Vec::new()), ..Sources::default() };
    match resolve(pod, &sources, &Known::default()).outcome {
        Outcome::Complete(environment) => Desired::resolve(demand, catalog, environment).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn settled(kept: &Kept, client: &Client, instance: &Instance) -> Instance {
    assert!(kept.simulator.control().settle(BOUND).await);
    client.get_instance(instance.id).await.unwrap().into_instance()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_follows_its_pod() {
    let kept = start().await;
    let client = client(&kept.simulator).await;
    let catalog = wait_for(&kept.keeper, |_| true).await;

    let annotations = json!({"fwenabled": "true", "fwgroup": "web", "user-script": "#!/bin/sh"});
    let labels =
        json!({"app.kubernetes.io/name": "web", "triton.cns.services": "web", "triton.cns.disable": "false"});
    let first = desired(&pod(annotations, labels, "512Mi"), &catalog);
    let made = client.create_instance(&first.request).await.unwrap();
    let made = settled(&kept, &client, &made).await;
    assert!(made.state.is_running(), "{}", made.state);
    assert_eq!((made.package.as_deref(), made.firewall_enabled), (Some("g1.nano"), true));
    assert_eq!(made.tags, first.request.tags);
    assert_eq!(plan(&first, &made, CnsTags::Here).steps, []);

    let annotations = json!({"fwenabled": "false", "delprotect": "true", "tritondatacenter.com/metadata": "{\"cloud-init:user-data\": \"#\"}"});
    let second = desired(&pod(annotations, json!({"app": "web"}), "1Gi"), &catalog);
    for step in plan(&second, &made, CnsTags::Here).steps {
        match &step {
            Step::Act { id, action } => client.act_on_instance(*id, action).await.map(drop).unwrap(),
            Step::AddTags { id, tags } => client.add_tags(*id, tags).await.map(drop).unwrap(),
            Step::RemoveTag { id, key } => client.delete_tag(*id, key).await.unwrap(),
            Step::AddMetadata { id, metadata } => client.add_metadata(*id, metadata).await.map(drop).unwrap(),
            Step::RemoveMetadata { id, key } => client.delete_metadata(*id, key).await.unwrap(),
            other => panic!("{other:?}"),
        }
    }
    let followed = settled(&kept, &client, &made).await;
    assert_eq!(plan(&second, &followed, CnsTags::Here).steps, []);
    assert_eq!((followed.package.as_deref(), followed.firewall_enabled), (Some("g1.micro"), false));
    assert!(followed.deletion_protection);
    assert_eq!(followed.tags, second.request.tags);
    assert_eq!(followed.metadata.get("cloud-init:user-data"), Some("#"));
    assert!(!followed.metadata.contains_key("user-script"));
}
