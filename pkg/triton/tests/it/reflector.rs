//! The reflector against a small cloud, under a paused clock: hours of lies in seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use triton::id::InstanceId;
use triton::reflector::{Expectation, Feed, Lookup, Reflector, Settings, Store};

use crate::cloud::{Cloud, id};

const HOUR: Duration = Duration::from_secs(3600);

fn start(cloud: &Cloud) -> Store {
    let reflector = Reflector::new(cloud.server.client(), Settings::default());
    let store = reflector.store();
    tokio::spawn(reflector.run());
    store
}

async fn synced(cloud: &Cloud) -> Store {
    let store = start(cloud);
    timeout(Duration::from_secs(60), store.synced()).await.expect("a first list within a minute");
    until(&store, "the feed is up", |store| matches!(store.health().feed, Feed::Up(_))).await;
    store
}

/// Waits for a condition, for an hour of the paused clock at most.
async fn until(store: &Store, what: &str, condition: impl Fn(&Store) -> bool) {
    let deadline = Instant::now() + HOUR;
    while !condition(store) {
        assert!(Instant::now() < deadline, "an hour passed, but not: {what}; {:?}", store.health());
        sleep(Duration::from_millis(100)).await;
    }
}

fn known(store: &Store) -> BTreeMap<InstanceId, (u64, String)> {
    let rev = |entry: &triton::reflector::Entry| match entry.observed().tags.get("rev") {
        Some(triton::types::TagValue::Number(rev)) => rev.as_u64().unwrap(),
        other => panic!("no rev: {other:?}"),
    };
    store
        .entries()
        .iter()
        .map(|entry| (entry.id(), (rev(entry), entry.observed().state.as_str().to_owned())))
        .filter(|(_, (_, state))| state != "failed")
        .collect()
}

fn is_gone(store: &Store, n: u128) -> bool {
    matches!(store.get(id(n)), Lookup::Gone(_))
}

#[tokio::test(start_paused = true)]
async fn a_quiet_account_costs_the_relist_and_nothing_else() {
    let cloud = Cloud::with_instances(2500);
    let store = synced(&cloud).await;
    assert_eq!(store.len(), 2500);
    let before = cloud.server.seen().len();
    sleep(HOUR).await;
    let requests = cloud.server.seen().split_off(before);
    assert!(requests.iter().all(|seen| seen.path() == "/acme/machines"), "only lists");
    // Three pages every 5 minutes and up to a tenth more.
    let lists = requests.len() / 3;
    assert!(
        requests.len().is_multiple_of(3) && (10..=12).contains(&lists),
        "{} requests in an hour",
        requests.len()
    );
    assert_eq!(cloud.feeds(), 1, "the feed stood all the time");
}

