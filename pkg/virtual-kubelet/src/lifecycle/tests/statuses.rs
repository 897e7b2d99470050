use rstest::rstest;

use super::*;

const PROBED: &str =
    r#"{"spec": {"containers": [{"name": "main", "image": "ubuntu", "readinessProbe": {}}]}}"#;

fn probed() -> Scene {
    Scene::new().pod(serde_json::from_str(PROBED).unwrap())
}

#[test]
fn a_running_pod_says_everything_in_one_write() {
    let scene = Scene::new().done().after(1).with(running(1));
    let scene = scene.accepted();
    let status = scene.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert_eq!(status.host_ip.as_deref(), Some("10.1.1.1"));
    assert_eq!(status.pod_ip.as_deref(), Some("192.168.128.5"));
    assert_eq!(status.pod_ips.unwrap()[0].ip, "192.168.128.5");
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.start_time.unwrap().0, scene.now().wall);
    for type_ in ["PodScheduled", "Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready"] {
        assert_eq!(scene.condition(type_), ("True".into(), None), "{type_}");
    }
    let container = scene.container();
    assert_eq!((container.name.as_str(), container.image.as_str()), ("main", "ubuntu"));
    assert_eq!(container.image_id, Uuid::from_u128(7).to_string());
    assert_eq!(container.container_id, Some(format!("triton://{}", id(1))));
    assert_eq!((container.ready, container.started, container.restart_count), (true, Some(true), 0));
    assert_eq!(container.state.unwrap().running.unwrap().started_at.unwrap().0, scene.now().wall);
}

#[test]
fn a_pod_at_rest_needs_nothing() {
    let scene = Scene::running();
    assert_eq!(scene.plan(), Plan { memory: scene.memory.clone(), ..Plan::default() });
    let scene = scene.restarted().after(3600);
    let plan = scene.plan();
    assert_eq!((plan.steps, plan.status, plan.notes, plan.again), (vec![], None, vec![], None));
}

#[test]
fn a_server_that_drops_the_observed_generation_is_not_written_to_again() {
    let mut scene = Scene::running();
    scene.pod.status.as_mut().unwrap().observed_generation = None;
    assert_eq!(scene.plan().status, None);
}

#[test]
fn the_status_has_the_resources_that_the_instance_was_chosen_for() {
    let memory = |memory: &str| json!({"limits": {"memory": memory}, "requests": {"memory": memory}});
    let asking = |scene: Scene, resources: Value, tag: &str| {
        let containers = json!([{"name": "main", "image": "ubuntu", "resources": resources}]);
        let mut scene = scene.pod(json!({"spec": {"containers": containers}}));
        scene.desired.as_mut().unwrap().request.tags.insert("k8s.resources".to_owned(), tag.into());
        scene
    };
    let sized = |tag: &str| {
        let mut instance = running(1);
        instance.tags.insert("k8s.resources".to_owned(), tag.into());
        instance
    };
    let shown = |scene: &Scene| {
        let container = scene.container();
        assert_eq!(
            serde_json::to_value(&container.allocated_resources).unwrap(),
            serde_json::to_value(&container.resources.as_ref().unwrap().requests).unwrap()
        );
        serde_json::to_value(container.resources).unwrap()
    };
    let scene = asking(Scene::new().done().after(1), memory("1Gi"), "one").with(sized("one")).accepted();
    assert_eq!(shown(&scene), memory("1Gi"));
    // Resized: the old ones until the instance is so.
    let scene = asking(scene, memory("2Gi"), "two").accepted();
    assert_eq!(shown(&scene), memory("1Gi"));
    let mut scene = scene.with(sized("two")).accepted();
    assert_eq!(shown(&scene), memory("2Gi"));
    // A server that drops the fields is not written to for them again.
    let status = scene.pod.status.as_mut().unwrap().container_statuses.as_mut().unwrap();
    (status[0].resources, status[0].allocated_resources) = (None, None);
    assert_eq!(scene.plan().status, None);
}

