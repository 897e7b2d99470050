//! One candidate, and what it reads and writes.

use std::time::Duration;

use http::{Method, StatusCode};
use runtime::leader::{Farewell, LeaderError, Standing};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Candidate;
use crate::api_server::ApiServer;

/// A lease as client-go's leader elector writes it.
fn by_client_go(holder: &str, seconds: i32, transitions: i32) -> Value {
    json!({
        "holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": transitions,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z",
    })
}

#[tokio::test(start_paused = true)]
async fn makes_the_lease_when_there_is_none() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let now = "2027-01-15T08:00:00.000000Z";
    let expected = json!({
        "holderIdentity": "one", "leaseDurationSeconds": 15, "leaseTransitions": 0,
        "acquireTime": now, "renewTime": now,
    });
    assert_eq!(server.spec(), expected);
}

#[tokio::test(start_paused = true)]
async fn takes_over_from_client_go_after_it_released_and_counts_the_transition() {
    let server = ApiServer::new(1);
    server.put(by_client_go("", 1, 3));
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let spec = server.spec();
    assert_eq!(spec["holderIdentity"], "one");
    assert_eq!(spec["leaseTransitions"], 4);
    assert_eq!(spec["leaseDurationSeconds"], 15);
    assert_eq!(spec["acquireTime"], spec["renewTime"]);
}

#[tokio::test(start_paused = true)]
async fn renewals_keep_when_the_lease_was_acquired_and_need_one_request_each() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let acquired = server.spec();
    let start = Instant::now();
    while server.spec()["renewTime"] == acquired["renewTime"] {
        assert!(start.elapsed() < Duration::from_secs(3), "not renewed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let renewed = server.spec();
    assert_eq!(renewed["acquireTime"], acquired["acquireTime"]);
    assert_eq!(renewed["leaseTransitions"], 0);
    let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, [Method::GET, Method::POST, Method::PATCH]);
}

