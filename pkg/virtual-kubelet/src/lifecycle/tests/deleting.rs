use rstest::rstest;

use super::*;

#[test]
fn a_deletion_stops_deletes_confirms_and_removes() {
    let scene = Scene::running().deleted(30);
    assert_eq!(scene.steps(), "stop 1");
    let scene = scene.done().expecting(1, is_state("stopped"));
    assert_eq!((scene.steps().as_str(), scene.again()), ("", Some(30)));
    let scene = scene.after(3).with(stopped(1));
    assert_eq!(scene.steps(), "delete 1");
    let scene = scene.done().expecting(1, Expectation::Gone);
    assert_eq!(scene.steps(), "");
    let scene = scene.gone(&[1]);
    assert_eq!((scene.steps().as_str(), scene.plan().status), ("remove pod", None));
    let scene = scene.done();
    assert_eq!((scene.steps().as_str(), scene.again()), ("", Some(60)), "its finalizers may keep it");
}

#[rstest]
#[case::no_grace(Scene::running().deleted(0), "delete 1")]
#[case::grace_is_over(Scene::running().deleted(30).after(30), "delete 1")]
#[case::stopped(Scene::running().with(stopped(1)).deleted(30), "delete 1")]
#[case::stopping(Scene::running().with(instance(1, "stopping", json!({}))).deleted(30), "")]
#[case::provisioning(Scene::new().with(instance(1, "provisioning", json!({}))).deleted(30), "delete 1")]
#[case::out_of_sight(Scene::running().with(instance(1, "unknown", json!({}))).deleted(30), "stop 1")]
#[case::out_of_sight_for_long(Scene::running().with(instance(1, "unknown", json!({}))).deleted(0), "delete 1")]
#[case::never_made(Scene::new().deleted(30), "remove pod")]
#[case::failed_to_provision(Scene::new().with(instance(1, "failed", json!({}))).deleted(30), "remove pod")]
#[case::over(Scene::running().pod(json!({"status": {"phase": "Succeeded"}})).with(stopped(1)).deleted(30), "delete 1")]
#[case::unproven(Scene { instances: vec![], ..Scene::running() }.restarted().deleted(30), "recheck 1")]
#[case::unsynced(Scene { trust: Trust::Unsynced, ..Scene::running() }.deleted(30), "")]
#[case::refused(Scene { desired: Err(refusal(RefusalReason::Config)), ..Scene::new() }.deleted(30), "remove pod")]
#[case::duplicates(Scene::running().with(running(2)).deleted(30), "delete 2, stop 1")]
fn a_deletion_takes_the_step_that_fits(#[case] scene: Scene, #[case] steps: &str) {
    assert_eq!(scene.steps(), steps);
}

#[test]
fn a_create_in_doubt_is_resolved_before_the_pod_is_removed() {
    let scene = Scene::new().failed(None, true).deleted(0);
    assert_eq!(scene.steps(), "");
    let scene = scene.after(15);
    assert_eq!(scene.steps(), "find default-web-1");
    let found = scene.clone().acted(|_, _| Outcome::Found(id(4))).with(running(4));
    assert_eq!(found.steps(), "delete 4");
    let scene = scene.acted(|scene, _| Outcome::NotFound(scene.now().monotonic));
    assert_eq!(scene.steps(), "remove pod");
}

#[test]
fn a_deletion_while_provisioning_is_repeated_with_a_back_off() {
    let mut scene = Scene::new().with(instance(1, "provisioning", json!({}))).deleted(0);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(scene.steps(), "delete 1");
        scene = scene.failed(Some(Kind::Conflict), false);
        assert_eq!((scene.steps().as_str(), scene.again()), ("", Some(wait)));
        scene = scene.after(wait);
    }
    assert!(scene.memory.refusals().next().is_some(), "and told when it lasts");
}

#[test]
fn a_removal_that_failed_waits_for_its_back_off_and_not_for_finalizers() {
    let mut scene = Scene::running().deleted(0).gone(&[1]);
    for wait in [1, 2, 4] {
        assert_eq!(scene.steps(), "remove pod");
        scene = scene.failed(None, true);
        assert_eq!((scene.steps().as_str(), scene.again()), ("", Some(wait)));
        scene = scene.after(wait);
    }
}

#[test]
fn a_deletion_that_is_not_confirmed_in_time_is_repeated() {
    let scene = Scene::running().deleted(0).done().expecting(1, Expectation::Gone).after(5);
    assert_eq!(scene.steps(), "");
    assert_eq!(scene.after(200).with(running(1)).steps(), "delete 1");
}

const HOOK: &str =
    r#"{"spec": {"containers": [{"name": "main", "lifecycle": {"preStop": {"httpGet": {"port": 80}}}}]}}"#;

#[test]
fn the_pre_stop_hook_runs_once_before_the_stop() {
    let scene = Scene::running().pod(serde_json::from_str(HOOK).unwrap()).deleted(30);
    assert_eq!(scene.steps(), "prestop 1");
    let under_way = scene.clone().accepted();
    assert_eq!((under_way.steps().as_str(), under_way.again()), ("", Some(30)));
    assert_eq!(under_way.after(30).steps(), "delete 1", "a hook that hangs ends with the grace period");
    assert_eq!(scene.clone().done().steps(), "stop 1");
    assert_eq!(scene.failed(None, true).steps(), "stop 1");
}

#[rstest]
#[case::by_annotation(json!({"metadata": {"annotations": {"delprotect": "true"}}}), "unprotect 1, stop 1")]
#[case::by_long_annotation(
    json!({"metadata": {"annotations": {"tritondatacenter.com/deletion-protection": "true"}}}), "unprotect 1, stop 1"
)]
#[case::by_others(json!({}), "stop 1")]
fn protection_is_lifted_only_if_the_pod_asked_for_it(#[case] pod: Value, #[case] steps: &str) {
    let protected = |state| instance(1, state, json!({"deletion_protection": true, "metadata": {}}));
    let scene = Scene::running().pod(pod).with(protected("running")).deleted(30);
    assert_eq!(scene.steps(), steps);
    let foreign = reasons(&scene.plan()).contains(&"DeletionProtected");
    assert_eq!(foreign, steps == "stop 1");
    let scene = scene.done().with(protected("stopped"));
    let wait = if foreign { "recheck 1" } else { "" };
    assert_eq!(scene.steps(), wait, "deletion waits until the protection is seen lifted");
    assert_eq!(scene.with(stopped(1)).steps(), "delete 1");
}

#[rstest]
#[case::it_was_running(Scene::running(), "Failed")]
#[case::it_had_succeeded(
    Scene::running().policy("Never").with(reporting(1, "0")).accepted(), "Succeeded"
)]
fn a_pod_that_finalizers_keep_is_given_a_terminal_phase(#[case] scene: Scene, #[case] phase: &str) {
    let scene = scene.pod(json!({"metadata": {"finalizers": ["batch.kubernetes.io/job-tracking"]}}));
    let scene = scene.deleted(0).gone(&[1]);
    let scene = scene.accepted();
    assert_eq!(scene.status().phase.as_deref(), Some(phase));
    assert_eq!(scene.steps(), "remove pod");
}

#[test]
fn a_deletion_takes_two_calls_and_no_status_write() {
    let scene = Scene::running().deleted(30);
    let mut calls = scene.steps();
    assert_eq!(scene.plan().status, None);
    let scene = scene.done().after(1).with(stopped(1));
    assert_eq!(scene.plan().status, None);
    calls = calls + ", " + &scene.steps();
    assert_eq!(calls, "stop 1, delete 1");
}
