//! Watches that end as soon as they begin are begun ever more slowly.
//!
//! A watch that ends without an error is begun again at once by kube's watcher, without back-off: a proxy or server that
//! closes every watch at once would be asked as fast as it answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

/// A watch that lasted this long was worth beginning; the API server lets one last minutes.
const LASTED: Duration = Duration::from_secs(10);

/// The first pause, doubled for each further watch that did not last.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause; with [`LASTED`] still under the deadline of a call.
const LONGEST: Duration = Duration::from_secs(20);

/// The last beginning of a watch, and how many before it did not last.
#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Instant,
    short: u32,
}

/// When the next watch of the same thing may begin, and what to remember of it.
fn next(last: Option<Begun>, now: Instant) -> Begun {
    match last {
        Some(last) if now.saturating_duration_since(last.at) < LASTED => {
            let pause = FIRST.saturating_mul(1 << last.short.min(8)).min(LONGEST);
            Begun { at: now.max(last.at + pause), short: last.short + 1 }
        }
        _ => Begun { at: now, short: 0 },
    }
}

/// Clones share their memory; each client has its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Arc<Mutex<HashMap<String, Begun>>>);

impl Pace {
    /// When this watch may begin: not before `now`.
    pub(super) fn begin<B>(&self, watch: &Request<B>, now: Instant) -> Instant {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not watched any more is forgotten.
        begun.retain(|_, last| now.saturating_duration_since(last.at) < LASTED);
        let key = key(watch);
        let next = next(begun.get(&key).copied(), now);
        begun.insert(key, next);
        next.at
    }
}

/// A watch's path and selectors: what is the same when it is begun again.
fn key<B>(watch: &Request<B>) -> String {
    let query = watch.uri().query().unwrap_or_default();
    let kept = query.split('&').filter(|parameter| !parameter.starts_with("resourceVersion"));
    format!("{}?{}", watch.uri().path(), kept.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When watches begin that all end `lasting` after they began, in milliseconds since the first.
    fn beginnings(lasting: Duration, count: usize) -> Vec<u128> {
        let start = Instant::now();
        let pace = Pace::default();
        let mut now = start;
        let mut at = Vec::new();
        for version in 0..count {
            let watch = Request::get(format!("/api/v1/nodes?watch=true&resourceVersion={version}"));
            let begun = pace.begin(&watch.body(()).unwrap(), now);
            at.push((begun - start).as_millis());
            now = begun + lasting;
        }
        at
    }

    #[test]
    fn watches_that_do_not_last_begin_ever_more_slowly() {
        assert_eq!(beginnings(Duration::ZERO, 9), [0, 500, 1500, 3500, 7500, 15_500, 31_500, 51_500, 71_500]);
        assert_eq!(beginnings(Duration::from_millis(400), 3), [0, 500, 1500]);
    }

    #[test]
    fn watches_that_last_begin_at_once() {
        assert_eq!(beginnings(Duration::from_secs(290), 3), [0, 290_000, 580_000]);
    }

    #[test]
    fn other_watches_do_not_wait() {
        let (pace, now) = (Pace::default(), Instant::now());
        for uri in
            ["/api/v1/nodes?watch=true", "/api/v1/pods?watch=true", "/api/v1/pods?watch=true&fieldSelector=x"]
        {
            assert_eq!(pace.begin(&Request::get(uri).body(()).unwrap(), now), now, "{uri}");
        }
        let later = now + LASTED;
        assert_eq!(pace.begin(&Request::get("/api/v1/services?watch=true").body(()).unwrap(), later), later);
        assert_eq!(pace.0.lock().unwrap().len(), 1, "what is not watched any more is forgotten");
    }
}