#[tokio::test(start_paused = true)]
async fn every_patch_is_bound_to_the_version_that_was_read_and_every_write_to_the_shared_manager() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    candidate.leave(Farewell::Release).await;
    let writes: Vec<_> = server.seen().into_iter().filter(|seen| seen.method != Method::GET).collect();
    assert!(writes.len() > 10);
    for write in writes {
        assert_eq!(write.query, "fieldManager=manager");
        let bound = write.body["metadata"]["resourceVersion"].is_string();
        assert_eq!(bound, write.method == Method::PATCH, "{write:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_full_duration_before_its_own_eyes_whatever_the_times_in_the_record_say() {
    for (renewed, duration) in [("2026-01-01T00:00:00.000000Z", 15), ("2999-01-01T00:00:00.000000Z", 15)] {
        let server = ApiServer::new(1);
        let mut spec = by_client_go("gone", duration, 0);
        spec["renewTime"] = json!(renewed);
        server.put(spec);
        let start = Instant::now();
        let candidate = Candidate::plain(&server, "one");
        candidate.leads_within(18).await;
        assert!(start.elapsed() >= Duration::from_secs(15), "after {:?}", start.elapsed());
        assert_eq!(server.spec()["holderIdentity"], "one");
    }
}

#[tokio::test(start_paused = true)]
async fn never_disturbs_a_leader_that_renews() {
    let server = ApiServer::new(1);
    let leader = Candidate::plain(&server, "leader");
    leader.leads_within(1).await;
    let other = Candidate::plain(&server, "other");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(leader.claim.is_valid());
    assert_eq!(other.claim.standing(), Standing::Standby { leader: Some("leader".into()) });
    assert!(
        server.seen().iter().all(|seen| seen.status.is_success() || seen.status == StatusCode::NOT_FOUND)
    );
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_over_in_under_three_seconds() {
    for seed in 0..50 {
        let server = ApiServer::new(seed);
        server.set_delay(Duration::from_millis(100));
        let leader = Candidate::plain(&server, "leader");
        leader.leads_within(2).await;
        let other = Candidate::start(&server, "other", jiff::SignedDuration::from_hours(-1), seed);
        while other.claim.standing() != (Standing::Standby { leader: Some("leader".into()) }) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        leader.leave(Farewell::Release).await;
        let released = Instant::now();
        assert_eq!(server.spec()["leaseTransitions"], 0);
        other.leads_within(10).await;
        assert!(released.elapsed() < Duration::from_secs(3), "seed {seed}: {:?}", released.elapsed());
        assert_eq!(server.spec()["leaseTransitions"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_reads_as_client_go_writes_it() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    let claim = candidate.claim.clone();
    candidate.leads_within(1).await;
    candidate.leave(Farewell::Release).await;
    let spec = server.spec();
    assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!(""), &json!(1)));
    assert!(!claim.is_valid());
}

#[tokio::test(start_paused = true)]
async fn the_claim_ends_before_the_release_is_sent() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let claim = candidate.claim.clone();
    server.freeze(Duration::from_secs(3));
    let (left, ended) = tokio::join!(candidate.leave(Farewell::Release), async {
        claim.lapsed().await;
        Instant::now()
    });
    let () = left;
    assert!(ended + Duration::from_secs(2) < Instant::now(), "the release took the frozen time");
    assert_eq!(server.spec()["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn a_lease_left_to_expire_stays_as_it_is() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    candidate.leave(Farewell::Expire).await;
    assert_eq!(server.spec()["holderIdentity"], "one");
}

#[tokio::test(start_paused = true)]
async fn stopping_a_standby_leaves_the_leader_alone() {
    let server = ApiServer::new(1);
    server.put(by_client_go("leader", 15, 2));
    let candidate = Candidate::plain(&server, "one");
    tokio::time::sleep(Duration::from_secs(5)).await;
    candidate.leave(Farewell::Release).await;
    assert_eq!(server.spec(), by_client_go("leader", 15, 2));
}

#[tokio::test(start_paused = true)]
async fn stops_leading_in_time_when_the_server_freezes_and_says_so() {
    let server = ApiServer::new(1);
    let mut candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let until = candidate.claim.valid_until().unwrap();
    server.freeze(Duration::from_secs(3600));
    candidate.claim.lapsed().await;
    assert!(Instant::now() <= until + Duration::from_millis(1));
    let error = (&mut candidate.run).await.unwrap().unwrap_err();
    assert!(matches!(error, LeaderError::Lost { .. }), "{error}");
    assert!(Instant::now() <= until + Duration::from_millis(1), "the elector noticed as well");
}

#[tokio::test(start_paused = true)]
async fn a_claim_counts_from_before_the_write_that_the_server_was_slow_to_answer() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let before = candidate.claim.valid_until().unwrap();
    // The next renewal is sent in 2.4 s at the latest, and answered after 4 s.
    server.freeze(Duration::from_secs(4));
    let start = Instant::now();
    while candidate.claim.valid_until() == Some(before) {
        assert!(start.elapsed() < Duration::from_secs(5), "not renewed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(start.elapsed() >= Duration::from_secs(4));
    assert!(candidate.claim.valid_until().unwrap() <= start + Duration::from_millis(12_400));
}

#[tokio::test(start_paused = true)]
async fn survives_refusals_shorter_than_the_renew_deadline() {
    for status in [500, 503, 429, 403, 409] {
        let server = ApiServer::new(1);
        let candidate = Candidate::plain(&server, "one");
        candidate.leads_within(1).await;
        server.refuse(Some(StatusCode::from_u16(status).unwrap()));
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(candidate.claim.is_valid());
        server.refuse(None);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(candidate.claim.is_valid(), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_refused_tells_why() {
    let server = ApiServer::new(1);
    server.refuse(Some(StatusCode::FORBIDDEN));
    let candidate = Candidate::plain(&server, "one");
    let told = async {
        loop {
            if let Standing::Trouble { error } = candidate.claim.standing() {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(5), told).await.unwrap();
    let expected = "may not read lease kube-system/lease; its role needs get, create and patch on \
                    leases.coordination.k8s.io: simulated (403 Forbidden)";
    assert_eq!(error, expected);
    server.refuse(None);
    candidate.leads_within(5).await;
}

#[tokio::test(start_paused = true)]
async fn ends_at_once_when_another_holds_the_lease() {
    let server = ApiServer::new(1);
    let mut candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    server.put(by_client_go("usurper", 15, 9));
    let start = Instant::now();
    let error = (&mut candidate.run).await.unwrap().unwrap_err();
    assert!(matches!(error, LeaderError::Lost { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(6), "a conflict, then a look: {:?}", start.elapsed());
    assert!(!candidate.claim.is_valid());
    assert_eq!(server.spec(), by_client_go("usurper", 15, 9), "the other's record is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_leader_makes_its_deleted_lease_again() {
    let server = ApiServer::new(1);
    let candidate = Candidate::plain(&server, "one");
    candidate.leads_within(1).await;
    let other = Candidate::plain(&server, "other");
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.delete();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(candidate.claim.is_valid());
    assert_eq!(server.spec()["holderIdentity"], "one");
    assert!(!other.claim.is_valid(), "who had seen the leader waited for it");
}

#[tokio::test(start_paused = true)]
async fn records_that_a_tool_broke_are_no_obstacle() {
    for spec in [
        json!({}),
        json!({"holderIdentity": null}),
        json!({"holderIdentity": "gone"}),
        json!({"holderIdentity": "gone", "leaseTransitions": 2_147_483_647, "leaseDurationSeconds": -1}),
    ] {
        let server = ApiServer::new(1);
        server.put(spec.clone());
        let candidate = Candidate::plain(&server, "one");
        candidate.leads_within(18).await;
        assert_eq!(server.spec()["holderIdentity"], "one", "{spec}");
    }
}
