//! One rule, one short history.

use super::*;
use crate::changefeed::Event;
use crate::reflector::checks::Reason;
use crate::reflector::index::{Index, List};
use crate::reflector::{Expectation, PENDING_FOR, Proof};
use crate::types::{InstanceState, TagValue};

struct Story {
    index: Index,
    start: Instant,
}

impl Story {
    fn new() -> Self {
        Self { index: Index::default(), start: Instant::now() }
    }

    /// A story that begins with a clean list of these running instances at second 0.
    fn listed(slots: impl IntoIterator<Item = u128>) -> Self {
        let mut story = Self::new();
        story.list(0, slots.into_iter().map(|slot| instance(slot, "running", 0, 0)));
        story
    }

    fn at(&self, second: u64) -> Instant {
        seconds(self.start, second)
    }

    fn list(&mut self, second: u64, rows: impl IntoIterator<Item = Instance>) -> Vec<InstanceId> {
        self.list_of(second, true, rows)
    }

    fn list_of(
        &mut self,
        second: u64,
        clean: bool,
        rows: impl IntoIterator<Item = Instance>,
    ) -> Vec<InstanceId> {
        let begun = self.at(second);
        let rows = rows.into_iter().collect();
        self.index.apply_list(List { begun, rows, clean }, begun)
    }

    fn event(&mut self, second: u64, instance: &Instance) -> Vec<InstanceId> {
        let event = Event {
            id: instance.id,
            published: None,
            sub_resources: Vec::new(),
            vm_state: Some(instance.state.as_str().into()),
            instance: Some(Box::new(as_in_event(instance))),
        };
        self.index.apply_event(event, self.at(second))
    }

    fn not_found(&mut self, second: u64, slot: u128) {
        self.index.apply_not_found(id(slot), self.at(second), self.at(second));
    }

    /// The reads that are due, without taking note that they are made.
    fn due(&mut self, second: u64) -> Vec<(InstanceId, Reason)> {
        self.index.checks.take_due(self.at(second), 100)
    }

    fn rev(&self, slot: u128) -> Option<TagValue> {
        self.index.get(id(slot))?.observed().tags.get("rev").cloned()
    }

    fn exists(&self, slot: u128) -> bool {
        self.index.get(id(slot)).is_some()
    }
}

fn rev(n: i64) -> Option<TagValue> {
    Some(TagValue::from(n))
}

#[test]
fn a_newer_event_is_applied_and_keeps_the_package_it_does_not_carry() {
    let mut story = Story::listed([1]);
    assert_eq!(story.event(10, &instance(1, "stopped", 500, 1)), [id(1)]);
    let entry = story.index.get(id(1)).unwrap();
    assert_eq!(entry.observed().state, InstanceState::Stopped);
    assert_eq!(entry.observed().package.as_deref(), Some("g1.small"));
    assert!(story.due(3600).is_empty(), "a clear event needs no read");
}

#[test]
fn repeated_and_reordered_events_change_nothing() {
    let mut story = Story::listed([1]);
    story.event(10, &instance(1, "running", 200, 2));
    assert!(story.event(11, &instance(1, "running", 200, 2)).is_empty());
    assert!(story.event(12, &instance(1, "running", 100, 1)).is_empty());
    assert_eq!(story.rev(1), rev(2));
    assert!(story.due(3600).is_empty());
}

#[test]
fn two_versions_of_the_same_millisecond_are_settled_by_a_read() {
    let mut story = Story::listed([1]);
    story.event(10, &instance(1, "running", 200, 2));
    assert!(story.event(11, &instance(1, "running", 200, 3)).is_empty());
    assert_eq!(story.due(12), [(id(1), Reason::Tie)]);
    let begun = story.at(12);
    story.index.apply_found(instance(1, "running", 200, 3), begun, begun);
    assert_eq!(story.rev(1), rev(3));
    assert!(story.due(3600).is_empty());
}

