mod model;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::Instant;
use triton::reflector::Proof;
use triton::types::Instance;

use super::{Absence, Census, Limits, Observed, Pace, Plan, Step, Witness, plan};
use crate::identity::{Evidence, Identity, Mismatch};
use crate::instances::{Known, Seen};

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
const OTHER: &str = "0b5918c3-84a2-4122-9ed5-60d76d7a8525";

/// One Node among three; nothing is wrong.
struct Scene {
    node: Value,
    identity: Identity,
    known: Known,
    absence: Absence,
    clean_list: Option<Instant>,
    census: Census,
    pace: Pace,
    now: Instant,
}

impl Scene {
    fn new(ready: bool) -> Self {
        // Some time must have passed for things to have happened in it.
        let now = Instant::now() + Duration::from_secs(3600);
        let status = if ready { "True" } else { "Unknown" };
        let witness = Witness { id: OTHER.parse().unwrap(), as_of: now };
        Self {
            node: json!({
                "metadata": {"name": "n1"}, "spec": {"taints": [{"key": "mine", "effect": "NoSchedule"}]},
                "status": {"conditions": [{"type": "Ready", "status": status}]},
            }),
            identity: Identity::Named(ID.parse().unwrap()),
            known: present(now, "running"),
            absence: Absence::default(),
            clean_list: Some(now),
            census: Census { machines: 3, not_found: 0, witness: Some(witness) },
            pace: Pace::default(),
            now,
        }
    }

    /// The same, with proof that the instance is gone since so many seconds.
    fn gone(ready: bool, proof: Proof, ago: u64) -> Self {
        let mut scene = Self::new(ready);
        scene.known = Known::Gone { proof, at: scene.ago(ago) };
        scene.census.not_found = usize::from(proof == Proof::NotFound);
        scene.absence.not_found(scene.now);
        scene
    }

    fn ago(&self, seconds: u64) -> Instant {
        self.now - Duration::from_secs(seconds)
    }

    fn plan(&self) -> Plan {
        let node: Node = serde_json::from_value(self.node.clone()).unwrap();
        plan(&Observed {
            node: &node,
            identity: &self.identity,
            known: &self.known,
            absence: self.absence,
            clean_list: self.clean_list,
            census: self.census,
            limits: Limits::default(),
            pace: &self.pace,
            now: self.now,
        })
    }
}

fn present(now: Instant, state: &str) -> Known {
    let instance: Instance = serde_json::from_value(json!({"id": ID, "state": state})).unwrap();
    Known::Present(Seen { instance: Arc::new(instance), doubted: false, as_of: now })
}

#[rstest]
#[case::not_ready(false)]
#[case::ready(true)]
#[tokio::test]
async fn what_is_destroyed_is_deleted_at_once(#[case] ready: bool) {
    let mut scene = Scene::gone(ready, Proof::Destroyed, 0);
    assert_eq!(scene.plan().step, Some(Step::Delete(Proof::Destroyed)));
    // It needs no witness.
    scene.census.witness = None;
    scene.clean_list = None;
    assert_eq!(scene.plan().step, Some(Step::Delete(Proof::Destroyed)));
}

#[tokio::test]
async fn what_is_not_found_is_deleted_when_all_else_fits() {
    let scene = Scene::gone(false, Proof::NotFound, 10);
    assert_eq!(scene.plan().step, Some(Step::Delete(Proof::NotFound)));
}

#[tokio::test]
async fn what_is_not_found_stays_while_the_node_is_ready() {
    let plan = Scene::gone(true, Proof::NotFound, 10).plan();
    assert_eq!((plan.step, plan.notes[0].reason), (None, "DeletionHeldBack"));
    assert!(plan.again.is_some());
}

#[tokio::test]
async fn what_is_not_found_stays_without_another_machine() {
    let mut scene = Scene::gone(false, Proof::NotFound, 10);
    scene.census.witness = None;
    let plan = scene.plan();
    assert_eq!((plan.step, plan.notes[0].reason), (None, "DeletionHeldBack"));
}

#[tokio::test]
async fn another_machine_must_have_been_seen_since_the_proof() {
    let mut scene = Scene::gone(false, Proof::NotFound, 10);
    let id = OTHER.parse().unwrap();
    scene.census.witness = Some(Witness { id, as_of: scene.ago(11) });
    let plan = scene.plan();
    assert_eq!((plan.step, plan.notes.len()), (Some(Step::Recheck(id)), 0));
    assert!(plan.again.is_some());
}

#[tokio::test]
async fn an_old_proof_needs_a_fresh_word() {
    let mut scene = Scene::gone(false, Proof::NotFound, 3000);
    scene.absence = Absence::default();
    let read = Some(Step::Read(ID.parse().unwrap()));
    assert_eq!(scene.plan().step, read);
    scene.absence.not_found(scene.ago(61));
    assert_eq!(scene.plan().step, read);
    scene.absence.not_found(scene.ago(59));
    assert_eq!(scene.plan().step, Some(Step::Delete(Proof::NotFound)));
}

#[rstest]
#[case(1, 3, true)]
#[case(2, 3, false)]
#[case(2, 4, true)]
#[case(1, 1, true)]
#[tokio::test]
async fn a_large_share_that_is_not_found_proves_nothing(
    #[case] not_found: usize,
    #[case] machines: usize,
    #[case] goes: bool,
) {
    let mut scene = Scene::gone(false, Proof::NotFound, 10);
    scene.census.not_found = not_found;
    scene.census.machines = machines;
    assert_eq!(scene.plan().step.is_some(), goes);
}

