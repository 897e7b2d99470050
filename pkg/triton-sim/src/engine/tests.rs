use serde_json::json;

use super::*;
use crate::fixtures::{self, Ids};
use crate::view::VmState;
use crate::world::{Caller, Params, Settings};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMfLJSvxBhtPTY3EgAHKSa7vbIyNHm18xzgkoesaLkLF me";

fn engine() -> Engine {
    let started = "2026-01-26T00:00:00Z".parse().unwrap();
    let world = fixtures::data_center(Settings::default(), started, &[KEY.to_owned()]).unwrap();
    Engine::start_at(world, started)
}

fn create(engine: &Engine) -> InstanceId {
    let ids = Ids::new(0);
    let params: Params = serde_json::from_value(json!({
        "image": ids.base_64.to_string(), "package": "g1.nano", "networks": [ids.fabric.to_string()],
    }))
    .unwrap();
    engine.write(|world, now| world.create_machine(now, ids.acme, &params, 9, &Caller::default())).unwrap().id
}

#[tokio::test(start_paused = true)]
async fn what_is_due_happens_by_itself_and_is_told() {
    let engine = engine();
    let (mut feed, mut changes) = (engine.feed(), engine.changes());
    let id = create(&engine);
    assert_eq!(changes.recv().await.unwrap(), id);
    assert_eq!(engine.instance(id).unwrap().state, VmState::Provisioning);
    // Only the task of the engine lets time pass here.
    let mut states = Vec::new();
    while states.last() != Some(&VmState::Running) {
        states.push(feed.recv().await.unwrap().state);
    }
    assert_eq!(states, [VmState::Provisioning, VmState::Provisioning, VmState::Running]);
    assert_eq!(engine.instances().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reading_shows_the_present_even_before_the_task_was_there() {
    let engine = engine();
    let id = create(&engine);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(engine.read(|world| world.machine_by_id(id).unwrap().state()), VmState::Running);
}

#[tokio::test(start_paused = true)]
async fn settling_waits_for_everything_that_is_pending() {
    let engine = engine();
    engine.settled().await;
    let ids: Vec<_> = (0..10).map(|_| create(&engine)).collect();
    let started = engine.now();
    engine.settled().await;
    assert!(ids.iter().all(|id| engine.instance(*id).unwrap().state == VmState::Running));
    let took = engine.now().duration_since(started).as_millis();
    assert!((2000..2500).contains(&took), "{took} ms");
}

#[tokio::test(start_paused = true)]
async fn guests_act_through_it() {
    let engine = engine();
    let id = create(&engine);
    engine.settled().await;
    let mut changes = engine.changes();
    engine.guest_sets_metadata(id, "k8s:exit-code", Some("3"));
    engine.guest_reboots(id);
    engine.guest_powers_off(id);
    let view = engine.instance(id).unwrap();
    assert_eq!((view.state, view.metadata["k8s:exit-code"].as_str()), (VmState::Stopped, "3"));
    for _ in 0..3 {
        assert_eq!(changes.recv().await.unwrap(), id);
    }
    assert_eq!((engine.name(), engine.account_keys("acme").unwrap().1.len()), ("dc1", 1));
    assert!(engine.account_keys("nobody").is_none());
}

#[tokio::test(start_paused = true)]
async fn it_stops_with_its_last_handle() {
    let engine = engine();
    create(&engine);
    let (other, mut changes) = (engine.clone(), engine.changes());
    drop(engine);
    other.settled().await;
    drop(other);
    while changes.recv().await.is_ok() {}
    assert!(matches!(changes.recv().await, Err(broadcast::error::RecvError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_panic_under_the_lock_leaves_it_usable() {
    let engine = engine();
    let other = engine.clone();
    let panicked = tokio::spawn(async move { other.read(|_| panic!("on purpose")) }).await;
    assert!(panicked.is_err());
    create(&engine);
    engine.settled().await;
    assert_eq!(engine.instances().len(), 1);
}