#[test]
fn a_later_version_settles_them_too() {
    let mut story = Story::listed([1]);
    story.event(10, &instance(1, "running", 200, 2));
    story.event(10, &instance(1, "running", 200, 3));
    assert_eq!(story.event(10, &instance(1, "running", 201, 4)), [id(1)]);
    assert!(story.due(3600).is_empty());
}

#[test]
fn a_list_that_began_before_an_event_does_not_undo_it() {
    let mut story = Story::listed([1]);
    story.event(20, &instance(1, "stopped", 500, 1));
    let begun = story.at(19);
    let late = List { begun, rows: vec![instance(1, "running", 0, 0)], clean: true };
    assert!(story.index.apply_list(late, story.at(25)).is_empty());
    assert_eq!(story.rev(1), rev(1));
}

#[test]
fn a_clock_that_goes_back_delays_the_truth_until_the_next_list_only() {
    let mut story = Story::listed([]);
    story.list(1, [instance(1, "running", 9000, 1)]);
    assert!(story.event(2, &instance(1, "running", 100, 2)).is_empty());
    assert_eq!(story.list(300, [instance(1, "running", 100, 2)]), [id(1)]);
    assert_eq!(story.rev(1), rev(2));
    assert_eq!(story.due(306), [(id(1), Reason::Content)], "in case that list was the one that lags");
}

#[test]
fn an_event_about_an_unknown_instance_is_a_reason_to_read_it() {
    let mut story = Story::listed([1]);
    assert!(story.event(10, &instance(2, "provisioning", 500, 0)).is_empty());
    assert!(!story.exists(2));
    assert_eq!(story.due(12), [(id(2), Reason::Content)]);
}

#[test]
fn within_one_millisecond_nothing_goes_back_to_provisioning_and_what_we_asked_for_came_later() {
    let mut story = Story::listed([1]);
    let now = story.at(10);
    story.index.apply_created(instance(2, "provisioning", 500, 0), now);
    assert_eq!(story.event(11, &instance(2, "running", 500, 0)), [id(2)]);
    assert!(story.event(11, &instance(2, "provisioning", 500, 0)).is_empty());
    assert_eq!(story.index.get(id(2)).unwrap().observed().state, InstanceState::Running);

    let now = story.at(20);
    story.index.expect(id(2), Expectation::State(InstanceState::Stopped), now);
    assert_eq!(story.event(20, &instance(2, "stopped", 500, 0)), [id(2)]);
    assert!(story.due(3600).is_empty(), "all is seen: {:?}", story.due(3600));
}

#[test]
fn an_event_that_is_faster_than_the_answer_to_a_creation_is_not_lost() {
    let mut story = Story::listed([1]);
    story.event(10, &instance(2, "provisioning", 500, 0));
    story.event(10, &instance(2, "running", 700, 1));
    story.event(10, &instance(2, "provisioning", 500, 0));
    let now = story.at(10);
    assert_eq!(story.index.apply_created(instance(2, "provisioning", 500, 0), now), [id(2)]);
    let entry = story.index.get(id(2)).unwrap();
    assert_eq!((&entry.observed().state, entry.pending().len()), (&InstanceState::Running, 0));
    assert!(story.due(3600).is_empty(), "there is nothing to read");
}

#[test]
fn a_write_is_looked_for_unless_it_is_seen() {
    for (seen, due) in [(false, vec![(id(1), Reason::Unseen)]), (true, vec![])] {
        let mut story = Story::listed([1]);
        let now = story.at(10);
        story.index.expect(id(1), Expectation::State(InstanceState::Stopped), now);
        if seen {
            story.event(11, &instance(1, "stopped", 500, 0));
        }
        assert_eq!(story.due(26), due);
    }
}

/// Instance 1, deleted by us and said to be destroyed.
fn said_to_be_destroyed() -> Story {
    let mut story = Story::listed([1, 2]);
    let now = story.at(10);
    story.index.expect(id(1), Expectation::Gone, now);
    story.event(11, &instance(1, "destroyed", 500, 0));
    story
}

