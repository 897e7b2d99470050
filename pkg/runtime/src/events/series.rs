//! Which writes a stream of happenings comes to. Pure; time is an argument.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

use super::Happening;

/// A happening that is not repeated for this long is a new event when it comes again; client-go's.
const SERIES: Duration = Duration::from_secs(6 * 60);

/// How often a series is written at most.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// So many different notes for one reason of one object are events of their own; further ones are combined, as in
/// client-go.
const DIFFERENT_NOTES: usize = 10;

/// So many series are remembered at most. One is about 250 bytes.
const REMEMBERED: usize = 2048;

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// A write of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    /// Stands for the object that the event is about: writes with the same number keep their order.
    pub(super) object: u64,
    /// The event's namespace.
    pub(super) namespace: Box<str>,
    /// The event's name.
    pub(super) name: Box<str>,
    pub(super) what: What,
}

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// Make the event.
    Create { happening: Box<Happening>, at: Timestamp },
    /// Say how often it has happened by now.
    Repeat { count: i32, last: Timestamp },
}

#[derive(Debug)]
struct Series {
    /// The note, as a hash; `None` for the combined one of all further notes.
    note: Option<u64>,
    object: u64,
    namespace: Box<str>,
    name: Box<str>,
    count: i32,
    last: Timestamp,
    seen: Instant,
    written: Instant,
    /// Whether it was repeated since it was written.
    pending: bool,
}

/// All series that go on.
#[derive(Debug, Default)]
pub(super) struct SeriesSet {
    /// By what makes two happenings alike, all but their notes, as a hash: the words themselves would be most of what is
    /// remembered.
    subjects: HashMap<u64, Vec<Series>>,
    hasher: RandomState,
    /// How many series there are in all.
    len: usize,
    /// How many of them were repeated since they were written, at most.
    pending: usize,
    named: u64,
}

impl SeriesSet {
    /// Something happened. Returns the write that this comes to, if any yet.
    pub(super) fn record(
        &mut self,
        mut happening: Happening,
        now: Instant,
        wall: Timestamp,
    ) -> Option<Write> {
        shorten(&mut happening.note);
        if self.len >= REMEMBERED {
            self.forget_the_oldest();
        }
        let object = self.hasher.hash_one(object(&happening.regarding));
        let subject =
            self.hasher.hash_one((object, happening.severity, &happening.reason, &happening.action));
        let mut note = Some(self.hasher.hash_one(&happening.note));
        let of_subject = self.subjects.entry(subject).or_default();
        let before = of_subject.len();
        of_subject.retain(|series| series.goes_on(now));
        if of_subject.len() >= DIFFERENT_NOTES && !of_subject.iter().any(|series| series.note == note) {
            note = None;
            happening.note = format!("(combined from similar events): {}", happening.note);
            shorten(&mut happening.note);
        }
        let write = match of_subject.iter_mut().find(|series| series.note == note) {
            Some(series) => {
                self.pending += usize::from(!series.pending);
                series.repeat(now, wall)
            }
            None => {
                self.named += 1;
                let series = Series {
                    note,
                    object,
                    namespace: namespace(&happening.regarding).into(),
                    name: event_name(&happening.regarding, wall, self.named).into(),
                    count: 1,
                    last: wall,
                    seen: now,
                    written: now,
                    pending: false,
                };
                let write = series.says(What::Create { happening: Box::new(happening), at: wall });
                // Most subjects have one note ever, and there are thousands.
                of_subject.reserve_exact(1);
                of_subject.push(series);
                Some(write)
            }
        };
        self.len = self.len + of_subject.len() - before;
        write
    }