#[tokio::test]
async fn proof_does_not_outrun_the_pace() {
    let mut scene = Scene::gone(false, Proof::Destroyed, 0);
    scene.census.machines = 2;
    scene.pace.note(Some("another"), scene.ago(20));
    let plan = scene.plan();
    assert_eq!((plan.step, plan.again), (None, Some(scene.now + Duration::from_secs(40))));
}

#[rstest]
#[case::running("running")]
#[case::provisioning("provisioning")]
#[case::failed("failed")]
#[case::unknown("unknown")]
#[case::offline("offline")]
#[case::something_new("hibernating")]
#[tokio::test]
async fn no_state_deletes(#[case] state: &str) {
    let mut scene = Scene::new(false);
    scene.known = present(scene.now, state);
    assert_eq!(scene.plan(), Plan::default());
}

#[tokio::test]
async fn an_instance_that_was_never_seen_is_asked_for_and_only_two_answers_and_a_list_prove_anything() {
    let mut scene = Scene::new(false);
    scene.known = Known::Unknown;
    scene.census.not_found = 1;
    let read = Some(Step::Read(ID.parse().unwrap()));
    assert_eq!(scene.plan().step, read);
    scene.absence.not_found(scene.ago(30));
    let plan = scene.plan();
    assert_eq!((plan.step, plan.again), (None, Some(scene.now + Duration::from_secs(30))));
    scene.absence = Absence::default();
    scene.absence.not_found(scene.ago(100));
    scene.absence.not_found(scene.ago(10));
    assert_eq!(scene.plan().step, Some(Step::Delete(Proof::NotFound)));
    scene.clean_list = Some(scene.ago(101));
    assert_eq!(scene.plan().step, None, "no list in between");
}

#[tokio::test]
async fn nothing_is_asked_before_the_first_list() {
    let mut scene = Scene::new(false);
    scene.known = Known::Unknown;
    scene.clean_list = None;
    assert_eq!(scene.plan().step, None);
}

#[tokio::test]
async fn a_held_proof_is_kept_fresh() {
    let mut scene = Scene::new(true);
    scene.known = Known::Unknown;
    scene.absence.not_found(scene.ago(100));
    scene.absence.not_found(scene.ago(40));
    let plan = scene.plan();
    assert_eq!((plan.step, plan.again), (None, Some(scene.now + Duration::from_secs(60))));
    scene.now += Duration::from_secs(300);
    assert_eq!(scene.plan().step, Some(Step::Read(ID.parse().unwrap())));
}

#[rstest]
#[case::foreign(Identity::Foreign)]
#[case::unmatched(Identity::Unmatched(Mismatch::Nothing { system_uuid: None }))]
#[tokio::test]
async fn nodes_that_are_not_ours_are_left_alone(#[case] identity: Identity) {
    let mut scene = Scene::gone(false, Proof::Destroyed, 10);
    scene.identity = identity;
    assert_eq!(scene.plan(), Plan::default());
}

#[tokio::test]
async fn a_node_that_was_never_initialised_goes_by_proof_and_is_not_sought() {
    let mut scene = Scene::gone(false, Proof::Destroyed, 10);
    scene.identity = Identity::Found(ID.parse().unwrap(), Evidence::SystemUuid);
    assert_eq!(scene.plan().step, Some(Step::Delete(Proof::Destroyed)));
    scene.known = Known::Unknown;
    assert_eq!(scene.plan(), Plan::default());
}

#[rstest]
#[case::stopped("stopped", false, false, Some(true))]
#[case::at_once_though_ready("stopping", true, false, Some(true))]
#[case::already("stopped", false, true, None)]
#[case::started("running", false, true, Some(false))]
#[case::lost_from_sight("unknown", false, true, None)]
#[case::well_though_lost_from_sight("unknown", true, true, Some(false))]
#[case::never_was("running", true, false, None)]
#[case::failed("failed", false, false, None)]
#[tokio::test]
async fn the_shutdown_taint_follows_the_machine(
    #[case] state: &str,
    #[case] ready: bool,
    #[case] tainted: bool,
    #[case] expected: Option<bool>,
) {
    let mut scene = Scene::new(ready);
    scene.known = present(scene.now, state);
    let shutdown = json!({"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"});
    if tainted {
        scene.node["spec"]["taints"].as_array_mut().unwrap().push(shutdown.clone());
    }
    let step = scene.plan().step;
    let taints = step.map(|step| match step {
        Step::Taints(taints) => serde_json::to_value(taints).unwrap(),
        other => panic!("{other:?}"),
    });
    let mine = json!({"key": "mine", "effect": "NoSchedule"});
    let all = |with| if with { json!([mine, shutdown]) } else { json!([mine]) };
    assert_eq!(taints, expected.map(all));
}

#[tokio::test]
async fn a_ready_node_with_a_stopped_instance_is_looked_into() {
    let mut scene = Scene::new(true);
    scene.known = present(scene.now, "stopped");
    scene.node["spec"]["taints"] =
        json!([{"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"}]);
    assert_eq!(scene.plan().step, Some(Step::Recheck(ID.parse().unwrap())));
}
