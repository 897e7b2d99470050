//! The client library against a simulator in which things go wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use triton::changefeed::{Changefeed, Registration};
use triton::client::Client;
use triton::config::{Config, Environment};
use triton::error::Kind;
use triton::id::InstanceId;
use triton::reflector::{Lookup, Reflector, Settings, Store};
use triton::types::*;
use triton_sim::Simulator;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::FaultPlan;

use crate::client::{SOON, client, new_instance, settle, simulator};

fn set(simulator: &Simulator, faults: &[&str]) {
    let flags: Vec<String> = faults.iter().map(|fault| (*fault).to_owned()).collect();
    let plan = FaultPlan::load(None, &flags).expect("a plan");
    simulator.control().set_faults(plan).expect("set");
}

fn count(simulator: &Simulator, operation: Operation) -> u64 {
    simulator.control().requests().of(operation)
}

/// Makes running instances without asking CloudAPI.
fn make(simulator: &Simulator, number: usize) -> Vec<InstanceId> {
    let ids = simulator.ids();
    let params = json!({"image": ids.ubuntu_lx, "package": "g1.nano", "networks": [ids.fabric]});
    simulator.control().write(|world, now| {
        let params = params.as_object().expect("an object");
        (0..number).map(|_| world.create_running_machine(now, ids.acme, params).expect("created")).collect()
    })
}

#[tokio::test]
async fn each_fault_of_requests_reaches_the_client_as_itself() {
    let simulator = simulator().await;
    let client = client(&simulator).await.with_deadline(Duration::from_millis(700));
    // Writes are not repeated by the library, so that each fault shows.
    let ask = async || {
        let update = UpdateAccount { phone: Some("1".into()), ..Default::default() };
        client.update_account(&update).await.map_err(|error| error.kind())
    };
    assert!(ask().await.is_ok());
    for (fault, kind) in [
        ("requests.UpdateAccount.error_rate=1", Kind::Server),
        ("requests.UpdateAccount.timeout_rate=1", Kind::Timeout),
        ("requests.all.torn_rate=1", Kind::Protocol),
        ("maintenance=true", Kind::Unavailable),
        ("requests.UpdateAccount.unavailable_rate=1", Kind::Unavailable),
        ("requests.UpdateAccount.throttle_rate=1", Kind::Throttled),
        ("requests.UpdateAccount.latency_ms=2000", Kind::Timeout),
    ] {
        set(&simulator, &[fault]);
        let found = ask().await.expect_err(fault);
        let timed_out = matches!(kind, Kind::Unavailable | Kind::Throttled) && found == Kind::Timeout;
        assert!(found == kind || timed_out || found == Kind::Interrupted, "{fault}: {found:?}");
    }
}

#[tokio::test]
async fn what_fails_has_no_effect_unless_it_is_said_to() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let made = async |name: &str| {
        client.create_instance(&new_instance(&simulator, name)).await.expect_err("it fails");
        settle(&simulator).await;
        simulator.control().read(|world| world.machines().any(|machine| machine.name == name))
    };
    set(&simulator, &["requests.CreateMachine.error_rate=1"]);
    assert!(!made("without").await);
    set(&simulator, &["requests.CreateMachine.error_rate=1", "requests.CreateMachine.applied=true"]);
    assert!(made("with").await);
    set(&simulator, &["requests.CreateMachine.torn_rate=1"]);
    assert!(made("torn").await);
}

#[tokio::test]
async fn single_instances_are_forgotten_by_reads_and_by_lists_also_without_sockets() {
    let simulator = simulator().await;
    let made = make(&simulator, 3);
    let config = Config::load(&simulator.environment().into_iter().collect::<Environment>(), None).unwrap();
    let builder = Client::configured(&config).await.unwrap();
    let client = builder.connect(simulator.connect()).build().unwrap();
    set(
        &simulator,
        &[
            &format!("instances.not_found=[\"{}\"]", made[0]),
            &format!("instances.unlisted=[\"{}\"]", made[1]),
        ],
    );
    let read = async |id| client.get_instance(id).await.map(drop).map_err(|error| error.kind());
    assert_eq!(read(made[0]).await, Err(Kind::NotFound));
    assert_eq!((read(made[1]).await, read(made[2]).await), (Ok(()), Ok(())));
    let listed = client.list_all_instances(&ListInstances::default()).await.unwrap();
    let shown = |id: &&InstanceId| listed.items.iter().any(|instance| instance.id == **id);
    assert_eq!(made.iter().filter(shown).collect::<Vec<_>>(), [&made[0], &made[2]]);
}

