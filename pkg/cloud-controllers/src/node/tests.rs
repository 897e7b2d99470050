use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::Instant;
use triton::types::Instance;

use super::labels::Place;
use super::plan::{ASK_AGAIN, Memory, Observed, Plan, Step, UNMATCHED_GRACE, plan};
use crate::identity::{Evidence, Identity, Mismatch};
use crate::instances::{Known, Seen};
use crate::networks::{Reach, Reaches};

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
const FABRIC: &str = "00000000-0000-4000-8000-000000000002";

fn instance(difference: &Value) -> Instance {
    let mut instance = json!({
        "id": ID, "name": "n1", "state": "running", "brand": "bhyve", "package": "b1.medium",
        "nics": [{"mac": "90:b8:d0:00:00:01", "network": FABRIC, "ip": "10.0.0.5", "primary": true}],
    });
    merge(&mut instance, difference);
    serde_json::from_value(instance).unwrap()
}

fn merge(value: &mut Value, difference: &Value) {
    for (key, new) in difference.as_object().unwrap() {
        match (value.get_mut(key), new) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, new),
            _ => value[key] = new.clone(),
        }
    }
}

/// A Node as its kubelet registers it.
fn fresh() -> Value {
    json!({
        "metadata": {"name": "n1", "uid": "u", "labels": {"mine": "1"}},
        "spec": {"taints": [
            {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
        ]},
        "status": {"addresses": [{"type": "Hostname", "address": "n1"}]},
    })
}

/// The same after initialisation.
fn initialised() -> Value {
    json!({
        "metadata": {"name": "n1", "uid": "u", "labels": {
            "mine": "1",
            "node.kubernetes.io/instance-type": "b1.medium", "beta.kubernetes.io/instance-type": "b1.medium",
            "topology.kubernetes.io/zone": "dc1", "failure-domain.beta.kubernetes.io/zone": "dc1",
            "topology.kubernetes.io/region": "dc", "failure-domain.beta.kubernetes.io/region": "dc",
            "tritondatacenter.com/brand": "bhyve", "tritondatacenter.com/package": "b1.medium",
        }},
        "spec": {"providerID": format!("triton://dc1/{ID}"), "taints": []},
        "status": {"addresses": [
            {"type": "InternalIP", "address": "10.0.0.5"}, {"type": "Hostname", "address": "n1"},
        ]},
    })
}

struct Scene {
    node: Value,
    identity: Identity,
    known: Known,
    networks: Reaches,
    memory: Memory,
    now: Instant,
}

impl Scene {
    fn new(node: Value, identity: Identity, difference: &Value) -> Self {
        let now = Instant::now();
        let seen = Seen { instance: Arc::new(instance(difference)), doubted: false, as_of: now };
        let networks = [(FABRIC.parse().unwrap(), Reach::Private)].into();
        Self { node, identity, known: Known::Present(seen), networks, memory: Memory::default(), now }
    }

    /// A Node that waits to be initialised.
    fn joining() -> Self {
        Self::new(fresh(), Identity::Found(ID.parse().unwrap(), Evidence::SystemUuid), &json!({}))
    }

    /// A Node that is initialised, whose instance differs from what the Node says.
    fn settled(difference: &Value) -> Self {
        Self::new(initialised(), Identity::Named(ID.parse().unwrap()), difference)
    }

    fn plan(&self) -> Plan {
        let node: Node = serde_json::from_value(self.node.clone()).unwrap();
        let place = Place { datacenter: "dc1".into(), zone: "dc1".into(), region: "dc".into() };
        plan(&Observed {
            node: &node,
            identity: &self.identity,
            known: &self.known,
            networks: &self.networks,
            place: &place,
            memory: self.memory,
            now: self.now,
            wall: Timestamp::UNIX_EPOCH,
        })
    }
}

/// A step as text, for tables.
fn text(step: &Step) -> String {
    match step {
        Step::LearnNetworks(ids) => format!("learn {}", ids.len()),
        Step::Recheck(_) => "recheck".to_owned(),
        Step::PatchStatus { addresses, condition } => {
            let addresses =
                addresses.as_ref().map(|all| all.iter().map(|it| it.address.as_str()).collect::<Vec<_>>());
            let condition = condition.as_ref().map(|it| it.status.as_str());
            format!("status {addresses:?} {condition:?}")
        }
        Step::PatchNode { labels, provider_id, taints } => {
            let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let taints = taints.as_ref().map(|all| all.iter().map(|it| it.key.as_str()).collect::<Vec<_>>());
            format!("node [{}] {provider_id:?} {taints:?}", labels.join(" "))
        }
    }
}

fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(text).collect()
}

