//! When to read the catalogue. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How often the catalogue is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// For so long a catalogue is used without reading again: operators seldom add packages and images.
    pub fresh_for: Duration,
    /// At most once in this time, whatever is missing.
    pub least: Duration,
    /// For so long something that a reading did not find is not looked for again, so that a pod with a wrong name
    /// does not spend the account's request rate.
    pub forget_missing: Duration,
    /// The delay after the first failure; it doubles up to `longest_delay`.
    pub first_delay: Duration,
    /// The longest delay after failures.
    pub longest_delay: Duration,
    /// The time that each call of a reading may take, its waits and repeats included.
    pub deadline: Duration,
}

impl Pace {
    /// What the virtual kubelet does.
    pub const DEFAULT: Self = Self {
        fresh_for: Duration::from_secs(300),
        least: Duration::from_secs(10),
        forget_missing: Duration::from_secs(60),
        first_delay: Duration::from_secs(1),
        longest_delay: Duration::from_secs(60),
        deadline: Duration::from_secs(30),
    };
}

/// What was read and what was asked for.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    last_start: Option<Instant>,
    last_success: Option<Instant>,
    failures: u32,
    asked: bool,
    /// What was not found, and when that was first said.
    missing: BTreeMap<String, Instant>,
}

impl Agenda {
    /// When the next reading is due; `None`: when something is asked for.
    pub(super) fn due(&self, now: Instant, pace: &Pace) -> Option<Instant> {
        if self.last_success.is_some() && !self.asked {
            return None;
        }
        let Some(last_start) = self.last_start else {
            return Some(now);
        };
        let delay = match self.failures {
            0 => pace.least,
            failures => {
                let doubled = pace.first_delay.saturating_mul(1 << (failures - 1).min(16));
                doubled.min(pace.longest_delay)
            }
        };
        Some((last_start + delay).max(now))
    }

    /// The catalogue was used. Says whether that asks for a reading.
    pub(super) fn used(&mut self, now: Instant, pace: &Pace) -> bool {
        let is_old = self.last_success.is_some_and(|at| now.saturating_duration_since(at) >= pace.fresh_for);
        self.ask(is_old)
    }

    /// Something was not found. Says whether that asks for a reading.
    pub(super) fn missed(&mut self, what: String, now: Instant, pace: &Pace) -> bool {
        self.missing.retain(|_, since| now.saturating_duration_since(*since) < pace.forget_missing);
        let is_new = !self.missing.contains_key(&what);
        self.missing.entry(what).or_insert(now);
        self.ask(is_new)
    }

    fn ask(&mut self, because: bool) -> bool {
        let is_news = because && !self.asked;
        self.asked |= because;
        is_news
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.last_start = Some(now);
        self.asked = false;
    }

    /// A failure is repeated until it is none: who asked still waits.
    pub(super) fn ended(&mut self, succeeded: bool) {
        if succeeded {
            self.failures = 0;
            self.last_success = self.last_start;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.asked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace::DEFAULT;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn read(agenda: &mut Agenda, at: Instant, succeeded: bool) {
        agenda.started(at);
        agenda.ended(succeeded);
    }

    #[test]
    fn the_first_reading_is_at_once_and_the_next_when_an_old_one_is_used() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        assert_eq!(agenda.due(start, &PACE), Some(start));
        read(&mut agenda, start, true);
        assert_eq!(agenda.due(start + seconds(3600), &PACE), None);
        assert!(!agenda.used(start + seconds(299), &PACE));
        assert_eq!(agenda.due(start + seconds(299), &PACE), None);
        assert!(agenda.used(start + seconds(300), &PACE));
        assert_eq!(agenda.due(start + seconds(300), &PACE), Some(start + seconds(300)));
    }

    #[test]
    fn what_is_missing_is_looked_for_at_once_but_not_again_and_again() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        read(&mut agenda, start, true);
        assert!(agenda.missed("image a".into(), start + seconds(1), &PACE));
        assert!(!agenda.missed("image b".into(), start + seconds(2), &PACE));
        assert_eq!(agenda.due(start + seconds(2), &PACE), Some(start + seconds(10)));
        read(&mut agenda, start + seconds(10), true);
        assert!(!agenda.missed("image a".into(), start + seconds(11), &PACE));
        assert_eq!(agenda.due(start + seconds(11), &PACE), None);
        assert!(agenda.missed("image a".into(), start + seconds(61), &PACE));
    }

    #[test]
    fn a_failure_is_repeated_later_and_later() {
        let (mut agenda, mut now) = (Agenda::default(), Instant::now());
        for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
            read(&mut agenda, now, false);
            assert_eq!(agenda.due(now, &PACE), Some(now + seconds(delay)));
            now += seconds(delay);
        }
        read(&mut agenda, now, true);
        assert_eq!(agenda.due(now, &PACE), None);
    }

    #[test]
    fn what_is_asked_for_while_a_reading_is_under_way_is_read_after_it() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.started(start);
        assert!(agenda.missed("image a".into(), start, &PACE));
        agenda.ended(true);
        assert_eq!(agenda.due(start, &PACE), Some(start + seconds(10)));
    }
}