#[tokio::test]
async fn retry_after_is_sent_only_when_it_is_asked_for() {
    let stage = crate::http::Stage::new().await;
    for (fault, status, seconds, header) in [
        ("throttle_rate", 429, None, None),
        ("throttle_rate", 429, Some(3), Some("3")),
        ("unavailable_rate", 503, None, None),
        ("unavailable_rate", 503, Some(0), Some("0")),
    ] {
        let mut faults = vec![format!("requests.all.{fault}=1")];
        faults.extend(seconds.map(|seconds| format!("requests.all.retry_after_seconds={seconds}")));
        let plan = FaultPlan::load(None, &faults).expect("a plan");
        stage.simulator.control().set_faults(plan).expect("set");
        let answer = stage.get("/my").await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, header), "{faults:?}");
    }
    let plan =
        FaultPlan::load(None, &["maintenance=true".into(), "maintenance_seconds=60".into()]).expect("a plan");
    stage.simulator.control().set_faults(plan).expect("set");
    assert_eq!(stage.get("/my").await.status, 200);
    let refused = stage.ask("POST", "/my", "{}").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "ServiceUnavailableError"));
    let until = refused.header("retry-after").expect("a date");
    assert!(httpdate::parse_http_date(until).expect("a date") > std::time::SystemTime::now());
}

#[tokio::test]
async fn a_seed_repeats_a_run() {
    let stage = crate::http::Stage::new().await;
    make(&stage.simulator, 40);
    let run = async |seed: u64| {
        let seed = format!("seed={seed}");
        let faults = [
            &seed,
            "requests.all.error_rate=0.3",
            "requests.ListMachines.missing_row_rate=0.2",
            "requests.ListMachines.torn_rate=0.2",
        ];
        set(&stage.simulator, &faults);
        let mut answers = Vec::new();
        for _ in 0..20 {
            let answer = stage.get("/my/machines").await;
            answers.push((answer.status, answer.body));
            answers.push((stage.get("/my").await.status, String::new()));
        }
        answers
    };
    let first = run(5).await;
    assert_eq!(first, run(5).await);
    assert_ne!(first, run(6).await);
    let rows =
        |body: &String| serde_json::from_str::<Vec<serde_json::Value>>(body).ok().map(|rows| rows.len());
    let lists: Vec<_> = first.iter().filter(|(status, body)| *status == 200 && !body.is_empty()).collect();
    assert!(lists.iter().any(|(_, body)| rows(body).is_none()), "one is torn");
    assert!(lists.iter().any(|(_, body)| rows(body).is_some_and(|rows| rows < 40)), "one misses rows");
    assert!(first.iter().any(|(status, _)| *status == 500), "one fails");
}

#[tokio::test]
async fn provisions_fail_when_they_should_and_when_there_is_no_room() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let state = async |name: &str| {
        let id = client.create_instance(&new_instance(&simulator, name)).await.expect("created").id;
        settle(&simulator).await;
        client.get_instance(id).await.expect("found").into_instance().state
    };
    set(&simulator, &["instances.provision_failure_rate=1"]);
    assert!(state("one").await.is_failed());
    set(&simulator, &["instances.compute_node_memory_mib=100"]);
    assert!(state("two").await.is_failed());
    set(&simulator, &[]);
    assert!(state("three").await.is_running());
}

#[tokio::test]
async fn a_lost_compute_node_makes_its_instances_unknown_until_it_is_back() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let id = make(&simulator, 1)[0];
    let state = async || client.get_instance(id).await.expect("found").into_instance();
    let node = state().await.compute_node.expect("a node");
    set(&simulator, &[&format!("instances.compute_nodes_down=[\"{node}\"]")]);
    assert!(state().await.state.is_indeterminate());
    set(&simulator, &[]);
    assert!(state().await.state.is_running());
}

#[tokio::test]
async fn tag_jobs_can_be_delayed() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let id = make(&simulator, 1)[0];
    set(&simulator, &["instances.tag_delay_ms=60000"]);
    client.add_tags(id, &[("a".into(), "b".into())].into()).await.expect("accepted");
    assert_eq!(client.list_tags(id).await.expect("tags"), Tags::new());
    assert_eq!(simulator.control().read(|world| world.unfinished_jobs(id)), 1);
}