#[test]
fn times_are_written_in_whole_seconds_as_the_server_keeps_them() {
    let mut scene = Scene::new().with(running(1));
    scene.elapsed += Duration::from_millis(300);
    let scene = scene.accepted();
    let started = scene.container().state.unwrap().running.unwrap().started_at.unwrap();
    assert_eq!(started.0.subsec_nanosecond(), 0);
}

#[test]
fn provisioning_is_written_only_if_it_takes_its_time() {
    let scene = Scene::new().acted(|_, _| Outcome::Found(id(1)));
    let scene = scene.with(instance(1, "provisioning", json!({"primaryIp": null, "ips": [], "nics": []})));
    assert_eq!((scene.plan().status, reasons(&scene.plan()), scene.again()), (None, vec![], Some(1)));
    let scene = scene.accepted().after(1);
    assert_eq!(reasons(&scene.plan()), ["Provisioning"]);
    let scene = scene.accepted();
    let container = scene.container();
    assert_eq!(container.state.unwrap().waiting.unwrap().reason.as_deref(), Some("Provisioning"));
    assert_eq!(container.container_id, Some(container_id(id(1))));
    assert_eq!(scene.status().phase.as_deref(), Some("Pending"));
    assert_eq!(scene.condition("PodReadyToStartContainers").0, "False");
    assert_eq!((scene.plan().status, scene.again()), (None, None));
}

#[test]
fn a_pod_becomes_ready_by_its_probe_and_only_then_is_in_dns() {
    let unready = scene_of(probed(), UNREADY);
    assert_eq!(unready.condition("Ready"), ("False".into(), Some("ContainersNotReady".into())));
    assert_eq!(unready.steps(), "");
    let ready = unready.after(5).verdicts(Verdicts::NONE);
    assert_eq!(ready.steps(), "cns up 1");
    let ready = ready.accepted();
    assert_eq!(ready.condition("Ready").0, "True");
    let up = instance(1, "running", json!({"metadata": {"triton.cns.status": "up"}}));
    let unready = ready.with(up).verdicts(UNREADY);
    assert_eq!(unready.steps(), "cns down 1");
    let container = unready.accepted().container();
    assert!(container.state.unwrap().running.is_some());
    assert!(!container.ready);
}

/// Two looks at a running instance: the first finds it running, the second has verdicts on that run.
fn scene_of(scene: Scene, verdicts: Verdicts) -> Scene {
    scene.with(instance(1, "running", json!({}))).accepted().after(1).verdicts(verdicts).accepted()
}

#[test]
fn a_new_run_is_not_ready_by_the_verdicts_on_the_one_before() {
    let scene = probed().with(instance(1, "running", json!({}))).verdicts(Verdicts::NONE).accepted();
    assert!(!scene.container().ready);
}

#[test]
fn a_pod_is_ready_only_when_its_gates_are_open() {
    let gated = json!({"spec": {"readinessGates": [{"conditionType": "example.com/lb"}]}});
    let scene = scene_of(Scene::new().pod(gated), Verdicts::NONE);
    assert_eq!(scene.condition("ContainersReady").0, "True");
    assert_eq!(scene.condition("Ready"), ("False".into(), Some("ReadinessGatesNotReady".into())));
    assert_eq!(scene.steps(), "");
    let mut conditions = serde_json::to_value(scene.status().conditions).unwrap();
    conditions.as_array_mut().unwrap().push(json!({"type": "example.com/lb", "status": "True"}));
    let scene = scene.pod(json!({"status": {"conditions": conditions}}));
    assert_eq!(scene.steps(), "cns up 1");
    let scene = scene.accepted();
    assert_eq!(scene.condition("Ready").0, "True");
    assert_eq!(scene.condition("example.com/lb").0, "True", "and it is kept");
}

