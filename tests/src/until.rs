//! Waiting for a condition with a bound, never for a while.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The bound: far more than anything takes, so that a slow machine fails no test.
const BOUND: Duration = Duration::from_secs(120);

/// Waits until something is so.
///
/// # Panics
/// When two minutes have passed and it is not.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition().await {
        assert!(Instant::now() < deadline, "{BOUND:?} passed, but not: {what}");
        sleep(Duration::from_millis(200)).await;
    }
}