#[test]
fn a_deletion_of_ours_is_proved_by_a_list_of_the_destroyed() {
    let mut story = said_to_be_destroyed();
    assert!(story.exists(1), "an event is a claim");
    assert!(story.due(12).is_empty(), "it waits for others");
    let now = story.at(12);
    assert_eq!(story.index.checks.deletions(now), Some((1, story.at(11))));
    let asked = story.index.checks.take_deletions(now);
    let rows = [summary(1, "deleted"), summary(2, "deleted")];
    assert_eq!(story.index.apply_destroyed(&asked, &rows, now), [id(1)]);
    assert_eq!(story.index.tombstone(id(1)).unwrap().proof, Proof::Destroyed);
    assert!(story.exists(2), "nobody asked about it");
    assert!(story.due(12).is_empty());
}

#[test]
fn a_deletion_that_such_a_list_does_not_show_is_read() {
    for rows in [vec![], vec![summary(1, "running")], vec![summary(1, "failed")]] {
        let mut story = said_to_be_destroyed();
        let now = story.at(12);
        let asked = story.index.checks.take_deletions(now);
        assert!(story.index.checks.deletions(now).is_none(), "the list is under way");
        assert!(story.index.apply_destroyed(&asked, &rows, now).is_empty());
        assert!(story.exists(1));
        assert_eq!(story.due(12), [(id(1), Reason::Destroyed)]);
    }
}

#[test]
fn an_event_that_is_faster_than_the_answer_to_our_deletion_waits_for_others_too() {
    let mut story = Story::listed([1, 2]);
    story.index.apply_deleting(id(1));
    for slot in [1, 2] {
        story.event(11, &instance(slot, "destroyed", 500, 0));
    }
    assert_eq!(story.due(12), [(id(2), Reason::Destroyed)], "nobody here deleted the other");
    assert_eq!(story.index.checks.deletions(story.at(12)), Some((1, story.at(11))));
    let now = story.at(12);
    story.index.expect(id(1), Expectation::Gone, now);
    let asked = story.index.checks.take_deletions(now);
    assert_eq!(story.index.apply_destroyed(&asked, &[summary(1, "deleted")], now), [id(1)]);
}

#[test]
fn who_asks_for_proof_gets_a_read() {
    let mut story = said_to_be_destroyed();
    let now = story.at(12);
    story.index.checks.ask(id(1), Reason::Destroyed, now, now);
    assert!(story.index.checks.deletions(now).is_none());
    assert_eq!(story.due(12), [(id(1), Reason::Destroyed)]);
}

#[test]
fn an_instance_missing_from_lists_stays_until_a_410() {
    let mut story = Story::listed([1, 2]);
    for round in 1..=10 {
        assert!(story.list(round * 300, [instance(1, "running", 0, 0)]).is_empty());
        assert!(story.exists(2));
        assert_eq!(story.due(round * 300), [(id(2), Reason::Missing)]);
    }
    assert_eq!(story.index.get(id(2)).unwrap().doubt().unwrap().missed_lists, 10);
    let now = story.at(3001);
    assert_eq!(story.index.apply_gone(id(2), None, now), [id(2)]);
    assert_eq!(story.index.tombstone(id(2)).unwrap().proof, Proof::Destroyed);
}

#[test]
fn a_read_or_a_later_list_ends_the_doubt() {
    let mut story = Story::listed([1, 2]);
    story.list(300, [instance(1, "running", 0, 0)]);
    let begun = story.at(301);
    story.index.apply_found(instance(2, "running", 0, 0), begun, begun);
    assert_eq!(story.index.get(id(2)).unwrap().doubt(), None);
    story.list(600, [instance(1, "running", 0, 0)]);
    story.list(900, [instance(1, "running", 0, 0), instance(2, "running", 0, 0)]);
    assert_eq!(story.index.get(id(2)).unwrap().doubt(), None);
    assert!(story.due(3600).is_empty());
}

#[test]
fn an_unclean_list_raises_no_doubt() {
    let mut story = Story::listed([1, 2]);
    story.list_of(300, false, [instance(1, "running", 0, 0)]);
    assert_eq!(story.index.get(id(2)).unwrap().doubt(), None);
    assert!(story.due(3600).is_empty());
}