#[rstest]
#[case::unknown("unknown", "InstanceUnreachable")]
#[case::offline("offline", "InstanceUnreachable")]
#[case::a_new_word("hibernating", "InstanceUnreachable")]
#[case::stopping("stopping", "ContainersNotReady")]
#[case::ready("ready", "ContainersNotReady")]
fn an_instance_out_of_sight_is_not_ready_and_no_phase_changes(#[case] state: &str, #[case] reason: &str) {
    let scene = Scene::running().with(instance(1, state, json!({}))).accepted();
    assert_eq!(scene.status().phase.as_deref(), Some("Running"));
    assert_eq!(scene.condition("Ready"), ("False".into(), Some(reason.into())));
    let since = scene.container().state.unwrap().running.unwrap().started_at.unwrap();
    assert_eq!(since.0, Timestamp::from_second(1_770_000_000).unwrap());
    assert_eq!(scene.container().restart_count, 0);
    let back = scene.after(60).with(running(1)).accepted();
    assert_eq!(back.condition("Ready").0, "True");
    assert_eq!(back.container().restart_count, 0);
}

#[test]
fn an_instance_out_of_sight_leaves_dns() {
    let up = json!({"metadata": {"triton.cns.status": "up"}});
    assert_eq!(Scene::running().with(instance(1, "unknown", up)).steps(), "cns down 1");
}

#[test]
fn the_pod_address_is_that_of_the_network_it_names() {
    let mut scene = Scene::new().with(running(1));
    scene.desired.as_mut().unwrap().pod_network = Some(OTHER_NETWORK.parse().unwrap());
    let mut scene = scene.accepted();
    assert_eq!(scene.status().pod_ip.as_deref(), Some("10.0.0.5"));
    scene.desired = Err(refusal(RefusalReason::Network));
    assert_eq!(scene.plan().status, None, "what cannot be read now changes nothing");
}

#[test]
fn a_transition_is_dated_and_a_repetition_is_not() {
    let at = |scene: &Scene| {
        let conditions = scene.status().conditions.unwrap();
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().last_transition_time.unwrap().0
    };
    let scene = scene_of(probed(), UNREADY);
    let first = at(&scene);
    let scene = scene.after(60).accepted();
    assert_eq!(at(&scene), first);
    let scene = scene.verdicts(Verdicts::NONE).accepted();
    assert_eq!(at(&scene), scene.now().wall);
}

#[rstest]
#[case::running(Scene::running(), "tag 1")]
#[case::stopped(Scene::running().with(instance(1, "stopping", json!({}))), "")]
#[case::deleted(Scene::running().deleted(30), "stop 1")]
fn drift_is_repaired_only_while_the_instance_runs(#[case] scene: Scene, #[case] steps: &str) {
    let drift = vec![Step::AddTags { id: id(1), tags: [("app".into(), "web".into())].into() }];
    assert_eq!(Scene { drift, ..scene }.steps(), steps);
}

#[test]
fn drift_that_is_refused_is_told_waits_and_holds_up_nothing_else() {
    let drift = vec![Step::AddTags { id: id(1), tags: [("app".into(), "web".into())].into() }];
    let scene = Scene { drift, ..Scene::running() }.failed(Some(Kind::Invalid), false);
    let plan = scene.plan();
    assert_eq!((words(&plan.steps).as_str(), reasons(&plan)), ("", vec!["FailedUpdate"]));
    let down = instance(1, "running", json!({}));
    assert_eq!(scene.with(down).steps(), "cns up 1");
}

#[test]
fn a_probed_pod_is_written_twice_and_a_plain_one_once_on_its_way_to_ready() {
    for (mut scene, expected) in [(Scene::new(), 1), (probed(), 2)] {
        let mut writes = 0;
        let views = [None, Some("provisioning"), Some("running"), Some("running"), Some("running")];
        for (second, view) in views.into_iter().enumerate() {
            if let Some(state) = view {
                scene = scene.with(instance(1, state, json!({})));
            }
            scene = scene.verdicts(if second < 4 { UNREADY } else { Verdicts::NONE });
            if expected == 1 {
                scene = scene.verdicts(Verdicts::NONE);
            }
            writes += u32::from(scene.plan().status.is_some());
            scene = scene.accepted();
            scene.elapsed += Duration::from_millis(200);
        }
        assert_eq!(writes, expected);
        assert_eq!(scene.condition("Ready").0, "True");
    }
}
