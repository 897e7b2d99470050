//! How long to wait before something is tried again.

use std::time::Duration;

/// A delay that begins with `first` and doubles with each failure up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
}

/// Between runs of an instance that stops by itself or fails its probes, and between attempts to make one that
/// CloudAPI refuses or fails to make: the kubelet's figures for containers.
pub(super) const RESTART: Backoff =
    Backoff { first: Duration::from_secs(10), longest: Duration::from_secs(300) };

/// Between calls that fail for no fault of the pod's: CloudAPI is down, or the state does not allow it yet. The
/// client has made its own attempts before.
pub(super) const CALL: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Between attempts to learn whether an instance is gone.
pub(super) const PROOF: Backoff =
    Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(300) };

/// A run of at least this length ends a streak of quick ends: twice the longest delay, as in the kubelet.
pub(super) const CALM: Duration = Duration::from_secs(600);

impl Backoff {
    /// The delay after this many failures in a row; none without failures.
    pub(super) fn after(self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => self.first.saturating_mul(1 << doublings.min(16)).min(self.longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0)]
    #[case(1, 10)]
    #[case(2, 20)]
    #[case(5, 160)]
    #[case(6, 300)]
    #[case(u32::MAX, 300)]
    fn restarts_wait_ten_seconds_doubling_to_five_minutes(#[case] failures: u32, #[case] seconds: u64) {
        assert_eq!(RESTART.after(failures), Duration::from_secs(seconds));
    }
}
