use rstest::rstest;

use super::*;

#[rstest]
#[case::always("Always", stopped(1), "Running", "start 1")]
#[case::always_after_success("Always", reporting(1, "0"), "Running", "remove k8s:exit-code 1, start 1")]
#[case::on_failure("OnFailure", reporting(1, "3"), "Running", "remove k8s:exit-code 1, start 1")]
#[case::on_failure_after_success("OnFailure", reporting(1, "0"), "Succeeded", "")]
#[case::never("Never", reporting(1, "3"), "Failed", "")]
#[case::never_after_success("Never", reporting(1, "0"), "Succeeded", "")]
#[case::never_with_an_unreadable_report("Never", reporting(1, "boom"), "Failed", "")]
fn the_restart_policy_decides(
    #[case] policy: &str,
    #[case] instance: Instance,
    #[case] phase: &str,
    #[case] steps: &str,
) {
    let scene = Scene::running().policy(policy).with(instance);
    assert_eq!(scene.steps(), steps);
    let scene = scene.accepted();
    assert_eq!(scene.status().phase.as_deref(), Some(phase));
    assert_eq!(scene.condition("Ready").0, "False");
    let ended = scene.container().state.unwrap().terminated.unwrap();
    assert_eq!(ended.started_at.unwrap().0, Timestamp::from_second(1_770_000_000).unwrap());
    assert_eq!(ended.finished_at.unwrap().0, scene.now().wall);
}

#[test]
fn no_report_counts_as_success_only_after_a_read_that_began_when_it_was_stopped() {
    let scene = Scene::running().policy("Never").with(stopped(1));
    assert_eq!(scene.steps(), "recheck 1");
    assert_eq!(scene.plan().status, None);
    let scene = scene.done();
    assert_eq!(scene.steps(), "");
    let late = scene.clone().after(1).with(reporting(1, "4")).accepted();
    assert_eq!(late.container().state.unwrap().terminated.unwrap().exit_code, 4);
    let none = scene.after(1).with(stopped(1)).accepted();
    assert_eq!(none.status().phase.as_deref(), Some("Succeeded"));
}

#[test]
fn a_report_read_after_the_stop_is_seen_through_a_removal_that_is_pending() {
    let removal = Expectation::Metadata {
        set: triton::types::Metadata::new(),
        removed: ["k8s:exit-code".into()].into(),
    };
    let scene = Scene::running().policy("OnFailure").with(stopped(1)).done();
    let scene = scene.after(1).with(reporting(1, "5")).expecting(1, removal).accepted();
    assert_eq!(scene.container().state.unwrap().terminated.unwrap().exit_code, 5);
}

#[rstest]
#[case::the_answer_to_the_start_is_lost(|scene: Scene| scene.failed(None, true))]
#[case::the_process_is_killed(Scene::restarted)]
fn a_success_that_nobody_saw_is_not_repeated(#[case] how: fn(Scene) -> Scene) {
    let scene = Scene::running().policy("OnFailure").with(reporting(1, "3")).accepted();
    assert_eq!(scene.steps(), "remove k8s:exit-code 1, start 1");
    // It has run and halted when the instance is seen again.
    let scene = how(scene).after(40).with(reporting(1, "0")).accepted();
    assert_eq!((scene.steps().as_str(), scene.status().phase.as_deref()), ("", Some("Succeeded")));
    assert_eq!(scene.container().restart_count, 1);
    assert_eq!(scene.container().state.unwrap().terminated.unwrap().exit_code, 0);
}

/// Runs the instance for this long, stops it, and says how long the restart waits.
fn crash(scene: Scene, run: u64) -> (Scene, u64) {
    let scene = scene.with(running(1)).accepted().after(run).with(stopped(1));
    let scene = scene.accepted();
    let wait = match scene.steps().as_str() {
        "start 1" => 0,
        "" => scene.again().unwrap(),
        other => panic!("{other}"),
    };
    let scene = scene.after(wait);
    assert_eq!(scene.steps(), "start 1");
    (scene.done(), wait)
}

#[test]
fn restarts_back_off_and_a_calm_run_resets_them() {
    let mut scene = Scene::running();
    let mut waits = Vec::new();
    for run in [5, 5, 5, 5, 5, 5, 5, 700, 5] {
        let wait;
        (scene, wait) = crash(scene, run);
        waits.push(wait);
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 0, 10]);
    let scene = scene.with(running(1)).accepted();
    assert_eq!(scene.container().restart_count, 9);
    assert!(scene.container().last_state.unwrap().terminated.is_some());
}

#[test]
fn the_back_off_survives_the_process() {
    let mut scene = Scene::running();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let wait;
        (scene, wait) = crash(scene.restarted(), 5);
        waits.push(wait);
    }
    assert_eq!(waits, [0, 10, 20, 40]);
    let scene = scene.with(running(1)).accepted().after(5).with(stopped(1)).accepted().restarted();
    let container = scene.container();
    assert_eq!(container.state.unwrap().waiting.unwrap().reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(scene.clone().after(79).steps(), "");
    assert_eq!(scene.after(80).steps(), "start 1");
}