#[tokio::test]
async fn addresses_come_before_the_taint_goes() {
    let plan = Scene::joining().plan();
    assert_eq!(
        texts(&plan),
        [
            "status Some([\"10.0.0.5\", \"n1\"]) None".to_owned(),
            format!(
                "node [beta.kubernetes.io/instance-type=b1.medium failure-domain.beta.kubernetes.io/region=dc \
                 failure-domain.beta.kubernetes.io/zone=dc1 node.kubernetes.io/instance-type=b1.medium \
                 topology.kubernetes.io/region=dc topology.kubernetes.io/zone=dc1 tritondatacenter.com/brand=bhyve \
                 tritondatacenter.com/package=b1.medium] Some(\"triton://dc1/{ID}\") \
                 Some([\"node.kubernetes.io/not-ready\"])"
            ),
        ]
    );
    assert_eq!(plan.done.unwrap().text, "Node synced successfully");
    assert_eq!((plan.notes, plan.again), (vec![], None));
}

#[rstest]
#[case::nothing(json!({}), &[])]
#[case::resized(
    json!({"package": "b1.large"}),
    &["node [beta.kubernetes.io/instance-type=b1.large node.kubernetes.io/instance-type=b1.large \
       tritondatacenter.com/package=b1.large] None None"]
)]
#[case::migrated(
    json!({"compute_node": FABRIC}),
    &["node [tritondatacenter.com/compute-node=00000000-0000-4000-8000-000000000002] None None"]
)]
#[case::a_nic_more(
    json!({"nics": [
        {"mac": "90:b8:d0:00:00:01", "network": FABRIC, "ip": "10.0.0.5", "primary": true},
        {"mac": "90:b8:d0:00:00:02", "network": FABRIC, "ip": "10.0.0.6"},
    ]}),
    &["status Some([\"10.0.0.5\", \"10.0.0.6\", \"n1\"]) None"]
)]
#[case::no_addresses(json!({"nics": []}), &[])]
#[case::no_package(json!({"package": ""}), &[])]
#[case::failed(json!({"state": "failed", "package": "b1.large"}), &[])]
#[tokio::test]
async fn what_changes_is_refreshed_for_life_and_what_the_cloud_does_not_say_stays(
    #[case] difference: Value,
    #[case] expected: &[&str],
) {
    let plan = Scene::settled(&difference).plan();
    assert_eq!(texts(&plan), expected);
    assert_eq!((plan.notes, plan.done), (vec![], None));
}

