//! Random histories: five candidates with wrong wall clocks, slow requests, a server that freezes.

use std::time::Duration;

use jiff::SignedDuration;
use runtime::leader::{Claim, Farewell};
use tokio::time::Instant;

use super::Candidate;
use crate::api_server::ApiServer;

const ROUNDS: u64 = 200;
const CANDIDATES: usize = 5;

/// What a round comes to, besides not failing.
#[derive(Debug, Default)]
struct Tally {
    /// Times that some candidate began to lead.
    terms: usize,
    /// Times that a leader lost its lease and came back as a new candidate.
    lost: usize,
}

/// One history of about two minutes.
async fn round(seed: u64) -> Tally {
    let mut random = fastrand::Rng::with_seed(seed);
    let server = ApiServer::new(seed);
    server.set_delay(Duration::from_millis(random.u64(0..3000)));
    let mut births = 0;
    let mut start = |random: &mut fastrand::Rng| {
        births += 1;
        let skew = SignedDuration::from_secs(random.i64(-7200..7200));
        Candidate::start(&server, &format!("candidate-{births}"), skew, random.u64(..))
    };
    let mut candidates: Vec<_> = (0..CANDIDATES).map(|_| start(&mut random)).collect();
    let mut tally = Tally::default();
    // Those that were told to leave are watched like the others while they do.
    let mut leaving: Vec<Candidate> = Vec::new();
    let mut leader = None;
    let end = Instant::now() + Duration::from_secs(120);
    let mut trouble = Instant::now() + Duration::from_secs(random.u64(5..30));
    while Instant::now() < end {
        let changed = next_change(&candidates, trouble).await;
        // Claims begin only when their channel says so, and time stands still while a task can run: who holds a
        // claim beside another is seen here.
        let valid: Vec<_> = candidates
            .iter()
            .chain(&leaving)
            .filter(|one| one.claim.is_valid())
            .map(|one| one.identity.clone())
            .collect();
        assert!(valid.len() <= 1, "seed {seed}: {valid:?} lead at the same time");
        if let Some(now) = valid.first().filter(|now| leader.as_ref() != Some(*now)) {
            tally.terms += 1;
            leader = Some(now.clone());
        }
        for candidate in &mut candidates {
            if candidate.run.is_finished() {
                tally.lost += 1;
                *candidate = start(&mut random);
            }
        }
        if changed == Change::Trouble {
            match random.u8(0..3) {
                0 => server.freeze(Duration::from_millis(random.u64(1000..25_000))),
                1 => {
                    let index = random.usize(0..CANDIDATES);
                    let mut left = std::mem::replace(&mut candidates[index], start(&mut random));
                    if let Some(stop) = left.stop.take() {
                        // Nobody listens when it has just lost its lease.
                        let _ = stop.send(Farewell::Release);
                    }
                    leaving.push(left);
                }
                _ => server.set_delay(Duration::from_millis(random.u64(0..3000))),
            }
            trouble = Instant::now() + Duration::from_secs(random.u64(5..30));
        }
    }
    tally
}

#[derive(PartialEq)]
enum Change {
    Claim,
    Trouble,
}

/// Waits until some claim begins or ends, some candidate ends, or it is time for trouble.
async fn next_change(candidates: &[Candidate], trouble: Instant) -> Change {
    async fn changes(claim: &Claim) {
        if claim.is_valid() {
            claim.lapsed().await;
        } else if claim.held().await.is_err() {
            // Its candidate has ended, which the caller sees.
        }
    }
    let claims = candidates.iter().map(|candidate| Box::pin(changes(&candidate.claim)));
    tokio::select! {
        biased;
        _ = futures::future::select_all(claims) => Change::Claim,
        () = tokio::time::sleep_until(trouble) => Change::Trouble,
    }
}

#[tokio::test(start_paused = true)]
async fn at_no_instant_do_two_hold_a_valid_claim() {
    let mut total = Tally::default();
    for seed in 0..ROUNDS {
        let tally = round(seed).await;
        assert!(tally.terms > 0, "seed {seed}: nobody ever led");
        total.terms += tally.terms;
        total.lost += tally.lost;
    }
    // The histories are worth something only when leadership changes hands, by will and by force.
    assert!(total.terms > 400 && total.lost > 100, "{total:?}");
}