#[test]
fn a_clock_that_jumps_back_delays_a_restart_by_no_more_than_its_back_off() {
    let (scene, _) = crash(Scene::running(), 5);
    let scene = scene.with(running(1)).accepted().after(5).with(stopped(1)).accepted();
    let future = scene.now().wall.checked_add(SignedDuration::from_hours(5)).unwrap();
    let scene = scene.pod(json!({"status": {"containerStatuses": [{
        "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 1,
        "containerID": container_id(id(1)), "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 0, "startedAt": future, "finishedAt": future}},
    }]}}));
    assert_eq!(scene.again(), Some(10));
}

#[test]
fn a_start_that_is_under_way_is_not_repeated() {
    let scene = Scene::running().with(stopped(1)).expecting(1, is_state("running"));
    assert_eq!(scene.steps(), "");
    let scene = Scene::running().with(stopped(1)).done();
    assert_eq!(scene.steps(), "");
    assert_eq!(scene.after(30).steps(), "start 1");
}

#[test]
fn a_start_that_fails_waits() {
    let scene = Scene::running().with(stopped(1)).failed(Some(Kind::Unavailable), false);
    assert_eq!((scene.steps().as_str(), scene.again()), ("", Some(1)));
    assert_eq!(scene.after(1).steps(), "start 1");
}

#[test]
fn a_refused_start_is_told() {
    let scene = Scene::running().with(stopped(1)).failed(Some(Kind::Invalid), false);
    assert!(reasons(&scene.plan()).contains(&"FailedRestart"));
}

#[test]
fn an_instance_is_out_of_dns_before_it_starts_if_readiness_is_probed() {
    let probed = json!({"spec": {"containers": [{"name": "main", "readinessProbe": {}}]}});
    let up = instance(1, "stopped", json!({"metadata": {"triton.cns.status": "up"}}));
    assert_eq!(Scene::running().pod(probed).with(up).steps(), "cns down 1, start 1");
}

#[test]
fn an_unhealthy_instance_is_rebooted_and_counted_once() {
    let scene = Scene::running().verdicts(UNHEALTHY);
    let plan = scene.plan();
    assert_eq!((words(&plan.steps).as_str(), reasons(&plan)), ("reboot 1", vec!["Killing"]));
    let scene = scene.done();
    let container = scene.container();
    assert_eq!(container.restart_count, 1);
    assert_eq!(container.state.unwrap().running.unwrap().started_at.unwrap().0, scene.now().wall);
    assert_eq!(container.last_state.unwrap().terminated.unwrap().exit_code, 137);
    assert_eq!(scene.steps(), "", "the same verdict is not acted on twice");
    assert_eq!(scene.again(), Some(10), "and looked at again when it must be of the new run");
    assert_eq!(scene.clone().after(11).accepted().again(), Some(10), "for which the back-off holds");
    let scene = scene.verdicts(Verdicts::NONE).with(instance(1, "stopped", json!({})));
    assert_eq!(scene.steps(), "", "a reboot may show as a stop");
    assert_eq!(scene.plan().status.map(|status| status.phase), Some(Some("Running".into())));
    let scene = scene.after(61).accepted();
    assert_eq!((scene.steps().as_str(), scene.again()), ("", Some(10)), "but not for ever");
}

#[test]
fn reboots_back_off() {
    let mut scene = Scene::running();
    for wait in [0, 10, 20, 40] {
        scene = scene.after(30).verdicts(UNHEALTHY);
        if wait > 0 {
            assert_eq!((scene.steps().as_str(), scene.again()), ("cns down 1", Some(wait)));
            scene = scene.accepted().after(wait);
        }
        assert_eq!(scene.steps(), "reboot 1", "after {wait} s");
        scene = scene.done().verdicts(Verdicts::NONE).after(11).accepted();
    }
}

#[test]
fn an_unhealthy_instance_that_is_never_restarted_is_stopped_and_has_failed() {
    let scene = Scene::running().policy("Never").verdicts(UNHEALTHY);
    assert_eq!(scene.steps(), "stop 1");
    let scene = scene.accepted();
    assert_eq!(scene.status().phase.as_deref(), Some("Failed"));
    assert_eq!(scene.steps(), "stop 1", "until it is stopped, whoever forgets");
    assert_eq!(scene.with(stopped(1)).steps(), "");
}

#[rstest]
#[case::eviction(json!({"status": {"phase": "Failed", "reason": "Evicted"}}), "Evicted")]
#[case::deadline(json!({"spec": {"activeDeadlineSeconds": 60}}), "DeadlineExceeded")]
fn a_pod_that_is_over_keeps_its_instance_stopped(#[case] how: Value, #[case] reason: &str) {
    let scene = Scene::running().pod(how);
    assert_eq!(scene.steps(), "stop 1");
    let scene = scene.accepted();
    let status = scene.status();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some(reason)));
    assert_eq!(scene.condition("Ready"), ("False".into(), Some("PodFailed".into())));
    let scene = scene.done().with(stopped(1)).accepted();
    assert!(scene.container().state.unwrap().terminated.is_some());
    let plan = scene.plan();
    assert_eq!((plan.steps, plan.status, plan.again), (vec![], None, None));
}

#[test]
fn a_deadline_that_is_to_come_is_waited_for_from_a_recorded_start() {
    let scene = Scene::new().pod(json!({"spec": {"activeDeadlineSeconds": 60}})).accepted();
    assert_eq!(scene.status().start_time.unwrap().0, Timestamp::from_second(1_770_000_000).unwrap());
    let scene = scene.with(running(1)).accepted().after(20);
    assert_eq!(scene.again(), Some(40));
}