#[tokio::test]
async fn labels_that_somebody_changed_become_true_again() {
    let mut scene = Scene::settled(&json!({}));
    scene.node["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!("elsewhere");
    assert_eq!(texts(&scene.plan()), ["node [topology.kubernetes.io/zone=dc1] None None"]);
}

#[tokio::test]
async fn a_node_is_not_initialised_without_an_address() {
    let mut scene = Scene::joining();
    scene.known = Scene::settled(&json!({"nics": []})).known;
    let plan = scene.plan();
    assert_eq!(texts(&plan), Vec::<String>::new());
    assert_eq!((plan.notes[0].reason, plan.done), ("NoAddresses", None));
    assert!(plan.again.is_some());
}

#[tokio::test]
async fn networks_are_learnt_first() {
    let mut scene = Scene::joining();
    scene.networks.clear();
    assert_eq!(texts(&scene.plan()), ["learn 1"]);
}

#[tokio::test]
async fn a_wrong_node_ip_is_told_and_blocks_nothing_and_is_taken_back() {
    let mut scene = Scene::joining();
    scene.node["metadata"]["annotations"] = json!({"alpha.kubernetes.io/provided-node-ip": "10.0.0.9"});
    let plan = scene.plan();
    assert_eq!(texts(&plan)[0], "status Some([\"10.0.0.5\", \"n1\"]) Some(\"True\")");
    assert!(plan.done.is_some());
    assert_eq!(plan.notes[0].reason, "ProvidedNodeIPMismatch");
    for part in ["10.0.0.9", "10.0.0.5"] {
        assert!(plan.notes[0].text.contains(part), "{}", plan.notes[0].text);
    }
    let Step::PatchStatus { condition: Some(condition), .. } = &plan.steps[0] else { panic!("no condition") };

    let mut scene = Scene::settled(&json!({}));
    scene.node["status"]["conditions"] = json!([condition]);
    scene.node["metadata"]["annotations"] = json!({"alpha.kubernetes.io/provided-node-ip": "10.0.0.9"});
    assert_eq!(texts(&scene.plan()), Vec::<String>::new(), "said once");
    scene.node["metadata"]["annotations"] = json!({});
    assert_eq!(texts(&scene.plan()), ["status None Some(\"False\")"]);
}

#[tokio::test]
async fn the_provider_id_is_never_changed() {
    let mut scene = Scene::joining();
    let given = format!("triton:///{ID}");
    scene.node["spec"]["providerID"] = json!(given);
    scene.identity = Identity::Named(ID.parse().unwrap());
    let plan = scene.plan();
    let Step::PatchNode { provider_id, .. } = &plan.steps[1] else { panic!("no patch") };
    assert_eq!(*provider_id, None);
}

#[rstest]
#[case::foreign(Identity::Foreign)]
#[case::unmatched(Identity::Unmatched(Mismatch::Nothing { system_uuid: None }))]
#[tokio::test]
async fn nodes_that_are_not_ours_are_not_written(#[case] identity: Identity) {
    let mut scene = Scene::joining();
    scene.identity = identity;
    assert_eq!(scene.plan().steps, []);
}

#[rstest]
#[case::gone(Known::Gone { proof: triton::reflector::Proof::Destroyed, at: Instant::now() })]
#[case::unknown(Known::Unknown)]
#[tokio::test]
async fn a_node_without_a_living_instance_is_not_written(#[case] known: Known) {
    let mut scene = Scene::settled(&json!({}));
    scene.known = known;
    assert_eq!(scene.plan(), Plan::default());
}

#[tokio::test]
async fn a_node_on_its_way_out_is_not_written() {
    let mut scene = Scene::settled(&json!({"package": "b1.large"}));
    scene.node["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(scene.plan(), Plan::default());
}

#[tokio::test]
async fn an_instance_that_is_not_known_is_asked_for_seldom_and_told_about_after_a_while() {
    let mut scene = Scene::joining();
    let start = scene.now;
    scene.identity = Identity::Unmatched(Mismatch::Nothing { system_uuid: Some(ID.parse().unwrap()) });
    let (mut asked, mut told) = (Vec::new(), None);
    while scene.now < start + Duration::from_secs(900) {
        let plan = scene.plan();
        let at = (scene.now - start).as_secs();
        if !plan.steps.is_empty() {
            assert_eq!(texts(&plan), ["recheck"]);
            asked.push(at);
        }
        if !plan.notes.is_empty() {
            told = told.or(Some(at));
        }
        scene.memory = plan.memory;
        scene.now = plan.again.unwrap();
    }
    assert_eq!(told, Some(UNMATCHED_GRACE.as_secs()));
    let every = ASK_AGAIN.as_secs();
    assert!(
        asked[0] == 0 && asked.windows(2).all(|pair| pair[1] - pair[0] >= every) && asked.len() > 1,
        "{asked:?}"
    );
}
