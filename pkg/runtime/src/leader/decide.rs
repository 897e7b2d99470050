//! What to do about the lease: a pure function of what was seen of it.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

use super::observed::Observed;

/// What a candidate or leader does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// There is no lease: make it.
    Create,
    /// Nobody holds it, or its holder has been still for too long: take it.
    TakeOver,
    /// We hold it: say so again.
    Renew,
    /// Somebody else holds it, or may still believe so until then.
    Wait {
        /// When waiting ends, should nothing change.
        until: Instant,
    },
}

/// Decides by what this process has seen and its own monotonic clock; what the record says of times is ignored.
pub(super) fn decide(observed: &Observed, me: &str, now: Instant) -> Decision {
    if observed.holder() == Some(me) {
        return Decision::Renew;
    }
    match (observed.bound(me, now), observed.lease()) {
        (Some(until), _) => Decision::Wait { until },
        (None, None) => Decision::Create,
        (None, Some(_)) => Decision::TakeOver,
    }
}

/// The lease as the writing crate must see it to do what was decided. It compares `renewTime` with its wall clock:
/// a lease to take over is shown as released in 1970, whatever it really says.
pub(super) fn shown(observed: &Observed, decision: Decision) -> Option<Lease> {
    let mut lease = observed.lease()?.clone();
    if decision == Decision::TakeOver {
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(jiff::Timestamp::UNIX_EPOCH));
        // The crate adds 1 to what it finds, and cannot do so with nothing or with the largest number.
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).clamp(0, i32::MAX - 1));
    }
    Some(lease)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    const OWN: Duration = Duration::from_secs(15);

    /// A lease that was renewed for the `renewals`th time.
    fn lease(holder: Option<&str>, duration: Option<i32>, renewals: i64) -> Lease {
        let renewed = jiff::Timestamp::from_second(renewals).unwrap();
        Lease {
            metadata: ObjectMeta { uid: Some("u".into()), ..Default::default() },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(Into::into),
                lease_duration_seconds: duration,
                renew_time: Some(MicroTime(renewed)),
                ..Default::default()
            }),
        }
    }

    /// Decides as `me` after sights of the lease at these seconds, at the last of them.
    fn after(sights: &[(u64, Option<Lease>)]) -> Result<Decision, u64> {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut observed = Observed::first(sights[0].1.clone(), OWN, at(sights[0].0));
        for (seconds, lease) in &sights[1..] {
            observed.again(lease.clone(), OWN, at(*seconds));
        }
        match decide(&observed, "me", at(sights[sights.len() - 1].0)) {
            Decision::Wait { until } => Err((until - start).as_secs()),
            decision => Ok(decision),
        }
    }

    #[test]
    fn a_free_lease_is_taken_at_once() {
        assert_eq!(after(&[(0, None)]), Ok(Decision::Create));
        assert_eq!(after(&[(0, Some(lease(Some(""), Some(1), 1)))]), Ok(Decision::TakeOver));
        assert_eq!(after(&[(0, Some(lease(None, None, 1)))]), Ok(Decision::TakeOver), "nulled by a tool");
        assert_eq!(after(&[(0, Some(Lease::default()))]), Ok(Decision::TakeOver), "no spec at all");
        let released = [(0, Some(lease(Some("a"), Some(15), 1))), (2, Some(lease(Some(""), Some(1), 2)))];
        assert_eq!(after(&released), Ok(Decision::TakeOver));
    }

    #[test]
    fn our_own_lease_is_renewed_however_old_it_looks() {
        assert_eq!(after(&[(0, Some(lease(Some("me"), Some(15), 1)))]), Ok(Decision::Renew));
        let old = || Some(lease(Some("me"), Some(15), 1));
        assert_eq!(after(&[(0, old()), (1000, old())]), Ok(Decision::Renew));
    }

    #[test]
    fn a_foreign_lease_is_taken_only_after_it_stood_still_before_our_own_eyes() {
        let still = |duration| Some(lease(Some("a"), duration, 1));
        for (sights, expected) in [
            // However old its times are: the first look starts the clock.
            (vec![(100, still(Some(15)))], Err(115)),
            (vec![(0, still(Some(15))), (14, still(Some(15)))], Err(15)),
            (vec![(0, still(Some(15))), (15, still(Some(15)))], Ok(Decision::TakeOver)),
            // A renewal in between starts it again.
            (vec![(0, still(Some(15))), (14, Some(lease(Some("a"), Some(15), 2)))], Err(29)),
            (
                vec![
                    (0, still(Some(15))),
                    (14, Some(lease(Some("a"), Some(15), 2))),
                    (28, Some(lease(Some("a"), Some(15), 2))),
                ],
                Err(29),
            ),
            // So does another holder.
            (vec![(0, still(Some(15))), (14, Some(lease(Some("b"), Some(15), 1)))], Err(29)),
            // The holder's own duration counts when it is longer; ours when it is shorter, missing or absurd.
            (vec![(0, still(Some(60))), (15, still(Some(60)))], Err(60)),
            (vec![(0, still(Some(1))), (14, still(Some(1)))], Err(15)),
            (vec![(0, still(None)), (14, still(None))], Err(15)),
            (vec![(0, still(Some(-5))), (14, still(Some(-5)))], Err(15)),
            (vec![(0, still(Some(i32::MAX))), (1_000_000, still(Some(i32::MAX)))], Err(2_147_483_647)),
        ] {
            assert_eq!(after(&sights), expected, "{sights:?}");
        }
    }

    #[test]
    fn other_changes_of_the_object_do_not_say_that_the_holder_lives() {
        let mut touched = lease(Some("a"), Some(15), 1);
        touched.metadata.annotations = Some([("by".to_owned(), "kubectl".to_owned())].into());
        touched.metadata.resource_version = Some("9".into());
        let sights = [(0, Some(lease(Some("a"), Some(15), 1))), (15, Some(touched))];
        assert_eq!(after(&sights), Ok(Decision::TakeOver));
        let mut replaced = lease(Some("a"), Some(15), 1);
        replaced.metadata.uid = Some("another".into());
        assert_eq!(after(&[(0, Some(lease(Some("a"), Some(15), 1))), (15, Some(replaced))]), Err(30));
    }

    #[test]
    fn a_deleted_lease_still_binds_until_its_holder_must_know() {
        let held = || Some(lease(Some("a"), Some(15), 1));
        assert_eq!(after(&[(0, held()), (3, None)]), Err(15));
        assert_eq!(after(&[(0, held()), (3, None), (15, None)]), Ok(Decision::Create));
        for free in [Some(""), Some("me")] {
            let ours = Some(lease(free, Some(15), 1));
            assert_eq!(after(&[(0, ours), (3, None)]), Ok(Decision::Create), "binds nobody but others");
        }
    }

    #[test]
    fn the_writer_sees_a_lease_to_take_over_as_released_long_ago() {
        for (transitions, expected) in
            [(None, 0), (Some(7), 7), (Some(-3), 0), (Some(i32::MAX), i32::MAX - 1)]
        {
            let mut held = lease(Some("a"), Some(15), 4_000_000_000);
            held.spec.as_mut().unwrap().lease_transitions = transitions;
            let observed = Observed::first(Some(held.clone()), OWN, Instant::now());
            let spec = shown(&observed, Decision::TakeOver).unwrap().spec.unwrap();
            assert_eq!(spec.holder_identity.as_deref(), Some(""));
            assert_eq!(spec.renew_time, Some(MicroTime(jiff::Timestamp::UNIX_EPOCH)));
            assert_eq!(spec.lease_transitions, Some(expected));
            assert_eq!(shown(&observed, Decision::Renew), Some(held));
        }
        assert_eq!(shown(&Observed::first(None, OWN, Instant::now()), Decision::Create), None);
        let bare = Observed::first(Some(Lease::default()), OWN, Instant::now());
        assert!(shown(&bare, Decision::TakeOver).unwrap().spec.is_some());
    }
}
