//! Two replicas of the process, of which one acts.

use std::time::Duration;

use tokio::time::sleep;

use super::stage::{Stage, until_ready_says};

/// How soon a released lease has its next holder: 1.2 retry periods of 2 s, and the requests.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_replica_that_is_asked_to_stop_hands_over_at_once_and_one_that_is_killed_within_the_lease() {
    let stage = Stage::set().await;
    let account = stage.account().await;
    let machine = async |name| stage.machine(&account, name).await;
    let (m1, m2, m3) = (machine("m1").await, machine("m2").await, machine("m3").await);
    // There is no initialised Node yet, as in a cluster that is just being made.
    stage.register("m1", &m1).await;
    let mut first = stage.start(&[]).await;
    until_ready_says(&first, 200, "ok").await;
    stage.until_initialised(&first, "m1").await;
    let mut second = stage.start(&[]).await;
    until_ready_says(&second, 200, "standby").await;

    assert!(first.stop("TERM").await.unwrap().success(), "{}", first.log());
    // While nobody leads.
    let leads = async || second.get("/readyz", &[]).await.unwrap() == (200, "ok".to_owned());
    let taken_over = tokio::time::timeout(TAKEN_OVER_WITHIN, async {
        while !leads().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    taken_over.await.unwrap_or_else(|_| panic!("nobody leads after {TAKEN_OVER_WITHIN:?}\n{}", second.log()));
    stage.register("m2", &m2).await;
    stage.until_initialised(&second, "m2").await;

    // Killed, it leaves its lease to run out.
    let third = stage.start(&[]).await;
    until_ready_says(&third, 200, "standby").await;
    second.stop("KILL").await.unwrap();
    stage.register("m3", &m3).await;
    stage.until_initialised(&third, "m3").await;
    until_ready_says(&third, 200, "ok").await;
}
