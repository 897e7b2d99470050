//! CMON: the cluster's group, and what Prometheus is told.

use std::collections::BTreeMap;

use cloud_controllers::controller::{Kind, RouteSettings};
use serde::Deserialize;
use serde_json::json;
use triton::types::{CreateInstance, InstanceState, TagValue, Tags};

use super::stage::Stage;

const KINDS: [Kind; 3] = [Kind::Node, Kind::NodeLifecycle, Kind::Metrics];

/// What Prometheus' own client of HTTP service discovery takes: it refuses what is not exactly this.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

async fn groups(stage: &Stage, id: triton::id::InstanceId) -> Option<String> {
    stage.instance(id).await.tags.get("triton.cmon.groups").and_then(TagValue::as_str).map(str::to_owned)
}

#[tokio::test]
async fn nodes_are_in_the_clusters_group_and_prometheus_finds_them_and_pods() {
    let mut stage = Stage::set().await;
    let (first, second, stranger) =
        (stage.machine("m1").await, stage.machine("m2").await, stage.machine("db").await);
    let foreign: Tags = [("triton.cmon.groups".to_owned(), "web,db".into())].into();
    stage.account.add_tags(first.id, &foreign).await.unwrap();
    let pod = ["cluster", "node", "namespace", "pod", "uid"].into_iter();
    let pod = pod.zip(["kubernetes", "virtual", "shop", "web-0", "u"]);
    let tags: Tags = pod.map(|(key, value)| (format!("k8s.{key}"), value.into())).collect();
    let request = CreateInstance { tags, ..CreateInstance::new("g1.micro", stage.simulator.ids().base_64) };
    let pod = stage.account.create_instance(&request).await.unwrap().id;
    let discovery = stage.start(KINDS, RouteSettings::default()).await.unwrap();
    stage.register("n1", &first.id.to_string(), json!({})).await;
    stage.register("n2", &second.id.to_string(), json!({})).await;

    // Groups of others stay, and strangers are not touched.
    for (id, expected) in [(first.id, "web,db,k8s-kubernetes"), (second.id, "k8s-kubernetes")] {
        stage
            .until("it is in the group", async || groups(&stage, id).await.as_deref() == Some(expected))
            .await;
    }
    assert_eq!((groups(&stage, stranger.id).await, groups(&stage, pod).await), (None, None));

    // What Prometheus is told is what it takes, and is where CMON answers.
    let told = || -> Vec<TargetGroup> {
        discovery.json().map(|json| serde_json::from_str(&json).unwrap()).unwrap_or_default()
    };
    let labels = |id: triton::id::InstanceId| {
        let found =
            told().into_iter().find(|group| group.labels["__meta_triton_machine_id"] == id.to_string());
        found.map(|group| {
            let label = |key: &str| group.labels.get(key).cloned().unwrap_or_default();
            assert_eq!(group.targets.len(), 1);
            format!(
                "{}|{}|{} {}",
                label("node"),
                label("namespace"),
                label("pod"),
                label("__meta_triton_groups")
            )
        })
    };
    for (id, expected) in [
        (first.id, "n1|| ,web,db,k8s-kubernetes,"),
        (second.id, "n2|| ,k8s-kubernetes,"),
        (pod, "virtual|shop|web-0 "),
    ] {
        stage.until(expected, async || labels(id).as_deref() == Some(expected)).await;
    }
    assert_eq!(labels(stranger.id), None);
    let cmon = stage.simulator.cmon().unwrap();
    let host = cmon.url().replace("https://", "");
    assert!(told().iter().all(|group| group.targets[0].ends_with(&format!(".{host}"))), "{:?}", told());

    // Who is no Node any more, and whose machine stops.
    stage.nodes.delete("n1", &Default::default()).await.unwrap();
    stage.until("it has left", async || groups(&stage, first.id).await.as_deref() == Some("web,db")).await;
    stage.account.stop_instance(second.id).await.unwrap();
    stage.until("it is not measured", async || labels(second.id).is_none()).await;
    assert_eq!(stage.instance(second.id).await.state, InstanceState::Stopped);
}