#[test]
fn a_404_proves_nothing_without_a_second_one_apart_and_a_list_between() {
    // Seconds of 404s, seconds of clean lists that show instance 1 but not 2, and whether 2 is gone then.
    let cases: &[(&[u64], &[u64], bool)] = &[
        (&[10], &[], false),
        (&[10, 20, 30, 40, 50, 60], &[15, 45], false),
        (&[10, 200, 400, 600], &[], false),
        (&[10, 200], &[5], false),
        (&[10, 200], &[100], true),
        (&[10, 69], &[30], false),
        (&[10, 70], &[30], true),
    ];
    for (not_found, lists, gone) in cases {
        let mut story = Story::listed([1, 2]);
        for second in 0..1000 {
            if lists.contains(&second) {
                story.list(second, [instance(1, "running", 0, 0)]);
            }
            if not_found.contains(&second) {
                story.not_found(second, 2);
            }
        }
        assert_eq!(!story.exists(2), *gone, "404 at {not_found:?}, lists at {lists:?}");
        if *gone {
            assert_eq!(story.index.tombstone(id(2)).unwrap().proof, Proof::NotFound);
        }
    }
}

#[test]
fn an_instance_that_lists_may_not_show_needs_a_410() {
    for state in ["failed", "provisioning"] {
        let mut story = Story::listed([1]);
        story.list(10, [instance(1, "running", 0, 0), instance(2, state, 0, 0)]);
        for second in (100..5000).step_by(100) {
            story.list(second, [instance(1, "running", 0, 0)]);
            story.not_found(second + 10, 2);
        }
        assert!(story.exists(2), "{state}");
        let now = story.at(5000);
        assert_eq!(story.index.apply_gone(id(2), None, now), [id(2)]);
    }
}

#[test]
fn an_empty_list_is_no_witness_however_often() {
    let mut story = Story::listed([1, 2]);
    for second in (100..5000).step_by(100) {
        story.list(second, []);
        story.not_found(second + 10, 1);
        story.not_found(second + 10, 2);
    }
    assert!(story.exists(1) && story.exists(2));
}

#[test]
fn a_destroyed_event_is_a_claim_that_a_read_must_prove() {
    let mut story = Story::listed([1]);
    assert!(story.event(10, &instance(1, "deleted", 500, 0)).is_empty());
    assert!(story.exists(1));
    assert_eq!(story.due(10), [(id(1), Reason::Destroyed)]);
    // A list that still shows it does not end the question, a read does.
    story.list(20, [instance(1, "running", 0, 0)]);
    assert_eq!(story.due(400), [(id(1), Reason::Destroyed)]);
    let begun = story.at(401);
    story.index.apply_found(instance(1, "running", 0, 0), begun, begun);
    assert!(story.due(3600).is_empty());
}

#[test]
fn nothing_late_brings_a_destroyed_instance_back() {
    let mut story = Story::listed([1]);
    let now = story.at(10);
    story.index.apply_gone(id(1), Some(instance(1, "deleted", 900, 0)), now);
    assert!(story.event(11, &instance(1, "running", 800, 0)).is_empty());
    story.list(12, [instance(1, "running", 0, 0)]);
    assert!(!story.exists(1));
    assert_eq!(story.due(12), [(id(1), Reason::Content)], "a list that shows it is worth a read");
    let begun = story.at(13);
    assert_eq!(story.index.apply_found(instance(1, "running", 0, 0), begun, begun), [id(1)]);
    assert!(story.exists(1), "a read that began later is believed");
}

#[test]
fn a_failed_instance_is_not_expected_in_lists() {
    let mut story = Story::listed([1, 2]);
    story.event(10, &instance(2, "failed", 500, 0));
    story.list(300, [instance(1, "running", 0, 0)]);
    assert_eq!(story.index.get(id(2)).unwrap().doubt(), None);
    assert!(story.due(300).is_empty());
    // Nor would a list show its end, so it is read now and then.
    story.list(3600, [instance(1, "running", 0, 0)]);
    assert_eq!(story.due(3600), [(id(2), Reason::Missing)]);
}

