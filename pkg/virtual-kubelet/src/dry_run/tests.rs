use k8s_openapi::api::core::v1::PodStatus;
use rstest::rstest;
use runtime::events::Severity;
use serde_json::json;
use triton::types::CreateInstance;
use uuid::Uuid;

use super::*;
use crate::lifecycle::Note;
use crate::pod::RefusalReason;

fn id(number: u128) -> InstanceId {
    InstanceId::from(Uuid::from_u128(number))
}

/// A pod whose status names instance 1.
fn pod(is_ending: bool) -> Pod {
    let deleted = is_ending.then_some("2026-01-01T00:00:00Z");
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": "web", "uid": "u", "deletionTimestamp": deleted},
        "status": {"containerStatuses": [{
            "name": "main", "image": "x", "imageID": "", "ready": true, "restartCount": 0,
            "containerID": format!("triton://{}", id(1)),
        }]},
    }))
    .unwrap()
}

fn intents(pod: &Pod, plan: &Plan, refusal: Option<&Refusal>, known: bool) -> Vec<String> {
    let key = PodKey::of(pod).unwrap();
    let shown = |intent: Intent| {
        let instance = intent.instance.map_or_else(|| "-".to_owned(), |id| id.to_string()[35..].to_owned());
        format!("{} {instance}: {}", intent.action.as_str(), intent.detail)
    };
    of_pod(&key, pod, plan, refusal, known).into_iter().map(shown).collect()
}

fn act(action: InstanceAction) -> Step {
    Step::Act { id: id(1), action }
}

#[rstest]
#[case::nothing(false, vec![], &[])]
#[case::start(false, vec![act(InstanceAction::Start)], &["restart 1: it has stopped by itself"])]
#[case::reboot(false, vec![act(InstanceAction::Reboot)], &["restart 1: its probes fail"])]
#[case::stop(false, vec![act(InstanceAction::Stop)], &["stop 1: the pod is over"])]
#[case::stop_and_delete(true, vec![act(InstanceAction::Stop)], &["delete 1: after a stop: the pod is being deleted"])]
#[case::hook(true, vec![Step::PreStop(id(1))], &["delete 1: after its preStop hook"])]
#[case::delete(true, vec![Step::Delete(id(1))], &["delete 1: the pod is being deleted"])]
#[case::duplicate(false, vec![Step::Delete(id(2))], &["delete 2: it is not the pod's one"])]
#[case::object(true, vec![Step::RemovePod], &["delete 1: the pod object: nothing else is left"])]
#[case::proof(false, vec![Step::Recheck(id(1))], &["check 1: whether it is there"])]
#[case::changes(
    false,
    vec![
        Step::AddTags { id: id(1), tags: [("role".to_owned(), "web".into())].into() },
        Step::AddMetadata { id: id(1), metadata: [("password".to_owned(), "secret".to_owned())].into_iter().collect() },
        Step::RemoveTag { id: id(1), key: "old".into() },
        act(InstanceAction::EnableFirewall),
    ],
    &["update 1: tags role; metadata password; no tag old; enable_firewall"],
)]
fn every_step_is_told_without_values(
    #[case] is_ending: bool,
    #[case] steps: Vec<Step>,
    #[case] expected: &[&str],
) {
    let plan = Plan { steps, ..Plan::default() };
    assert_eq!(intents(&pod(is_ending), &plan, None, true), expected);
}

#[test]
fn a_create_says_what_was_chosen_and_what_hinders_one_is_said() {
    let note = Note { severity: Severity::Normal, reason: "Creating", message: "Creating instance x".into() };
    let request = CreateInstance::new("g1.small", Uuid::from_u128(7).into());
    let plan = Plan { steps: vec![Step::Create(Box::new(request))], notes: vec![note], ..Plan::default() };
    assert_eq!(intents(&pod(false), &plan, None, true), ["create -: Creating instance x"]);

    let nothing = Plan::default();
    let refusal =
        Refusal { field: "spec".into(), reason: RefusalReason::Package, message: "no package".into() };
    assert_eq!(intents(&pod(false), &nothing, Some(&refusal), true), ["refuse -: spec: no package"]);
    assert!(intents(&pod(true), &nothing, Some(&refusal), true).is_empty());
    let waiting = intents(&pod(false), &nothing, None, false);
    assert!(matches!(waiting.as_slice(), [it] if it.starts_with("wait -: for ConfigMaps")), "{waiting:?}");
    let status = PodStatus { phase: Some("Running".into()), ..PodStatus::default() };
    let plan = Plan { status: Some(Box::new(status)), ..Plan::default() };
    assert_eq!(intents(&pod(false), &plan, None, true), ["status -: Running"]);
}

#[test]
fn the_table_has_a_row_for_each_intent_and_ends_with_the_sums() {
    let mut report = Report::default();
    report.add(of_node("vk", &NodePlan::default()));
    let plan = Plan { steps: vec![act(InstanceAction::Start)], ..Plan::default() };
    let web = pod(false);
    report.add(of_pod(&PodKey::of(&web).unwrap(), &web, &plan, None, true));
    report.intents.push(of_rule(&RuleStep::Enable(Uuid::from_u128(3).into())));
    report.unknown.push("which instances are orphans".to_owned());
    let expected = "\
WHAT  ACTION   NAME                                  INSTANCE                              DETAIL
pod   restart  default/web                           00000000-0000-0000-0000-000000000001  it has stopped by itself
rule  update   00000000-0000-0000-0000-000000000003  -                                     enabled
unknown: which instances are orphans
1 of 2 nodes and pods stay as they are; nothing was written.
";
    assert_eq!(report.to_string(), expected);
    assert_eq!(
        Report::default().to_string(),
        "0 of 0 nodes and pods stay as they are; nothing was written.\n"
    );
}

#[test]
fn programs_are_told_the_same_by_the_words_of_the_table() {
    let rule = of_rule(&RuleStep::Enable(Uuid::from_u128(3).into()));
    let report = Report { intents: vec![rule], seen: 2, unchanged: 1, unknown: vec!["x".to_owned()] };
    let expected = r#"{"intents":[{"kind":"rule","action":"update","name":"00000000-0000-0000-0000-000000000003","instance":null,"detail":"enabled"}],"seen":2,"unchanged":1,"unknown":["x"]}"#;
    assert_eq!(report.json().unwrap(), format!("{expected}\n"));
    for (kind, action) in [(Kind::Orphan, Action::Refuse), (Kind::Pod, Action::Adopt)] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
    }
}
