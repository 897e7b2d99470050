use k8s_openapi::api::core::v1::{NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use rstest::rstest;

use super::super::desired::tests::desired;
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn unreachable() -> Readiness {
    Readiness::Unreachable { message: "CloudAPI has not answered since noon".into() }
}

/// The node that the plan for these flags makes at second 0, as the API server has it then.
fn made(arguments: &[&str], readiness: Readiness) -> Node {
    let plan = plan(&desired(arguments, readiness), None, at(0));
    let [Step::Create(node)] = plan.steps.as_slice() else { panic!("{plan:?}") };
    let mut node = Node::clone(node);
    node.metadata.resource_version = Some("7".into());
    node
}

fn replan(arguments: &[&str], readiness: Readiness, node: &Node, second: i64) -> Plan {
    plan(&desired(arguments, readiness), Some(node), at(second))
}

/// The patches of a plan: of the node, of its status.
fn patches(plan: &Plan) -> (Value, Value) {
    let mut both = (Value::Null, Value::Null);
    for step in &plan.steps {
        match step {
            Step::PatchNode(patch) => both.0 = patch.clone(),
            Step::PatchStatus(patch) => both.1 = patch.clone(),
            Step::Create(_) => panic!("{plan:?}"),
        }
    }
    both
}

fn reasons(plan: &Plan) -> Vec<&str> {
    plan.notes.iter().map(|note| note.reason).collect()
}

fn condition<'a>(patch: &'a Value, type_: &str) -> &'a Value {
    let conditions = patch["status"]["conditions"].as_array().expect("conditions");
    conditions.iter().find(|it| it["type"] == type_).unwrap_or(&Value::Null)
}

fn status(node: &mut Node) -> &mut NodeStatus {
    node.status.as_mut().unwrap()
}

#[test]
fn a_node_that_is_missing_is_made_whole() {
    let plan = plan(&desired(&[], Readiness::Ready), None, at(0));
    assert_eq!(reasons(&plan), ["Registering", "NodeReady"]);
    let node = made(&[], Readiness::Ready);
    let status = node.status.clone().unwrap();
    let conditions: Vec<_> = status.conditions.unwrap();
    let conditions: Vec<_> = conditions.iter().map(|it| (it.type_.as_str(), it.status.as_str())).collect();
    let expected = [
        ("Ready", "True"),
        ("MemoryPressure", "False"),
        ("DiskPressure", "False"),
        ("PIDPressure", "False"),
        ("NetworkUnavailable", "False"),
    ];
    assert_eq!(conditions, expected);
    let quantity = |text: &str| Some(Quantity(text.into()));
    let capacity = status.capacity.unwrap();
    assert_eq!(capacity.get("cpu").cloned(), quantity("20"));
    assert_eq!(capacity.get("memory").cloned(), quantity("41943040Ki"));
    assert_eq!(capacity.get("pods").cloned(), quantity("20"));
    assert_eq!(node.spec.unwrap().taints.unwrap().len(), 1);
    assert!(status.node_info.unwrap().kubelet_version.starts_with("v1.33.0-vk-"));
}

#[test]
fn what_is_as_it_should_be_is_not_written_for_five_minutes() {
    let mut node = made(&[], Readiness::Ready);
    // The API server writes quantities its own way.
    status(&mut node).capacity.as_mut().unwrap().insert("memory".into(), Quantity("40Gi".into()));
    assert_eq!(replan(&[], Readiness::Ready, &node, 299), Plan::default());
    let plan = replan(&[], Readiness::Ready, &node, 300);
    let (metadata, status) = patches(&plan);
    assert_eq!((metadata, reasons(&plan)), (Value::Null, vec![]));
    assert_eq!(condition(&status, "Ready")["lastHeartbeatTime"], "2023-11-14T22:18:20Z");
    assert_eq!(condition(&status, "Ready")["lastTransitionTime"], "2023-11-14T22:13:20Z");
    assert_eq!(status["status"]["addresses"][0], json!({"$patch": "replace"}));
    assert!(!replan(&[], Readiness::Ready, &node, -300).steps.is_empty(), "a clock that was far ahead");
}