    /// The repeats that are to be written by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Write> {
        let series = self.subjects.values_mut().flatten();
        let writes = series.filter(|series| series.is_due(now)).map(|series| series.write(now)).collect();
        self.pending = self.all().filter(|series| series.pending).count();
        writes
    }

    /// When [`SeriesSet::due`] has something next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        // As a rule nothing is repeated, and then thousands need not be looked at for each that happens once.
        if self.pending == 0 {
            return None;
        }
        self.all().filter(|series| series.pending).map(|series| series.written + WRITE_EVERY).min()
    }

    /// An event could not be made, or is gone: when it happens again, it is a new one.
    pub(super) fn forget_event(&mut self, name: &str) {
        self.keep(|series| *series.name != *name);
    }

    /// Forgets the older half, so that a flood of new series seldom has to look for the oldest.
    fn forget_the_oldest(&mut self) {
        let mut seen: Vec<_> = self.all().map(|series| series.seen).collect();
        seen.sort_unstable();
        if let Some(middle) = seen.get(seen.len() / 2).copied() {
            self.keep(|series| series.seen > middle);
        }
    }

    fn keep(&mut self, keep: impl Fn(&Series) -> bool) {
        self.subjects.retain(|_, of_subject| {
            of_subject.retain(&keep);
            !of_subject.is_empty()
        });
        self.len = self.all().count();
        self.pending = self.all().filter(|series| series.pending).count();
    }

    fn all(&self) -> impl Iterator<Item = &Series> {
        self.subjects.values().flatten()
    }
}

impl Series {
    fn goes_on(&self, now: Instant) -> bool {
        self.pending || now.saturating_duration_since(self.seen) < SERIES
    }

    fn repeat(&mut self, now: Instant, wall: Timestamp) -> Option<Write> {
        self.count = self.count.saturating_add(1);
        (self.last, self.seen, self.pending) = (wall, now, true);
        self.is_due(now).then(|| self.write(now))
    }

    fn is_due(&self, now: Instant) -> bool {
        self.pending && now.saturating_duration_since(self.written) >= WRITE_EVERY
    }

    fn write(&mut self, now: Instant) -> Write {
        (self.written, self.pending) = (now, false);
        self.says(What::Repeat { count: self.count, last: self.last })
    }

    fn says(&self, what: What) -> Write {
        Write { object: self.object, namespace: self.namespace.clone(), name: self.name.clone(), what }
    }
}

/// What tells objects apart.
fn object(regarding: &ObjectReference) -> [&Option<String>; 5] {
    let ObjectReference { kind, namespace, name, uid, field_path, .. } = regarding;
    [kind, namespace, name, uid, field_path]
}