#[tokio::test(start_paused = true)]
async fn a_change_arrives_by_the_feed_without_a_request() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    let before = cloud.server.seen().len();
    let mut changes = store.subscribe();
    assert_eq!(changes.changed().await.len(), 10, "a subscription begins with what is there");
    cloud.put(3, "stopped", 7);
    let changed = timeout(Duration::from_secs(1), changes.changed()).await.expect("a change within a second");
    assert_eq!(changed, [id(3)].into());
    assert_eq!(known(&store), cloud.truth());
    assert_eq!(cloud.server.seen().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_destroyed_instance_is_gone_after_one_read_proved_it() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    cloud.destroy(4);
    until(&store, "instance 4 is gone", |store| is_gone(store, 4)).await;
    assert_eq!(cloud.server.count("GET", &format!("/acme/machines/{}", id(4))), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_many_that_we_deleted_are_proved_by_one_list() {
    let cloud = Cloud::with_instances(200);
    let store = synced(&cloud).await;
    let reads = |cloud: &Cloud| {
        let path = |n| format!("/acme/machines/{}", id(n));
        (1..=200).map(|n| cloud.server.count("GET", &path(n))).sum::<usize>()
    };
    let proofs = |cloud: &Cloud| {
        let seen = cloud.server.seen();
        seen.iter().filter(|seen| seen.query("state") == Some("destroyed")).count()
    };
    for n in 1..=100 {
        store.expect(id(n), Expectation::Gone);
    }
    for n in 1..=100 {
        cloud.destroy(n);
    }
    until(&store, "all are gone", |store| (1..=100).all(|n| is_gone(store, n))).await;
    assert!(
        proofs(&cloud) >= 1 && proofs(&cloud) + reads(&cloud) <= 10,
        "{} {}",
        proofs(&cloud),
        reads(&cloud)
    );
    assert_eq!(store.len(), 100, "the others stay");

    // A list that does not show them proves nothing: each is read.
    cloud.faults(|faults| faults.empty_lists = true);
    let before = reads(&cloud);
    for n in 101..=110 {
        store.expect(id(n), Expectation::Gone);
        cloud.destroy(n);
    }
    until(&store, "these are gone too", |store| (101..=110).all(|n| is_gone(store, n))).await;
    assert_eq!(reads(&cloud) - before, 10);
}

#[tokio::test(start_paused = true)]
async fn lost_events_are_found_by_the_next_list() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    cloud.faults(|faults| faults.mute = true);
    cloud.put(3, "stopped", 7);
    cloud.put(11, "running", 1);
    cloud.destroy(5);
    until(&store, "the store is true again", |store| known(store) == cloud.truth()).await;
    assert!(is_gone(&store, 5));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_slower_than_an_event_does_not_undo_it() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    cloud.faults(|faults| faults.lists_take = Duration::from_secs(20));
    let before = cloud.server.count("GET", "/acme/machines");
    until(&store, "a list has begun", |_| cloud.server.count("GET", "/acme/machines") > before).await;
    cloud.put(3, "stopped", 7);
    let mut changes = store.subscribe();
    changes.changed().await;
    changes.changed().await;
    assert!(timeout(Duration::from_secs(60), changes.changed()).await.is_err(), "nothing went back");
    assert_eq!(known(&store), cloud.truth());
}

#[tokio::test(start_paused = true)]
async fn a_cut_feed_comes_back_and_a_list_fills_the_gap() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    cloud.cut_feeds();
    cloud.put(3, "stopped", 7);
    let start = Instant::now();
    until(&store, "the store is true again", |store| known(store) == cloud.truth()).await;
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
    until(&store, "the feed is up", |_| cloud.feeds() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_cut_over_and_over_does_not_make_a_storm_of_requests() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    let before = cloud.server.seen().len();
    let end = Instant::now() + HOUR;
    while Instant::now() < end {
        cloud.cut_feeds();
        sleep(Duration::from_secs(1)).await;
    }
    let requests = cloud.server.seen().len() - before;
    assert!(requests < 400, "{requests} requests in an hour");
    assert!(store.health().is_synced());
}

#[tokio::test(start_paused = true)]
async fn a_dead_socket_is_noticed_and_replaced() {
    let cloud = Cloud::with_instances(10);
    cloud.faults(|faults| faults.dead_sockets = true);
    let store = start(&cloud);
    until(&store, "the feed is up", |store| matches!(store.health().feed, Feed::Up(_))).await;
    cloud.faults(|faults| faults.dead_sockets = false);
    let start = Instant::now();
    until(&store, "a live feed", |_| cloud.feeds() == 1).await;
    assert!(start.elapsed() < Duration::from_secs(120), "took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_empty_lists_buries_nobody() {
    let cloud = Cloud::with_instances(50);
    let store = synced(&cloud).await;
    cloud.faults(|faults| faults.empty_lists = true);
    let mut changes = store.subscribe();
    changes.changed().await;
    assert!(timeout(HOUR, changes.changed()).await.is_err(), "nothing changed");
    assert_eq!(store.len(), 50);
    assert!(store.entries().iter().all(|entry| entry.observed().state.as_str() == "running"));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_changes_nothing_and_is_told() {
    for status in [500, 503, 401, 403, 404] {
        let cloud = Cloud::with_instances(50);
        let store = synced(&cloud).await;
        cloud.faults(|faults| faults.outage = Some(status));
        cloud.cut_feeds();
        let mut changes = store.subscribe();
        changes.changed().await;
        assert!(timeout(HOUR, changes.changed()).await.is_err(), "nothing changed while all was {status}");
        let health = store.health();
        assert!(matches!(health.feed, Feed::Down(_)) && health.list_failures > 10, "{health:?}");
        assert!(health.staleness(Instant::now()).unwrap() > HOUR - Duration::from_secs(60));

        cloud.put(3, "stopped", 7);
        cloud.faults(|faults| faults.outage = None);
        let start = Instant::now();
        until(&store, "the store is true again", |store| known(store) == cloud.truth()).await;
        assert!(start.elapsed() < Duration::from_secs(180), "took {:?}", start.elapsed());
        assert_eq!(store.health().list_failures, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_404_for_a_listed_instance_is_a_lie_that_nobody_believes() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    cloud.faults(|faults| faults.denied = vec![id(4)]);
    for _ in 0..100 {
        store.recheck(id(4));
        sleep(Duration::from_secs(61)).await;
        assert!(!is_gone(&store, 4));
    }
    // Only when lists, too, show the others but not it, for long enough.
    cloud.faults(|faults| faults.hidden = vec![id(4)]);
    until(&store, "instance 4 is gone", |store| is_gone(store, 4)).await;
    assert_eq!(store.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_read_make_a_list_no_proof_but_keep_the_rest() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    let clean = store.health().last_clean_list;
    cloud.faults(|faults| {
        faults.garbage_rows = 3;
        faults.mute = true;
        faults.hidden = vec![id(9)];
    });
    cloud.put(3, "stopped", 7);
    until(&store, "the change is known", |store| known(store)[&id(3)].0 == 7).await;
    assert_eq!(store.health().last_clean_list, clean);
    let Lookup::Present(entry) = store.get(id(9)) else { panic!("9 is hidden, not gone") };
    assert_eq!(entry.doubt(), None);
}

#[tokio::test(start_paused = true)]
async fn hostile_frames_do_not_end_the_feed() {
    let cloud = Cloud::with_instances(10);
    let store = synced(&cloud).await;
    let deep = "[".repeat(100_000);
    for frame in ["", "null", "{}", "17", "{\"changedResourceId\":{}}", "\u{0}", &deep] {
        cloud.say(frame);
    }
    cloud.put(3, "stopped", 7);
    until(&store, "the change is known", |store| known(store)[&id(3)].0 == 7).await;
    assert_eq!(cloud.feeds(), 1);
    assert_eq!(cloud.server.count("GET", "/acme/changefeed"), 1);
}

#[tokio::test(start_paused = true)]
async fn many_unclear_events_cost_one_list_instead_of_many_reads() {
    let cloud = Cloud::with_instances(500);
    let store = synced(&cloud).await;
    sleep(Duration::from_secs(30)).await;
    let before = cloud.server.seen().len();
    for n in 1001..=1400 {
        cloud.put(n, "running", 1);
    }
    until(&store, "all are known", |store| store.len() == 900).await;
    let requests = cloud.server.seen().len() - before;
    assert!(requests < 10, "{requests} requests for 400 new instances");
}

/// Random histories with every fault at once; each seed is one history of about three hours.
#[tokio::test(start_paused = true)]
async fn random_histories_end_in_the_truth_and_never_bury_the_living() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cloud = Cloud::with_instances(20);
        let store = synced(&cloud).await;
        let mut next = 21;
        for step in 0..300 {
            match random.u8(..16) {
                0..3 => {
                    cloud.put(next, "provisioning", step);
                    next += 1;
                }
                3..7 => {
                    let n = random.u128(1..next);
                    if cloud.lives(id(n)) {
                        cloud.put(n, ["running", "stopped", "failed", "unknown"][random.usize(..4)], step);
                    }
                }
                7..9 => cloud.destroy(random.u128(1..next)),
                9 => cloud.cut_feeds(),
                10 => {
                    let hidden = (1..next).filter(|_| random.u8(..) < 40).map(id).collect();
                    cloud.faults(|faults| {
                        faults.hidden = hidden;
                        faults.mute = random.bool();
                        faults.stutter = random.bool();
                        faults.empty_lists = random.u8(..) < 30;
                        faults.garbage_rows = usize::from(random.u8(..) < 30);
                        faults.failing = random.u8(..120);
                        faults.seed = random.u64(..);
                    });
                }
                11 => cloud.faults(|faults| faults.outage = (random.u8(..) < 128).then_some(503)),
                _ => sleep(Duration::from_millis(random.u64(..60_000))).await,
            }
            tokio::task::yield_now().await;
            for n in 1..next {
                assert!(
                    !(is_gone(&store, n) && cloud.lives(id(n))),
                    "seed {seed}: {n} lives but is gone at {step}"
                );
            }
        }
        cloud.faults(|faults| *faults = crate::cloud::Faults::default());
        until(&store, &format!("seed {seed}: the store is true"), |store| known(store) == cloud.truth())
            .await;
    }
}
