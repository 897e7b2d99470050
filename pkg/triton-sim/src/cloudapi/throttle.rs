//! How many requests an account may send: a token bucket for each login and group of routes (reference 2.5).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::ApiError;
use super::routes::Group;

/// The account that is never throttled.
const EXEMPT: &str = "admin";

/// Size and rate of the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleLimits {
    /// How many requests may come at once.
    pub burst: u32,
    /// How many requests a second may come for long.
    pub rate: u32,
}

impl Default for ThrottleLimits {
    /// CloudAPI's own: 30 at once, 10 a second (reference 2.5).
    fn default() -> Self {
        Self { burst: 30, rate: 10 }
    }
}

/// One bucket: how full it was, and when.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Takes one token; `None` when there is none.
fn take(bucket: Bucket, limits: ThrottleLimits, now: Instant) -> (Bucket, bool) {
    let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * f64::from(limits.rate);
    let tokens = (bucket.tokens + gained).min(f64::from(limits.burst));
    let granted = tokens >= 1.0;
    (Bucket { tokens: if granted { tokens - 1.0 } else { tokens }, at: now }, granted)
}

/// The buckets of all accounts. Only logins that exist get one, so they do not grow without bound.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Nothing is throttled without.
    limits: Option<ThrottleLimits>,
    buckets: HashMap<(String, Group), Bucket>,
}

/// A bucket that nobody used for this long is full again and can be forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

impl Throttle {
    /// Buckets that are full.
    pub(crate) fn new(limits: Option<ThrottleLimits>) -> Self {
        Self(Mutex::new(Inner { limits, buckets: HashMap::new() }))
    }

    /// Size and rate of the buckets; `None` when nothing is throttled.
    pub(crate) fn limits(&self) -> Option<ThrottleLimits> {
        self.inner().limits
    }

    /// Other buckets from now on, all full.
    pub(crate) fn set(&self, limits: Option<ThrottleLimits>) {
        *self.inner() = Inner { limits, buckets: HashMap::new() };
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one request of an account that signed in, or refuses it.
    pub(crate) fn admit(&self, login: &str, group: Group, now: Instant) -> Result<(), ApiError> {
        let mut inner = self.inner();
        let Some(limits) = inner.limits else { return Ok(()) };
        if login == EXEMPT || group == Group::Open {
            return Ok(());
        }
        let buckets = &mut inner.buckets;
        if buckets.len() > 10_000 {
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < FORGOTTEN_AFTER);
        }
        let bucket = buckets
            .entry((login.to_owned(), group))
            .or_insert(Bucket { tokens: f64::from(limits.burst), at: now });
        let (next, granted) = take(*bucket, limits, now);
        *bucket = next;
        if granted {
            return Ok(());
        }
        let rate = limits.rate;
        Err(ApiError::throttled(format!("You have exceeded your request rate of {rate} r/s.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(throttle: &Throttle, login: &str, group: Group, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| throttle.admit(login, group, now).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_admitted_and_then_the_rate() {
        let throttle = Throttle::new(Some(ThrottleLimits::default()));
        let start = Instant::now();
        assert_eq!(granted(&throttle, "acme", Group::Machines, start, 40), 30);
        assert_eq!(granted(&throttle, "acme", Group::Machines, start + Duration::from_millis(100), 3), 1);
        assert_eq!(granted(&throttle, "acme", Group::Machines, start + Duration::from_millis(1100), 30), 10);
        // However long it was quiet, no more than the burst.
        assert_eq!(granted(&throttle, "acme", Group::Machines, start + Duration::from_secs(900), 99), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_and_groups_have_buckets_of_their_own() {
        let throttle = Throttle::new(Some(ThrottleLimits::default()));
        let start = Instant::now();
        assert_eq!(granted(&throttle, "acme", Group::Machines, start, 31), 30);
        assert_eq!(granted(&throttle, "acme", Group::Networks, start, 31), 30);
        assert_eq!(granted(&throttle, "other", Group::Machines, start, 31), 30);
        assert_eq!(granted(&throttle, "admin", Group::Machines, start, 99), 99);
    }

    #[tokio::test(start_paused = true)]
    async fn the_refusal_reads_as_cloudapis() {
        let throttle = Throttle::new(Some(ThrottleLimits { burst: 0, rate: 10 }));
        let error = throttle.admit("acme", Group::Account, Instant::now()).expect_err("throttled");
        assert_eq!(error.status.as_u16(), 429);
        assert_eq!(
            String::from_utf8(error.body()).expect("UTF-8"),
            r#"{"code":"TooManyRequestsError","message":"You have exceeded your request rate of 10 r/s."}"#
        );
        throttle.set(None);
        assert!(throttle.admit("acme", Group::Account, Instant::now()).is_ok());
    }
}