#[test]
fn a_created_instance_is_there_before_any_read_shows_it() {
    let mut story = Story::listed([1]);
    let now = story.at(10);
    assert_eq!(story.index.apply_created(instance(2, "provisioning", 500, 0), now), [id(2)]);
    story.list(11, [instance(1, "running", 0, 0)]);
    story.not_found(12, 2);
    let entry = story.index.get(id(2)).unwrap();
    assert_eq!((entry.doubt(), entry.pending().len()), (None, 1));
    story.event(13, &instance(2, "running", 900, 0));
    assert!(story.index.get(id(2)).unwrap().pending().is_empty());
}

#[test]
fn a_pending_write_is_shown_until_it_is_seen_or_expires() {
    let set = [("rev".to_owned(), TagValue::from(7))].into();
    let expectation = Expectation::Tags { set, removed: ["app".to_owned()].into() };

    let mut story = Story::listed([1]);
    let now = story.at(10);
    assert_eq!(story.index.expect(id(1), expectation.clone(), now), [id(1)]);
    let entry = story.index.get(id(1)).unwrap();
    assert_eq!(entry.expected().tags, [("rev".to_owned(), TagValue::from(7))].into());
    assert_eq!(entry.observed().tags.len(), 2);
    assert_eq!(story.index.tagged("rev", &TagValue::from(7)).len(), 1);
    assert!(story.index.tagged("app", &TagValue::from("web")).is_empty());
    // An old read does not end the wait, and one that shows the write does.
    let begun = story.at(11);
    story.index.apply_found(instance(1, "running", 0, 0), begun, begun);
    assert_eq!(story.index.get(id(1)).unwrap().pending().len(), 1);
    let mut done = instance(1, "running", 500, 7);
    done.tags.remove("app");
    assert_eq!(story.event(12, &done), [id(1)]);
    assert!(story.index.get(id(1)).unwrap().pending().is_empty());

    let mut story = Story::listed([1]);
    story.index.expect(id(1), expectation, now);
    assert!(story.index.expire(now + PENDING_FOR - Duration::from_secs(1)).is_empty());
    assert_eq!(story.index.expire(now + PENDING_FOR), [id(1)]);
    let entry = story.index.get(id(1)).unwrap();
    assert_eq!(entry.expected(), entry.observed());
    assert_eq!(story.index.tagged("app", &TagValue::from("web")).len(), 1);
}

#[test]
fn a_later_write_of_a_key_ends_the_wait_for_an_earlier_one() {
    let tags = |rev: i64| Expectation::Tags {
        set: [("rev".to_owned(), TagValue::from(rev))].into(),
        removed: [].into(),
    };
    let mut story = Story::listed([1]);
    let now = story.at(10);
    story.index.expect(id(1), tags(7), now);
    story.index.expect(id(1), tags(8), now);
    let entry = story.index.get(id(1)).unwrap();
    assert_eq!(entry.pending().len(), 1);
    assert_eq!(entry.expected().tags.get("rev"), Some(&TagValue::from(8)));
    story.index.expect(id(1), Expectation::Gone, now);
    let entry = story.index.get(id(1)).unwrap();
    assert!(entry.is_deleting());
    assert_eq!(entry.pending().len(), 1, "a deleted instance's tags matter no more");
}

#[test]
fn names_and_tags_are_found_exactly() {
    let mut story = Story::listed([1, 10]);
    assert_eq!(story.index.named("web-1").len(), 1);
    assert_eq!(story.index.tagged("app", &TagValue::from("web")).len(), 2);
    assert!(story.index.tagged("rev", &TagValue::from("0")).is_empty(), "a string is not a number");
    let now = story.at(10);
    story.index.apply_gone(id(10), None, now);
    assert!(story.index.named("web-10").is_empty());
    assert_eq!(story.index.tagged("app", &TagValue::from("web")).len(), 1);
}
