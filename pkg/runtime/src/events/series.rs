//! Which writes a stream of happenings comes to. Pure; time is an argument.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

use super::{Happening, Severity};

/// A happening that is not repeated for this long is a new event when it comes again; client-go's.
const SERIES: Duration = Duration::from_secs(6 * 60);

/// How often a series is written at most.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// So many different notes for one reason of one object are events of their own; further ones are combined, as in
/// client-go.
const DIFFERENT_NOTES: usize = 10;

/// So many series are remembered at most. One is about a kilobyte.
const REMEMBERED: usize = 2048;

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// A write of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// Make an event of this name.
    Create { name: String, happening: Box<Happening>, at: Timestamp },
    /// Say how often it has happened by now.
    Repeat { namespace: String, name: String, count: i32, last: Timestamp },
}

/// What makes two happenings alike: all but their notes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Subject {
    object: [Option<String>; 5],
    severity: Severity,
    reason: String,
    action: String,
}

/// The series of one subject by note; `None` is the combined one of all further notes.
type ByNote = HashMap<Option<String>, Series>;

#[derive(Debug)]
struct Series {
    namespace: String,
    name: String,
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
    subjects: HashMap<Subject, ByNote>,
    /// How many series there are in all.
    len: usize,
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
        let by_note = self.subjects.entry(subject(&happening)).or_default();
        let before = by_note.len();
        by_note.retain(|_, series| series.goes_on(now));
        let mut note = Some(happening.note.clone());
        if !by_note.contains_key(&note) && by_note.len() >= DIFFERENT_NOTES {
            note = None;
            happening.note = format!("(combined from similar events): {}", happening.note);
            shorten(&mut happening.note);
        }
        let write = match by_note.entry(note) {
            Entry::Occupied(mut series) => series.get_mut().repeat(now, wall),
            Entry::Vacant(vacant) => {
                self.named += 1;
                let name = event_name(&happening.regarding, wall, self.named);
                vacant.insert(Series::new(namespace(&happening.regarding), name.clone(), now, wall));
                Some(Write::Create { name, happening: Box::new(happening), at: wall })
            }
        };
        self.len = self.len + by_note.len() - before;
        write
    }

    /// The repeats that are to be written by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Write> {
        let series = self.subjects.values_mut().flat_map(HashMap::values_mut);
        series.filter(|series| series.is_due(now)).map(|series| series.write(now)).collect()
    }

    /// When [`SeriesSet::due`] has something next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let series = self.subjects.values().flat_map(HashMap::values);
        series.filter(|series| series.pending).map(|series| series.written + WRITE_EVERY).min()
    }

    /// An event could not be made, or is gone: when it happens again, it is a new one.
    pub(super) fn forget_event(&mut self, name: &str) {
        self.keep(|series| series.name != name);
    }

    /// Forgets the older half, so that a flood of new series seldom has to look for the oldest.
    fn forget_the_oldest(&mut self) {
        let mut seen: Vec<_> =
            self.subjects.values().flat_map(HashMap::values).map(|series| series.seen).collect();
        seen.sort_unstable();
        if let Some(middle) = seen.get(seen.len() / 2).copied() {
            self.keep(|series| series.seen > middle);
        }
    }

    fn keep(&mut self, keep: impl Fn(&Series) -> bool) {
        self.subjects.retain(|_, by_note| {
            by_note.retain(|_, series| keep(series));
            !by_note.is_empty()
        });
        self.len = self.subjects.values().map(HashMap::len).sum();
    }
}

impl Series {
    fn new(namespace: String, name: String, now: Instant, wall: Timestamp) -> Self {
        Self { namespace, name, count: 1, last: wall, seen: now, written: now, pending: false }
    }

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
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        Write::Repeat { namespace, name, count: self.count, last: self.last }
    }
}

fn subject(happening: &Happening) -> Subject {
    let object = &happening.regarding;
    Subject {
        object: [
            object.kind.clone(),
            object.namespace.clone(),
            object.name.clone(),
            object.uid.clone(),
            object.field_path.clone(),
        ],
        severity: happening.severity,
        reason: happening.reason.clone(),
        action: happening.action.clone(),
    }
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
                log.push(match write {
                    Write::Create { .. } => format!("{second}: new"),
                    Write::Repeat { count, last, .. } => {
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
            if let Some(Write::Create { happening, .. }) =
                set.record(happening("n", &format!("attempt {number}")), start, wall(0))
            {
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
        assert_eq!(set.len, set.subjects.values().map(HashMap::len).sum::<usize>());
        let now = start + Duration::from_secs(11);
        assert_eq!(set.record(happening("n9999", "gone"), now, wall(11)), None, "still remembered");
        assert!(set.record(happening("n0", "gone"), now, wall(11)).is_some(), "forgotten");
    }

    #[test]
    fn what_is_gone_is_made_again() {
        let (start, mut set) = (Instant::now(), SeriesSet::default());
        let Some(Write::Create { name, .. }) = set.record(happening("n", "gone"), start, wall(0)) else {
            panic!("not made")
        };
        set.forget_event(&name);
        let again = set.record(happening("n", "gone"), start, wall(0));
        assert!(matches!(again, Some(Write::Create { name: other, .. }) if other != name));
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
