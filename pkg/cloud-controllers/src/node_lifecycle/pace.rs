//! How fast Nodes may be deleted. Pure; time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Default of [`Limits::per_minute`]: a cluster of ordinary size is scaled down in a few minutes, and a fault that
/// deletes is seen before it has gone far.
pub const DELETIONS_PER_MINUTE: u32 = 20;

/// Default of [`Limits::share`].
pub const DELETION_SHARE: Share = Share(0.5);

/// The span over which deletions are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// A part of the cluster's machines, above 0 and up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// A part; `None` when it is not above 0 and up to 1.
    pub fn new(part: f64) -> Option<Self> {
        (part > 0.0 && part <= 1.0).then_some(Self(part))
    }

    /// The part.
    pub fn get(self) -> f64 {
        self.0
    }

    /// So many of a number, rounded down, but at least one.
    pub fn of(self, total: usize) -> usize {
        // A cluster has a few thousand machines: neither conversion loses anything.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let part = (total as f64 * self.0).floor() as usize;
        part.max(1)
    }
}

/// How many Nodes may be deleted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// At most so many in a minute.
    pub per_minute: u32,
    /// And no larger part than this of the cluster's machines in a minute, but at least one. Also: when a larger part
    /// is not found at the same time, that proves nothing.
    pub share: Share,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_minute: DELETIONS_PER_MINUTE, share: DELETION_SHARE }
    }
}

/// The deletions of the last minute: when each began, and the UID of its Node.
#[derive(Debug, Clone, Default)]
pub struct Pace(VecDeque<(Instant, Option<String>)>);

impl Pace {
    /// When the Node of this UID may be deleted, with so many machines left in the cluster; `now` when it may be now. One that
    /// is still there after a deletion without an answer does not wait for itself.
    pub fn opens(&self, limits: &Limits, machines: usize, uid: Option<&str>, now: Instant) -> Instant {
        let others = self.0.iter().filter(|(_, of)| of.is_none() || of.as_deref() != uid);
        let recent = others.map(|(at, _)| *at).filter(|at| now.saturating_duration_since(*at) < MINUTE);
        let recent: Vec<Instant> = recent.collect();
        let per_minute = usize::try_from(limits.per_minute.max(1)).unwrap_or(usize::MAX);
        let allowed = per_minute.min(limits.share.of(machines + recent.len()));
        match recent.len().checked_sub(allowed) {
            None => now,
            // When so many are over that there is room for one.
            Some(over) => recent.get(over).map_or(now, |at| *at + MINUTE),
        }
    }

    /// The Node of this UID is being deleted now.
    pub fn note(&mut self, uid: Option<&str>, now: Instant) {
        while self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= MINUTE) {
            self.0.pop_front();
        }
        self.0.retain(|(_, of)| of.is_none() || of.as_deref() != uid);
        self.0.push_back((now, uid.map(str::to_owned)));
    }

    /// The Node that was being deleted at that time was not: the API server refused.
    pub fn take_back(&mut self, at: Instant) {
        if let Some(index) = self.0.iter().rposition(|(noted, _)| *noted == at) {
            self.0.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn limits(per_minute: u32, share: f64) -> Limits {
        Limits { per_minute, share: Share::new(share).unwrap() }
    }

    /// At which seconds each of `count` Nodes of a cluster goes, when all are to go at once.
    fn seconds(limits: &Limits, machines: usize, count: usize) -> Vec<u64> {
        let start = Instant::now();
        let (mut pace, mut now, mut left, mut gone) = (Pace::default(), start, machines, Vec::new());
        while gone.len() < count {
            let uid = gone.len().to_string();
            let opens = pace.opens(limits, left, Some(&uid), now);
            if opens <= now {
                pace.note(Some(&uid), now);
                left -= 1;
                gone.push((now - start).as_secs());
            }
            now = now.max(opens);
        }
        gone
    }

    #[rstest]
    #[case::room_for_all(limits(20, 0.5), 10, 3, &[0, 0, 0])]
    #[case::so_many_a_minute(limits(2, 1.0), 10, 5, &[0, 0, 60, 60, 120])]
    #[case::a_share(limits(20, 0.5), 8, 6, &[0, 0, 0, 0, 60, 60])]
    #[case::at_least_one(limits(20, 0.1), 2, 2, &[0, 60])]
    #[case::never_none(limits(0, 1.0), 2, 2, &[0, 60])]
    #[tokio::test]
    async fn deletions_are_spread(
        #[case] limits: Limits,
        #[case] machines: usize,
        #[case] count: usize,
        #[case] expected: &[u64],
    ) {
        assert_eq!(seconds(&limits, machines, count), expected);
    }

    #[tokio::test]
    async fn a_deletion_that_was_refused_does_not_count() {
        let (limits, now) = (limits(1, 1.0), Instant::now());
        let mut pace = Pace::default();
        pace.note(Some("a"), now);
        assert_eq!(pace.opens(&limits, 5, Some("b"), now), now + MINUTE);
        pace.take_back(now);
        assert_eq!(pace.opens(&limits, 5, Some("b"), now), now);
    }

    #[rstest]
    #[case::the_same_node(Some("a"), Some("a"), 1)]
    #[case::another_node(Some("a"), Some("b"), 60)]
    #[case::nobody_knows(None, None, 60)]
    #[tokio::test]
    async fn a_node_does_not_wait_for_its_own_deletion_that_was_not_answered(
        #[case] first: Option<&str>,
        #[case] second: Option<&str>,
        #[case] opens: u64,
    ) {
        let (limits, start) = (limits(1, 1.0), Instant::now());
        let mut pace = Pace::default();
        pace.note(first, start);
        let now = start + Duration::from_secs(1);
        assert_eq!(pace.opens(&limits, 2, second, now), start + Duration::from_secs(opens));
        // It counts once, from its last attempt on.
        pace.note(first, now);
        if first.is_some() {
            assert_eq!(pace.opens(&limits, 2, Some("c"), now), now + MINUTE);
        }
    }

    #[test]
    fn a_share_is_a_part() {
        for (part, good) in
            [(0.0, false), (0.01, true), (1.0, true), (1.1, false), (-0.5, false), (f64::NAN, false)]
        {
            assert_eq!(Share::new(part).is_some(), good, "{part}");
        }
        assert_eq!((DELETION_SHARE.of(7), DELETION_SHARE.of(0)), (3, 1));
    }
}
