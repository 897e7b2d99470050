use rstest::rstest;

use super::*;

#[test]
fn an_instance_is_made_for_a_new_pod_and_the_user_told_what_was_chosen() {
    let plan = Scene::new().plan();
    assert_eq!(words(&plan.steps), "create");
    assert_eq!(plan.status, None, "a status now would be overtaken at once");
    assert_eq!(
        plan.notes[0].message,
        "Creating instance default-web-1 of image ubuntu@1 with package g1.small on the default networks"
    );
}

#[rstest]
#[case::unsynced(Scene { trust: Trust::Unsynced, ..Scene::new() }, "")]
#[case::one_is_there(Scene::new().with(instance(1, "provisioning", json!({}))), "")]
#[case::the_recorded_one_is_out_of_sight(Scene { instances: vec![], ..Scene::running() }, "recheck 1")]
#[case::the_recorded_one_lost_its_tags(
    Scene::running().with(instance(1, "running", json!({"tags": {}, "metadata": {}}))), ""
)]
#[case::the_recorded_one_has_anothers_tags(
    Scene::running().with(instance(1, "running", json!({"tags": {"k8s.uid": "other"}, "metadata": {}}))), ""
)]
#[case::one_is_stopped(Scene::new().with(stopped(1)), "start 1")]
#[case::one_is_unknown(Scene::new().with(instance(1, "unknown", json!({}))), "")]
#[case::one_failed(Scene::new().with(instance(1, "failed", json!({}))), "")]
#[case::an_attempt_was_interrupted(Scene::new().accepted(), "")]
#[case::a_refusal(Scene { desired: Err(refusal(RefusalReason::Package)), ..Scene::new() }, "")]
#[case::terminal(Scene::new().pod(json!({"status": {"phase": "Failed"}})), "")]
fn no_instance_is_made_while_one_may_exist_or_none_is_wanted(#[case] scene: Scene, #[case] steps: &str) {
    assert_eq!(scene.steps(), steps);
}

fn not_found(scene: Scene, begun_before: u64) -> Scene {
    scene.acted(|scene, step| match step {
        Step::FindByName(_) => Outcome::NotFound(scene.now().monotonic - Duration::from_secs(begun_before)),
        _ => Outcome::Done,
    })
}

#[test]
fn a_create_in_doubt_is_resolved_by_name_before_another_is_made() {
    let scene = Scene::new().failed(None, true);
    assert_eq!(scene.steps(), "");
    assert_eq!(scene.again(), Some(2));
    let scene = scene.after(2);
    assert_eq!(scene.steps(), "find default-web-1");
    let scene = not_found(scene, 0);
    assert_eq!(scene.steps(), "");
    assert_eq!(scene.again(), Some(13), "a list proves absence only when it began 15 s after the attempt");
    let scene = not_found(scene.after(13), 1);
    assert_eq!(scene.steps(), "find default-web-1", "that list began too early");
    let scene = not_found(scene.after(2), 0);
    assert_eq!(scene.steps(), "create");
}

#[test]
fn an_interrupted_create_is_in_doubt() {
    assert_eq!(Scene::new().accepted().after(2).steps(), "find default-web-1");
}

#[test]
fn a_doubt_keeps_the_name_of_its_attempt() {
    let mut scene = Scene::new().failed(None, true).after(2);
    scene.desired = Err(refusal(RefusalReason::Config));
    assert_eq!(scene.steps(), "find default-web-1");
}

#[test]
fn what_a_lost_create_made_is_adopted() {
    let scene = Scene::new().failed(None, true).after(2);
    let scene = scene.acted(|_, _| Outcome::Found(id(4))).with(running(4));
    let scene = scene.accepted();
    assert_eq!(recorded_instance(&scene.pod), Some(id(4)));
    assert_eq!(scene.steps(), "");
}

