//! How the ends of instances that we deleted are proved: each by a read of its own, or many by one list of the
//! destroyed. Pure.
//!
//! A deletion costs its own calls, and a call that proves it would be one more. A list of the destroyed (reference 2.13)
//! shows each as `deleted`, which is what a 410 says. But CloudAPI keeps such rows for ever, in the order of their
//! random ids, so the list grows with history: it is walked only for as many deletions as make it worth its pages.

use std::time::Duration;

use tokio::time::Instant;

/// A page is worth it for this many deletions: it is one call, but far larger than the answer to a read.
const WORTH_A_PAGE: usize = 4;

/// Lists begin at least this far apart, and a few deletions wait as long for others, so that they come together.
const GAP: Duration = Duration::from_secs(1);

/// While other calls wait for the request budget, deletions are collected for this long. Nobody but the pods or nodes
/// that are going waits for them, and every call that is saved goes to somebody else.
const COLLECT: Duration = Duration::from_secs(5);

/// So many are enough whatever else waits: a page.
const ENOUGH: usize = 1000;

/// What to do about the deletions that wait for proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proving {
    /// Nothing before this.
    At(Instant),
    /// Read each.
    Reads,
    /// List the destroyed.
    List,
}

/// What is known of lists of the destroyed.
#[derive(Debug)]
pub(super) struct Proofs {
    begun: Option<Instant>,
    /// How many pages a list is taken to have.
    pages: usize,
}

impl Default for Proofs {
    fn default() -> Self {
        Self { begun: None, pages: 1 }
    }
}

impl Proofs {
    /// Decides. So many deletions wait, the first since `oldest`; `contended`: calls wait for the request budget.
    pub(super) fn decide(&self, waiting: usize, oldest: Instant, contended: bool, now: Instant) -> Proving {
        let collected = oldest + COLLECT;
        if contended && waiting < ENOUGH && collected > now {
            return Proving::At(collected);
        }
        if waiting < self.pages.saturating_mul(WORTH_A_PAGE) {
            let alone = oldest + GAP;
            return if alone > now { Proving::At(alone) } else { Proving::Reads };
        }
        match self.begun.map(|begun| begun + GAP).filter(|next| *next > now) {
            Some(next) => Proving::At(next),
            None => Proving::List,
        }
    }

    /// A list begins, for so many deletions. How many pages it may walk.
    pub(super) fn begin(&mut self, waiting: usize, now: Instant) -> usize {
        self.begun = Some(now);
        (waiting / WORTH_A_PAGE).max(1)
    }

    /// A list ended after so many pages; `whole` when there were no more, or none was needed.
    pub(super) fn ended(&mut self, pages: usize, whole: bool) {
        self.pages = if whole { pages.max(1) } else { self.pages.max(pages).saturating_mul(2) };
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_few(3, 0, false, None, Proving::At(s(1)))]
    #[case::a_few_that_nobody_joined(3, 1, false, None, Proving::Reads)]
    #[case::many(4, 0, false, None, Proving::List)]
    #[case::many_just_after_a_list(4, 0, false, Some(0), Proving::At(s(1)))]
    #[case::many_a_while_after_a_list(4, 0, false, Some(1), Proving::List)]
    #[case::while_others_wait(4, 4, true, None, Proving::At(s(1)))]
    #[case::collected_while_others_wait(4, 5, true, None, Proving::List)]
    #[case::few_although_collected(3, 5, true, None, Proving::Reads)]
    #[case::a_whole_page_while_others_wait(1000, 0, true, None, Proving::List)]
    fn deletions_are_proved_together_where_that_saves_calls(
        #[case] waiting: usize,
        #[case] oldest_ago: u64,
        #[case] contended: bool,
        #[case] list_ago: Option<u64>,
        #[case] expected: Proving,
    ) {
        let now = s(0);
        let mut proofs = Proofs::default();
        if let Some(ago) = list_ago {
            proofs.begin(100, now - Duration::from_secs(ago));
            proofs.ended(1, true);
        }
        let oldest = now - Duration::from_secs(oldest_ago);
        assert_eq!(proofs.decide(waiting, oldest, contended, now), expected);
    }

    /// So many seconds after some fixed instant.
    fn s(seconds: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(seconds + 1000)
    }

    #[test]
    fn a_long_history_is_walked_for_many_deletions_only() {
        let (mut proofs, now) = (Proofs::default(), s(0));
        assert_eq!(proofs.begin(20, now), 5);
        proofs.ended(5, false);
        let later = now + GAP;
        assert_eq!(proofs.decide(39, now, false, later), Proving::Reads);
        assert_eq!(proofs.decide(40, later, false, later), Proving::List);
        assert_eq!(proofs.begin(40, later), 10);
        proofs.ended(7, true);
        let later = later + GAP;
        assert_eq!(proofs.decide(28, later, false, later), Proving::List, "7 pages");
    }
}
