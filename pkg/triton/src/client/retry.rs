//! Whether a failed attempt is repeated, and after how long. Pure.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::error::{Error, Kind};

/// The first delay; each further one is twice as long, plus up to as much again by chance, so that many
/// clients that failed together do not come back together.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// No delay of our own choice is longer; the server's `Retry-After` may be.
const LONGEST_DELAY: Duration = Duration::from_secs(20);

/// What may be done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is the same as doing it once: reads, deletes, replacements, merges.
    Harmless,
    /// Doing it twice does two things: creates, reboots. Repeated only when it surely did not happen.
    OnlyIfRefused,
}

/// The delays between the attempts of one call.
pub(super) struct Delays(ExponentialBackoff);

impl Delays {
    /// The seed makes the jitter repeatable.
    pub(super) fn new(seed: u64) -> Self {
        Self(
            ExponentialBuilder::new()
                .with_min_delay(FIRST_DELAY)
                .with_max_delay(LONGEST_DELAY)
                .with_factor(2.0)
                .with_jitter()
                .with_jitter_seed(seed)
                .without_max_times()
                .build(),
        )
    }

    /// How long to wait before the next attempt; `None` when the error is final.
    pub(super) fn after(
        &mut self,
        error: &Error,
        repeat: Repeat,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if !worth_repeating(error, repeat) {
            return None;
        }
        let own = self.0.next().unwrap_or(LONGEST_DELAY);
        Some(retry_after.map_or(own, |asked| asked.max(own)))
    }
}

fn worth_repeating(error: &Error, repeat: Repeat) -> bool {
    match error.kind() {
        // Refused before anything was done, so even a create may be repeated.
        Kind::Throttled => true,
        Kind::Unavailable | Kind::Server | Kind::Timeout | Kind::Unreachable | Kind::Interrupted => {
            repeat == Repeat::Harmless || !error.may_have_taken_effect()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn error(kind: Kind, status: Option<u16>, unsent: bool) -> Error {
        let mut error = Error::new(kind, "CreateMachine", "instance web", "no");
        if let Some(status) = status {
            error = error.answered(StatusCode::from_u16(status).unwrap(), None, None);
        }
        if unsent { error.never_sent() } else { error }
    }

    #[test]
    fn a_create_is_repeated_only_when_it_surely_did_not_happen() {
        // Kind, status, never sent; whether reads and whether creates are repeated.
        let cases = [
            (Kind::Throttled, Some(429), false, true, true),
            (Kind::Unreachable, None, true, true, true),
            (Kind::Unavailable, Some(503), false, true, false),
            (Kind::Server, Some(500), false, true, false),
            (Kind::Timeout, None, false, true, false),
            (Kind::Timeout, None, true, true, true),
            (Kind::Interrupted, None, false, true, false),
            (Kind::Unauthorized, Some(401), false, false, false),
            (Kind::NotFound, Some(404), false, false, false),
            (Kind::Duplicate, Some(409), false, false, false),
            (Kind::Protocol, Some(200), false, false, false),
            (Kind::Credentials, None, true, false, false),
        ];
        for (kind, status, unsent, read, create) in cases {
            let error = error(kind, status, unsent);
            let repeats = |repeat| Delays::new(1).after(&error, repeat, None).is_some();
            assert_eq!(repeats(Repeat::Harmless), read, "read after {kind:?} {status:?}");
            assert_eq!(repeats(Repeat::OnlyIfRefused), create, "create after {kind:?} {status:?}");
        }
    }

    #[test]
    fn delays_double_with_jitter_up_to_the_longest() {
        let error = error(Kind::Throttled, Some(429), false);
        for seed in 0..50 {
            let mut delays = Delays::new(seed);
            for attempt in 0..12 {
                let base = FIRST_DELAY.saturating_mul(1 << attempt).min(LONGEST_DELAY);
                let delay = delays.after(&error, Repeat::Harmless, None).unwrap();
                assert!(delay >= base && delay <= base * 2, "seed {seed} attempt {attempt}: {delay:?}");
            }
        }
    }

    #[test]
    fn retry_after_is_honoured_when_longer() {
        let error = error(Kind::Throttled, Some(429), false);
        let asked = Duration::from_secs(60);
        assert_eq!(Delays::new(1).after(&error, Repeat::Harmless, Some(asked)), Some(asked));
    }
}
