//! What our own reads say of an instance that the reflector never had: one that went while this process was not
//! running. The reflector remembers no 404 of those.

use std::time::Duration;

use tokio::time::Instant;
use triton::reflector::NOT_FOUND_APART;

/// While there is no proof, an instance that was not found is asked for this often.
const AGAIN: Duration = Duration::from_secs(300);

/// The 404 of one instance. Losing it is safe: the time begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Absence {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Absence {
    /// A read that began then was answered with 404.
    pub fn not_found(&mut self, begun: Instant) {
        self.first.get_or_insert(begun);
        self.last = self.last.max(Some(begun));
    }

    /// When it was last not found.
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// It is there, or nothing can be said: earlier answers count no more.
    pub fn refuted(&mut self) {
        *self = Self::default();
    }

    /// Since when it is proved not to be there: two answers far enough apart, and a clean list in between. A list
    /// that shows the instance makes it known, and then this is not asked.
    pub fn proved(&self, clean_list: Option<Instant>) -> Option<Instant> {
        let (first, last, list) = (self.first?, self.last?, clean_list?);
        (last.saturating_duration_since(first) >= NOT_FOUND_APART && list >= first).then_some(last)
    }

    /// When to ask next.
    pub fn next_read(&self, now: Instant) -> Instant {
        match (self.first, self.last) {
            (Some(first), Some(last)) if last.saturating_duration_since(first) < NOT_FOUND_APART => {
                first + NOT_FOUND_APART
            }
            (Some(_), Some(last)) => last + AGAIN,
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::never(&[], Some(10), None)]
    #[case::once(&[0], Some(10), None)]
    #[case::too_close(&[0, 59], Some(10), None)]
    #[case::apart(&[0, 60], Some(10), Some(60))]
    #[case::no_list(&[0, 60], None, None)]
    #[case::a_list_from_before(&[5, 65], Some(4), None)]
    #[case::confirmed_again(&[0, 60, 360], Some(10), Some(360))]
    #[tokio::test]
    async fn it_takes_two_answers_and_a_list(
        #[case] answers: &[u64],
        #[case] list: Option<u64>,
        #[case] proved: Option<u64>,
    ) {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut absence = Absence::default();
        answers.iter().for_each(|second| absence.not_found(at(*second)));
        assert_eq!(absence.proved(list.map(at)), proved.map(at));
        absence.refuted();
        assert_eq!(absence.proved(list.map(at)), None);
    }

    #[tokio::test]
    async fn it_is_asked_for_at_once_then_after_a_minute_then_seldom() {
        let start = Instant::now();
        let (mut absence, mut now, mut asked) = (Absence::default(), start, Vec::new());
        for _ in 0..4 {
            now = absence.next_read(now);
            asked.push((now - start).as_secs());
            absence.not_found(now);
        }
        assert_eq!(asked, [0, 60, 360, 660]);
    }
}