/// Events of objects without a namespace live in `default`, as client-go has it.
pub(super) fn namespace(regarding: &ObjectReference) -> String {
    regarding
        .namespace
        .clone()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

/// A name as client-go makes it, `<object>.<hexadecimal time>`, with a count against two in one nanosecond.
fn event_name(regarding: &ObjectReference, wall: Timestamp, count: u64) -> String {
    let object = regarding.name.as_deref().unwrap_or("unknown");
    let unique = format!("{:x}.{count:x}", wall.as_nanosecond());
    // 253 is the longest name; names of objects are ASCII, and anything else is cut with the rest.
    let room = 253 - unique.len() - 1;
    let object: String = object.chars().filter(char::is_ascii).take(room).collect();
    format!("{}.{unique}", object.trim_end_matches(['.', '-']))
}

fn shorten(note: &mut String) {
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE - 3).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
        note.truncate(end);
        note.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    fn happening(object: &str, note: &str) -> Happening {
        let regarding = ObjectReference {
            kind: Some("Node".into()),
            name: Some(object.into()),
            ..ObjectReference::default()
        };
        let (reason, action) = ("DeletingNode".to_owned(), "Delete".to_owned());
        Happening { regarding, severity: Severity::Normal, reason, action, note: note.to_owned() }
    }

    fn wall(seconds: u64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + i64::try_from(seconds).unwrap()).unwrap()
    }

    /// Records the same note at these seconds, looking for what is due each second; returns the writes as `second:
    /// what`.
    fn writes(seconds: &[u64], until: u64) -> Vec<String> {
        let start = Instant::now();
        let mut set = SeriesSet::default();
        let mut log = Vec::new();
        for second in 0..=until {
            let now = start + Duration::from_secs(second);
            let recorded = seconds.iter().filter(|at| **at == second);
            let mut writes: Vec<_> =
                recorded.filter_map(|_| set.record(happening("n", "gone"), now, wall(second))).collect();
            writes.extend(set.due(now));
            for write in writes {
                log.push(match write.what {
                    What::Create { .. } => format!("{second}: new"),
                    What::Repeat { count, last } => {
                        format!("{second}: {count} times, last {}", last.as_second() - 1_800_000_000)
                    }
                });
            }
        }
        log
    }

    #[test]
    fn repeats_become_a_series_that_is_written_once_a_minute() {
        for (seconds, expected) in [
            (vec![0], vec!["0: new"]),
            (vec![0, 5, 10, 10], vec!["0: new", "60: 4 times, last 10"]),
            (vec![0, 100], vec!["0: new", "100: 2 times, last 100"]),
            (
                vec![0, 59, 61, 130],
                vec!["0: new", "60: 2 times, last 59", "120: 3 times, last 61", "180: 4 times, last 130"],
            ),
            (vec![0, 500], vec!["0: new", "500: new"]),
        ] {
            assert_eq!(writes(&seconds, 1000), expected, "{seconds:?}");
        }
    }

    #[test]
    fn a_happening_every_second_for_an_hour_costs_sixty_writes() {
        let every: Vec<u64> = (0..3600).collect();
        assert!(writes(&every, 3600).len() <= 62);
    }

    #[test]
    fn many_different_notes_are_combined() {
        let (start, mut set) = (Instant::now(), SeriesSet::default());
        let mut made = Vec::new();
        for number in 0..1000 {
            let write = set.record(happening("n", &format!("attempt {number}")), start, wall(0));
            if let Some(What::Create { happening, .. }) = write.map(|write| write.what) {
                made.push(happening.note);
            }
        }
        assert_eq!(made.len(), 11);
        assert_eq!(made[10], "(combined from similar events): attempt 10");
        assert!(set.record(happening("other", "attempt 0"), start, wall(0)).is_some(), "of another object");
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten_first() {
        let (start, mut set) = (Instant::now(), SeriesSet::default());
        for number in 0..10_000_u64 {
            let now = start + Duration::from_millis(number);
            set.record(happening(&format!("n{number}"), "gone"), now, wall(0));
        }
        assert!((REMEMBERED / 2..=REMEMBERED).contains(&set.len), "{}", set.len);
        assert_eq!(set.len, set.all().count());
        let now = start + Duration::from_secs(11);
        assert_eq!(set.record(happening("n9999", "gone"), now, wall(11)), None, "still remembered");
        assert!(set.record(happening("n0", "gone"), now, wall(11)).is_some(), "forgotten");
    }

    #[test]
    fn what_is_gone_is_made_again() {
        let (start, mut set) = (Instant::now(), SeriesSet::default());
        let first = set.record(happening("n", "gone"), start, wall(0)).unwrap();
        assert_eq!(set.record(happening("n", "gone"), start, wall(0)), None, "it is repeated");
        set.forget_event(&first.name);
        assert_eq!(set.next_due(), None, "of what is forgotten nothing is due");
        let again = set.record(happening("n", "gone"), start, wall(0)).unwrap();
        assert!(matches!(again.what, What::Create { .. }) && again.name != first.name);
        assert_eq!(again.object, first.object, "about the same object");
    }

    #[test]
    fn names_and_notes_fit() {
        let object = |name: &str| ObjectReference { name: Some(name.to_owned()), ..Default::default() };
        let stamp = "18fae27693b40000.7";
        assert_eq!(event_name(&object("n"), wall(0), 7), format!("n.{stamp}"));
        let long = event_name(&object(&"x".repeat(253)), wall(0), 7);
        assert!(long.len() == 253 && long.ends_with(stamp), "{long}");
        for (note, length) in [("a".repeat(1024), 1024), ("a".repeat(1025), 1024), ("ü".repeat(600), 1023)] {
            let mut short = note;
            shorten(&mut short);
            assert_eq!(short.len(), length);
        }
    }

    #[test]
    fn cluster_scoped_objects_have_their_events_in_default() {
        assert_eq!(namespace(&ObjectReference::default()), "default");
        let pod = ObjectReference { namespace: Some("shop".into()), ..Default::default() };
        assert_eq!(namespace(&pod), "shop");
    }
}
