//! What happens to the nth request and to the nth event: pure functions of a seed.

use std::time::Duration;
use uuid::Uuid;

use fastrand::Rng;

use super::plan::{FeedFaults, Rate, RequestFaults};
use crate::cloudapi::Operation;

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Answer,
    /// 500.
    Error,
    /// Not at all.
    Timeout,
    /// 429, with seconds for `Retry-After`.
    Throttled(Option<u32>),
    /// 503, with seconds for `Retry-After`.
    Unavailable(Option<u32>),
    /// In the middle of the body.
    Torn,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decision {
    /// How long its answer waits.
    pub(crate) delay: Duration,
    /// How it ends.
    pub(crate) outcome: Outcome,
    /// Whether it is carried out although it ends badly.
    pub(crate) applied: bool,
    missing_row_rate: Rate,
    row_seed: u64,
}

impl Decision {
    /// Whether a list has this row.
    pub(crate) fn has_row(&self, row: u128) -> bool {
        if self.missing_row_rate == Rate::NEVER {
            return true;
        }
        let (high, low) = Uuid::from_u128(row).as_u64_pair();
        let mut rng = generator(&[self.row_seed, high, low]);
        !self.missing_row_rate.hits(rng.f64())
    }
}

/// A generator that depends on every one of the numbers, and does not repeat for neighbours of them.
fn generator(numbers: &[u64]) -> Rng {
    let seed = numbers.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |mixed, number| {
        // The finaliser of SplitMix64.
        let mut x = mixed ^ number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    });
    Rng::with_seed(seed)
}

/// Decides about the request number `n` of `operation`.
pub(crate) fn request(seed: u64, operation: Operation, n: u64, faults: &RequestFaults) -> Decision {
    // The name and not the position, which changes when operations are added.
    let name =
        operation.name().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut rng = generator(&[seed, name, n]);
    let rate = |rate: Option<Rate>| rate.unwrap_or_default().get();
    let jitter = u64::from(faults.jitter_ms.unwrap_or(0));
    let delay = u64::from(faults.latency_ms.unwrap_or(0)) + rng.u64(0..=jitter);
    let mut draw = rng.f64();
    let mut outcome = Outcome::Answer;
    for (rate, other) in [
        (rate(faults.error_rate), Outcome::Error),
        (rate(faults.timeout_rate), Outcome::Timeout),
        (rate(faults.throttle_rate), Outcome::Throttled(faults.retry_after_seconds)),
        (rate(faults.unavailable_rate), Outcome::Unavailable(faults.retry_after_seconds)),
        (rate(faults.torn_rate), Outcome::Torn),
    ] {
        if draw < rate {
            outcome = other;
            break;
        }
        draw -= rate;
    }
    let applied = match outcome {
        Outcome::Answer | Outcome::Torn => true,
        Outcome::Throttled(_) => false,
        Outcome::Error | Outcome::Timeout | Outcome::Unavailable(_) => faults.applied.unwrap_or(false),
    };
    Decision {
        delay: Duration::from_millis(delay),
        outcome,
        applied,
        missing_row_rate: faults.missing_row_rate.unwrap_or_default(),
        row_seed: rng.u64(..),
    }
}

/// What happens to one event of the changefeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is sent so many times.
    Copies(u8),
    /// It is sent later.
    Late(Duration),
    /// It is lost with the connections of all clients.
    Cut,
}