#[test]
fn a_taken_name_is_looked_up_at_once_and_refused_when_it_is_anothers() {
    let scene = Scene::new().failed(Some(Kind::Duplicate), false);
    assert_eq!(scene.steps(), "find default-web-1");
    let scene = scene.acted(|_, _| Outcome::Found(id(9)));
    let scene = scene.with(instance(9, "running", json!({"tags": {"k8s.uid": "other"}})));
    let plan = scene.plan();
    assert_eq!(words(&plan.steps), "");
    assert_eq!(scene.again(), Some(10));
    let scene = scene.accepted();
    let waiting = scene.container().state.unwrap().waiting.unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("InstanceNameTaken"));
    assert!(waiting.message.unwrap().contains("taken by instance"));
    assert_eq!(scene.after(10).steps(), "create");
}

#[test]
fn a_taken_name_that_is_ours_is_adopted() {
    let scene = Scene::new().failed(Some(Kind::Duplicate), false);
    let scene = scene.acted(|_, _| Outcome::Found(id(9))).with(running(9)).accepted();
    assert_eq!(recorded_instance(&scene.pod), Some(id(9)));
}

#[rstest]
#[case::quota(Kind::QuotaExceeded, "QuotaExceeded")]
#[case::invalid(Kind::Invalid, "CreateRefused")]
#[case::forbidden(Kind::Forbidden, "CreateForbidden")]
fn a_refused_create_is_shown_and_tried_again_with_a_back_off(#[case] kind: Kind, #[case] reason: &str) {
    let mut scene = Scene::new();
    for wait in [10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(scene.steps(), "create");
        scene = scene.failed(Some(kind), false);
        let plan = scene.plan();
        assert_eq!(words(&plan.steps), "");
        assert_eq!(reasons(&plan), [reason]);
        assert_eq!(scene.again(), Some(wait));
        scene = scene.accepted();
        assert_eq!(scene.status().phase.as_deref(), Some("Pending"));
        let waiting = scene.container().state.unwrap().waiting.unwrap();
        assert_eq!((waiting.reason.as_deref(), waiting.message.as_deref()), (Some(reason), Some("no")));
        assert_eq!(scene.plan().status, None);
        scene = scene.after(wait);
    }
}

#[test]
fn an_outage_is_tried_again_and_changes_no_status() {
    let mut scene = Scene::new();
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(scene.steps(), "create");
        scene = scene.failed(Some(Kind::Unavailable), false);
        let plan = scene.plan();
        assert_eq!((words(&plan.steps), plan.status, plan.notes), (String::new(), None, vec![]));
        assert_eq!(scene.again(), Some(wait));
        scene = scene.after(wait);
    }
}

#[rstest]
#[case::for_ever(RefusalReason::Unsupported, "Failed", "PodNotSupported")]
#[case::for_now(RefusalReason::Package, "Pending", "PackageNotFound")]
#[case::config(RefusalReason::Config, "Pending", "CreateContainerConfigError")]
fn a_pod_that_cannot_be_says_so(#[case] why: RefusalReason, #[case] phase: &str, #[case] reason: &str) {
    let scene = Scene { desired: Err(refusal(why)), ..Scene::new() };
    assert_eq!(reasons(&scene.plan()), [reason]);
    let scene = scene.accepted();
    let status = scene.status();
    assert_eq!(status.phase.as_deref(), Some(phase));
    let said = match phase {
        "Failed" => status.reason,
        _ => scene.container().state.unwrap().waiting.unwrap().reason,
    };
    assert_eq!(said.as_deref(), Some(reason));
    let plan = scene.plan();
    assert_eq!((plan.status, plan.notes, plan.again), (None, vec![], None), "and says it once");
}

#[test]
fn an_instance_that_fails_to_provision_is_made_again_with_a_back_off() {
    let mut scene = Scene::new();
    for (slot, wait) in [(1, 10), (2, 20), (3, 40)] {
        assert_eq!(scene.steps(), "create");
        scene = scene.acted(|_, _| Outcome::Found(id(slot)));
        scene = scene.with(instance(slot, "provisioning", json!({})));
        assert_eq!(scene.steps(), "");
        scene = scene.accepted().with(instance(slot, "failed", json!({})));
        assert!(reasons(&scene.plan()).contains(&"ProvisioningFailed"));
        scene = scene.accepted();
        assert_eq!(scene.status().phase.as_deref(), Some("Pending"));
        assert_eq!(scene.again(), Some(wait));
        scene = scene.after(wait);
    }
}