#[test]
fn a_silent_cloudapi_makes_the_node_not_ready_and_its_return_ready() {
    let mut node = made(&[], Readiness::Ready);
    let plan = replan(&[], unreachable(), &node, 60);
    assert_eq!(reasons(&plan), ["NodeNotReady"]);
    let (metadata, patch) = patches(&plan);
    assert_eq!(metadata, Value::Null);
    let ready = condition(&patch, "Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("CloudAPIUnreachable")));
    assert_eq!(ready["message"], "CloudAPI has not answered since noon");
    assert_eq!(ready["lastTransitionTime"], "2023-11-14T22:14:20Z");
    assert_eq!(condition(&patch, "MemoryPressure")["lastTransitionTime"], "2023-11-14T22:13:20Z");

    let conditions: Vec<NodeCondition> =
        serde_json::from_value(patch["status"]["conditions"].clone()).unwrap();
    status(&mut node).conditions = Some(conditions);
    assert_eq!(replan(&[], unreachable(), &node, 120), Plan::default(), "it is said already");
    assert_eq!(replan(&[], Readiness::Undecided, &node, 120), Plan::default(), "too early to say otherwise");
    let back = replan(&[], Readiness::Ready, &node, 180);
    assert_eq!(reasons(&back), ["NodeReady"]);
    assert_eq!(condition(&patches(&back).1, "Ready")["lastTransitionTime"], "2023-11-14T22:16:20Z");
}

#[test]
fn a_process_that_has_just_begun_leaves_ready_as_it_is() {
    let node = made(&[], Readiness::Ready);
    assert_eq!(replan(&[], Readiness::Undecided, &node, 10), Plan::default());
    let beat = patches(&replan(&[], Readiness::Undecided, &node, 300)).1;
    assert_eq!(
        (condition(&beat, "Ready"), condition(&beat, "DiskPressure").is_object()),
        (&Value::Null, true)
    );
    let new = made(&[], Readiness::Undecided);
    assert_eq!(status::ready_status(new.status.as_ref()), Some("False"));
}

#[test]
fn a_node_that_was_given_up_for_lost_is_ready_again_at_once() {
    let mut node = made(&[], Readiness::Ready);
    for condition in status(&mut node).conditions.as_mut().unwrap() {
        condition.status = "Unknown".into();
        condition.reason = Some("NodeStatusUnknown".into());
    }
    let plan = replan(&[], Readiness::Ready, &node, 10);
    assert_eq!(reasons(&plan), ["NodeReady"]);
    assert_eq!(condition(&patches(&plan).1, "PIDPressure")["status"], "False");
}

fn taint(key: &str, value: &str, effect: &str) -> Taint {
    let (key, value, effect) = (key.to_owned(), Some(value.to_owned()), effect.to_owned());
    Taint { key, value, effect, time_added: None }
}

/// A node on which others have put things.
fn shared() -> Node {
    let mut node = made(&[], Readiness::Ready);
    node.metadata.labels.as_mut().unwrap().insert("team".into(), "blue".into());
    node.metadata.annotations.as_mut().unwrap().insert("note".into(), "keep".into());
    let taints = node.spec.as_mut().unwrap().taints.as_mut().unwrap();
    taints.insert(0, taint("dedicated", "blue", "NoExecute"));
    let problem =
        NodeCondition { type_: "KernelDeadlock".into(), status: "False".into(), ..NodeCondition::default() };
    status(&mut node).conditions.as_mut().unwrap().push(problem);
    node
}

#[test]
fn what_others_put_on_the_node_is_not_written_over() {
    assert_eq!(replan(&[], Readiness::Ready, &shared(), 10), Plan::default());
    let mut node = shared();
    node.spec.as_mut().unwrap().taints.as_mut().unwrap().pop();
    node.metadata.labels.as_mut().unwrap().remove("type");
    status(&mut node).conditions.as_mut().unwrap().remove(1);
    let (metadata, patch) = patches(&replan(&[], Readiness::Ready, &node, 10));
    let taints = json!([
        {"key": "dedicated", "value": "blue", "effect": "NoExecute"},
        {"key": "virtual-kubelet.io/provider", "value": "triton", "effect": "NoSchedule"},
    ]);
    let expected = json!({
        "metadata": {"labels": {"type": "virtual-kubelet"}, "resourceVersion": "7"},
        "spec": {"taints": taints},
    });
    assert_eq!(metadata, expected);
    assert_eq!(condition(&patch, "KernelDeadlock"), &Value::Null);
}

#[rstest]
#[case::off(&["--disable-taint"], &["dedicated=blue:NoExecute"])]
#[case::value(&["--taint-value", "x"], &["dedicated=blue:NoExecute", "virtual-kubelet.io/provider=x:NoSchedule"])]
#[case::effect(&["--taint-effect", "NoExecute"], &["dedicated=blue:NoExecute", "virtual-kubelet.io/provider=triton:NoExecute"])]
#[case::key(&["--taint-key", "a/b"], &["dedicated=blue:NoExecute", "a/b=triton:NoSchedule"])]
fn a_taint_of_ours_that_is_no_longer_wanted_goes(#[case] arguments: &[&str], #[case] expected: &[&str]) {
    let (metadata, status) = patches(&replan(arguments, Readiness::Ready, &shared(), 10));
    let taints: Vec<Taint> = serde_json::from_value(metadata["spec"]["taints"].clone()).unwrap();
    let shown: Vec<_> = taints
        .iter()
        .map(|it| format!("{}={}:{}", it.key, it.value.as_deref().unwrap_or_default(), it.effect))
        .collect();
    assert_eq!(shown, expected);
    assert_eq!(status, Value::Null);
}

#[test]
fn a_label_of_ours_that_is_no_longer_wanted_goes_unless_its_value_is_only_unknown() {
    let node = shared();
    let mut wanted = desired(&[], Readiness::Ready);
    wanted.labels.remove("kubernetes.io/role");
    wanted.labels.remove("topology.kubernetes.io/zone");
    wanted.unknown_labels = vec!["topology.kubernetes.io/zone"];
    let (metadata, _) = patches(&plan(&wanted, Some(&node), at(10)));
    assert_eq!(metadata["metadata"]["labels"], json!({"kubernetes.io/role": null}));
}

#[test]
fn figures_that_are_not_known_yet_are_left_as_they_are() {
    let node = made(&[], Readiness::Ready);
    let mut wanted = desired(&["--kubelet-port", "1"], Readiness::Ready);
    wanted.capacity = None;
    let (_, patch) = patches(&plan(&wanted, Some(&node), at(10)));
    assert_eq!(patch["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], 1);
    assert_eq!((&patch["status"]["capacity"], &patch["status"]["allocatable"]), (&Value::Null, &Value::Null));
}

#[rstest]
#[case::addresses(&["--node-address", "10.0.0.1"])]
#[case::port(&["--kubelet-port", "1"])]
fn a_changed_setting_is_written_at_once(#[case] arguments: &[&str]) {
    let node = made(&[], Readiness::Ready);
    let (metadata, status) = patches(&replan(arguments, Readiness::Ready, &node, 1));
    assert!(metadata.is_null() && status.is_object());
}

#[test]
fn the_node_of_a_real_kubelet_is_refused_and_an_empty_or_virtual_one_is_taken_over() {
    let mut node = Node::default();
    node.metadata.name = Some("worker-1".into());
    assert_eq!(replan(&[], Readiness::Ready, &node, 0).steps.len(), 2);
    let kubelet = |version: &str| {
        let mut node = node.clone();
        let info = k8s_openapi::api::core::v1::NodeSystemInfo {
            kubelet_version: version.into(),
            ..Default::default()
        };
        node.status = Some(NodeStatus { node_info: Some(info), ..NodeStatus::default() });
        node
    };
    let refused = replan(&[], Readiness::Ready, &kubelet("v1.36.3"), 0);
    assert!(refused.steps.is_empty());
    let message =
        "node worker-1 is that of a kubelet of version v1.36.3; choose another name with --nodename";
    assert_eq!(refused.refusal.as_deref(), Some(message));
    assert_eq!(replan(&[], Readiness::Ready, &kubelet("v1.15.2-vk-1.2"), 0).steps.len(), 2);
}