/// Decides about the event number `n`.
pub(crate) fn event(seed: u64, n: u64, faults: &FeedFaults) -> Delivery {
    let mut rng = generator(&[seed, u64::MAX, n]);
    if faults.cut_rate.hits(rng.f64()) {
        return Delivery::Cut;
    }
    if faults.lose_rate.hits(rng.f64()) {
        return Delivery::Copies(0);
    }
    if faults.duplicate_rate.hits(rng.f64()) {
        return Delivery::Copies(2);
    }
    if faults.delay_rate.hits(rng.f64()) {
        return Delivery::Late(faults.delay());
    }
    Delivery::Copies(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: f64) -> Option<Rate> {
        Some(Rate::new(rate).expect("a rate"))
    }

    #[test]
    fn nothing_goes_wrong_by_default() {
        for n in 0..100 {
            let decision = request(n, Operation::GetMachine, n, &RequestFaults::default());
            assert_eq!((decision.delay, decision.outcome), (Duration::ZERO, Outcome::Answer));
            assert!(decision.applied && decision.has_row(n.into()));
            assert_eq!(event(n, n, &FeedFaults::default()), Delivery::Copies(1));
        }
    }

    #[test]
    fn the_same_seed_decides_the_same_and_another_one_does_not() {
        let faults = RequestFaults {
            error_rate: rate(0.3),
            torn_rate: rate(0.3),
            jitter_ms: Some(9),
            ..Default::default()
        };
        let run = |seed, operation| -> Vec<Decision> {
            (0..200).map(|n| request(seed, operation, n, &faults)).collect()
        };
        assert_eq!(run(1, Operation::GetMachine), run(1, Operation::GetMachine));
        assert_ne!(run(1, Operation::GetMachine), run(2, Operation::GetMachine));
        assert_ne!(run(1, Operation::GetMachine), run(1, Operation::GetAccount));
        let outcomes =
            |seed| run(seed, Operation::GetMachine).iter().map(|it| it.outcome).collect::<Vec<_>>();
        assert_ne!(outcomes(1), outcomes(2));
    }

    #[test]
    fn rates_are_kept_and_add_up() {
        let faults = RequestFaults {
            error_rate: rate(0.1),
            timeout_rate: rate(0.2),
            throttle_rate: rate(0.3),
            unavailable_rate: rate(0.2),
            torn_rate: rate(0.1),
            retry_after_seconds: Some(2),
            latency_ms: Some(50),
            jitter_ms: Some(10),
            ..Default::default()
        };
        let decisions: Vec<_> =
            (0..10_000).map(|n| request(7, Operation::ListMachines, n, &faults)).collect();
        let share = |outcome| decisions.iter().filter(|it| it.outcome == outcome).count();
        for (outcome, expected) in [
            (Outcome::Error, 1000),
            (Outcome::Timeout, 2000),
            (Outcome::Throttled(Some(2)), 3000),
            (Outcome::Unavailable(Some(2)), 2000),
            (Outcome::Torn, 1000),
            (Outcome::Answer, 1000),
        ] {
            assert!(share(outcome).abs_diff(expected) < 200, "{outcome:?}: {}", share(outcome));
        }
        let delays: Vec<_> = decisions.iter().map(|it| it.delay.as_millis()).collect();
        assert_eq!((delays.iter().min(), delays.iter().max()), (Some(&50), Some(&60)));
    }

    #[test]
    fn only_what_the_plan_says_is_carried_out_without_an_answer() {
        let check = |faults: RequestFaults, applied: bool| {
            assert_eq!(request(1, Operation::CreateMachine, 0, &faults).applied, applied, "{faults:?}");
        };
        let one = Some(Rate::ALWAYS);
        for applied in [false, true] {
            let some = Some(applied);
            check(RequestFaults { error_rate: one, applied: some, ..Default::default() }, applied);
            check(RequestFaults { timeout_rate: one, applied: some, ..Default::default() }, applied);
            check(RequestFaults { unavailable_rate: one, applied: some, ..Default::default() }, applied);
            check(RequestFaults { throttle_rate: one, applied: some, ..Default::default() }, false);
            check(RequestFaults { torn_rate: one, applied: some, ..Default::default() }, true);
        }
    }

    #[test]
    fn each_list_misses_other_rows() {
        let faults = RequestFaults { missing_row_rate: rate(0.5), ..Default::default() };
        let rows = |n| -> Vec<bool> {
            let decision = request(1, Operation::ListMachines, n, &faults);
            (0..1000).map(|row| decision.has_row(row)).collect()
        };
        assert_eq!(rows(0), rows(0));
        assert_ne!(rows(0), rows(1));
        let kept = rows(0).iter().filter(|kept| **kept).count();
        assert!((400..600).contains(&kept), "{kept}");
    }

    #[test]
    fn events_go_wrong_as_often_as_they_should() {
        let faults = FeedFaults {
            lose_rate: Rate::new(0.2).expect("a rate"),
            duplicate_rate: Rate::new(0.25).expect("a rate"),
            delay_rate: Rate::new(0.5).expect("a rate"),
            delay_ms: 70,
            cut_rate: Rate::new(0.1).expect("a rate"),
        };
        let share = |delivery| (0..10_000).filter(|n| event(3, *n, &faults) == delivery).count();
        for (delivery, expected) in [
            (Delivery::Cut, 1000),
            (Delivery::Copies(0), 1800),
            (Delivery::Copies(2), 1800),
            (Delivery::Late(Duration::from_millis(70)), 2700),
            (Delivery::Copies(1), 2700),
        ] {
            assert!(share(delivery).abs_diff(expected) < 200, "{delivery:?}: {}", share(delivery));
        }
    }
}