#[test]
fn an_instance_that_fails_to_provision_fails_a_pod_that_never_restarts() {
    let scene = Scene::new().policy("Never").with(instance(1, "failed", json!({}))).accepted();
    assert_eq!(scene.status().phase.as_deref(), Some("Failed"));
    assert_eq!(scene.status().reason.as_deref(), Some("ProvisioningFailed"));
}

#[test]
fn an_instance_that_is_deleted_before_it_ran_is_made_again() {
    let scene = Scene::new().with(instance(1, "provisioning", json!({}))).accepted().after(2).accepted();
    assert_eq!(recorded_instance(&scene.pod), Some(id(1)));
    let scene = scene.gone(&[1]).accepted();
    assert_eq!(scene.status().phase.as_deref(), Some("Pending"));
    assert_eq!(scene.after(10).steps(), "create");
}

#[rstest]
#[case::gone(Scene::running().gone(&[1]))]
#[case::failed(Scene::running().with(instance(1, "failed", json!({}))))]
fn a_pod_whose_instance_disappears_has_failed(#[case] scene: Scene) {
    let plan = scene.plan();
    assert_eq!(words(&plan.steps), "");
    assert_eq!(reasons(&plan), ["InstanceDeleted"]);
    let scene = scene.accepted();
    let status = scene.status();
    assert_eq!(
        (status.phase.as_deref(), status.reason.as_deref()),
        (Some("Failed"), Some("InstanceDeleted"))
    );
    assert_eq!(scene.container().state.unwrap().terminated.unwrap().exit_code, 137);
    assert_eq!(scene.plan().status, None);
    assert_eq!(scene.steps(), "");
}

#[test]
fn an_instance_out_of_sight_is_asked_about_with_a_back_off_and_changes_nothing() {
    let mut scene = Scene { instances: vec![], ..Scene::running() }.restarted();
    for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
        let plan = scene.plan();
        assert_eq!((words(&plan.steps), plan.status), ("recheck 1".to_owned(), None));
        scene = scene.done();
        assert_eq!(scene.steps(), "");
        assert_eq!(scene.again(), Some(wait));
        scene = scene.after(wait);
    }
}

#[rstest]
#[case::the_recorded_one_stays(&[(1, "running"), (2, "running")], Some(2), 2)]
#[case::even_stopped(&[(1, "running"), (2, "stopped")], Some(2), 2)]
#[case::a_running_one_before_others(&[(1, "provisioning"), (2, "running")], None, 2)]
#[case::else_the_lowest_id(&[(2, "provisioning"), (1, "provisioning"), (3, "provisioning")], None, 1)]
fn of_duplicates_one_is_kept(
    #[case] states: &[(u128, &str)],
    #[case] recorded: Option<u128>,
    #[case] kept: u128,
) {
    let mut scene = Scene::new();
    if let Some(slot) = recorded {
        scene = scene.with(running(slot)).accepted();
    }
    for (slot, state) in states {
        scene = scene.with(instance(*slot, state, json!({"metadata": {"triton.cns.status": "up"}})));
    }
    let plan = scene.plan();
    let deleted: Vec<InstanceId> = plan
        .steps
        .iter()
        .filter_map(|step| if let Step::Delete(id) = step { Some(*id) } else { None })
        .collect();
    let others: Vec<InstanceId> =
        states.iter().map(|(slot, _)| id(*slot)).filter(|other| *other != id(kept)).collect();
    assert_eq!(BTreeSet::from_iter(deleted), BTreeSet::from_iter(others));
    assert!(reasons(&plan).contains(&"DuplicateInstance"));
    assert_eq!(recorded_instance(&scene.accepted().pod), Some(id(kept)), "the choice is written first");
}

#[test]
fn a_duplicate_that_cannot_be_deleted_does_not_hold_up_the_pod() {
    let scene = Scene::running().with(running(2));
    assert_eq!(scene.steps(), "delete 2");
    let scene = scene.failed(Some(Kind::Conflict), false).with(stopped(1));
    assert_eq!(scene.steps(), "start 1");
}

#[test]
fn a_duplicate_that_is_going_is_left_alone() {
    let scene = Scene::running().with(running(2)).expecting(2, Expectation::Gone);
    assert_eq!(scene.steps(), "");
}