/// An example of the manual in a file of its own.
fn example(name: &str) -> tempfile::NamedTempFile {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/simulator.md"));
    let manual = manual.expect("the manual");
    let (_, block) = manual.split_once(&format!("```toml {name}\n")).expect("an example");
    let (text, _) = block.split_once("```").expect("an end");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn the_examples_in_the_manual_are_read() {
    let plan = FaultPlan::load(Some(example("faults").path()), &[]).expect("a plan");
    let create = plan.of(Operation::CreateMachine);
    assert_eq!(
        (create.latency_ms, create.retry_after_seconds, create.applied),
        (Some(20), Some(3), Some(true))
    );
    let timing = triton_sim::world::settings::Timing::instant();
    let world = triton_sim::world::Settings::load(example("world").path(), &timing).expect("settings");
    assert_eq!((&*world.datacenter, world.timing.metadata), ("dc2", Duration::from_secs(3)));
}

/// The state of every instance that CloudAPI has, or that a store knows.
type States = BTreeMap<InstanceId, String>;

fn truth(simulator: &Simulator) -> States {
    simulator.control().read(|world| {
        let active = world.machines().filter(|machine| machine.is_active());
        active.map(|machine| (machine.id, machine.public_state().to_owned())).collect()
    })
}

fn known(store: &Store) -> States {
    let entries = store.entries();
    let states = entries.iter().map(|entry| (entry.id(), entry.observed().state.as_str().to_owned()));
    states.filter(|(_, state)| state != "failed").collect()
}

/// Runs a reflector through changes with these faults; in the end it has to know the truth, and it must never have
/// taken a living instance for gone.
async fn converges(faults: &[&str]) {
    let simulator = simulator().await;
    let first = make(&simulator, 30);
    set(&simulator, faults);
    let client = client(&simulator).await.with_deadline(Duration::from_secs(2));
    let often = Settings {
        relist_every: Duration::from_millis(700),
        relist_every_without_feed: Duration::from_millis(700),
    };
    let reflector = Reflector::new(client, often);
    let store = reflector.store();
    let running = tokio::spawn(reflector.run());
    timeout(2 * SOON, store.synced()).await.unwrap_or_else(|_| panic!("{faults:?}: no first list"));
    let owner = simulator.ids().acme;
    let control = simulator.control();
    let mut living = first.clone();
    for (round, id) in first.iter().take(10).enumerate() {
        control.write(|world, now| {
            let caller = triton_sim::world::Caller::default();
            let action = if round % 2 == 0 { "stop" } else { "reboot" };
            let params = json!({"action": action});
            let _ = world.update_machine(now, owner, *id, params.as_object().expect("an object"), &caller);
            let _ = world.delete_machine(now, owner, first[first.len() - 1 - round], &caller);
        });
        living.retain(|id| *id != first[first.len() - 1 - round]);
        living.extend(make(&simulator, 1));
        for id in &living {
            assert!(!matches!(store.get(*id), Lookup::Gone(_)), "{faults:?}: {id} lives");
        }
        sleep(Duration::from_millis(20)).await;
    }
    settle(&simulator).await;
    let deadline = Instant::now() + 2 * SOON;
    while known(&store) != truth(&simulator) {
        assert!(Instant::now() < deadline, "{faults:?}: {:?}", store.health());
        sleep(Duration::from_millis(20)).await;
    }
    running.abort();
}

#[tokio::test]
async fn the_reflector_learns_the_truth_when_nothing_goes_wrong() {
    converges(&[]).await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_requests_fail() {
    converges(&["requests.all.error_rate=0.2", "requests.all.torn_rate=0.2", "requests.all.jitter_ms=20"])
        .await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_requests_are_refused() {
    converges(&[
        "requests.all.throttle_rate=0.1",
        "requests.all.unavailable_rate=0.1",
        "requests.all.latency_ms=5",
    ])
    .await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_requests_get_no_answer() {
    converges(&["requests.GetMachine.timeout_rate=0.2", "requests.ListMachines.timeout_rate=0.1"]).await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_rows_are_missing() {
    converges(&["requests.ListMachines.missing_row_rate=0.2"]).await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_events_are_lost() {
    converges(&["feed.lose_rate=0.4", "feed.duplicate_rate=0.4", "feed.delay_rate=0.5", "feed.delay_ms=60"])
        .await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_the_feed_is_cut() {
    converges(&["feed.cut_rate=0.1"]).await;
}

#[tokio::test]
async fn the_reflector_learns_the_truth_although_jobs_fail() {
    converges(&["instances.provision_failure_rate=0.3", "instances.job_failure_rate=0.3"]).await;
}

#[tokio::test]
async fn a_client_of_the_feed_that_does_not_read_is_cut_and_others_are_not() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let ids = make(&simulator, 50);
    let mut idle = Changefeed::open(&client, &Registration::everything()).await.expect("a feed");
    let owner = simulator.ids().acme;
    let long = "x".repeat(8000);
    // Far more than sockets and queue hold together.
    for round in 0..60 {
        simulator.control().write(|world, now| {
            let params = json!({"long": format!("{round}{long}")});
            for id in &ids {
                let caller = triton_sim::world::Caller::default();
                let params = params.as_object().expect("an object");
                world.add_metadata(now, owner, *id, params, &caller).expect("queued");
            }
        });
        settle(&simulator).await;
    }
    let cut = async {
        while simulator.control().feed_clients() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, cut).await.expect("cut");
    let mut read = 0;
    while let Ok(event) = timeout(SOON, idle.next()).await.expect("in time") {
        read += usize::from(event.is_ok());
    }
    assert!(read < 3000, "{read} of 3000 events were kept");
    let _fresh = Changefeed::open(&client, &Registration::everything()).await.expect("another feed");
    assert!(count(&simulator, Operation::Changefeed) >= 2);
}
