//! The reflector's rules against a model of the truth: random histories of creates, changes and deletes,
//! with lost, repeated and reordered events, short and unclean lists, failing and lying reads.
//!
//! Two things must hold. At no instant does the store call a living instance gone. And when the lies stop,
//! lists and reads bring the store to the truth.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::changefeed::Event;
use crate::reflector::index::{Index, List};
use crate::reflector::pending::Expectation;
use crate::types::InstanceState;

const SLOTS: u128 = 6;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Create(u128),
    /// The answer to the creation arrives, late or never.
    Answer(u128),
    /// We delete an instance: that is accepted, and it is destroyed now or later.
    Delete {
        slot: u128,
        now: bool,
    },
    /// Changes an instance; the clock of `updated` moves by this many milliseconds, perhaps back or not at all.
    Change(u128, i64),
    Fail(u128),
    Destroy(u128),
    /// Delivers one of the undelivered events, out of order, and keeps it for another delivery or not.
    Deliver {
        which: usize,
        again: bool,
    },
    LoseEvents,
    BeginList,
    /// Ends the list that has begun; rows whose bit is set are left out.
    EndList {
        left_out: u8,
        clean: bool,
    },
    BeginReads,
    /// Ends the reads that have begun: whether each fails, or is answered 404 although the instance exists.
    EndReads {
        failed: u8,
        lied: u8,
    },
    BeginProof,
    /// Ends the list of the destroyed that has begun; rows whose bit is set are left out.
    EndProof {
        left_out: u8,
    },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..SLOTS;
    prop_oneof![
        2 => slot.clone().prop_map(Step::Create),
        2 => slot.clone().prop_map(Step::Answer),
        2 => (slot.clone(), any::<bool>()).prop_map(|(slot, now)| Step::Delete { slot, now }),
        4 => (slot.clone(), prop_oneof![Just(0), 1..2000_i64, -2000..0_i64])
            .prop_map(|(slot, ms)| Step::Change(slot, ms)),
        1 => slot.clone().prop_map(Step::Fail),
        2 => slot.prop_map(Step::Destroy),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, again)| Step::Deliver { which, again }),
        1 => Just(Step::LoseEvents),
        2 => Just(Step::BeginList),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(left_out, clean)| Step::EndList { left_out, clean }),
        3 => Just(Step::BeginReads),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(failed, lied)| Step::EndReads { failed, lied }),
        2 => Just(Step::BeginProof),
        2 => any::<u8>().prop_map(|left_out| Step::EndProof { left_out }),
        4 => (0..400_u64).prop_map(Step::Wait),
    ]
}

/// Which of its two ways to hide an instance the server uses in one history. Used together for long enough,
/// they are what proof of absence looks like, and nobody could tell.
#[derive(Debug, Clone, Copy)]
enum Lies {
    ShortLists,
    FalseNotFound,
}

#[derive(Default)]
struct World {
    /// Every instance that ever was; `None` when destroyed.
    truth: BTreeMap<u128, Option<Instance>>,
    clock_ms: i64,
    revision: u32,
    events: Vec<Event>,
    list: Option<(Instant, Vec<Instance>)>,
    reads: Vec<(u128, Instant, Option<Instance>)>,
    /// What creations will be answered with.
    answers: BTreeMap<u128, Instance>,
    /// What was there last of each that is destroyed.
    last: BTreeMap<u128, Instance>,
    /// The deletions that a list of the destroyed was begun for, and what it will show.
    proof: Option<(Vec<InstanceId>, Vec<InstanceSummary>)>,
}

impl World {
    fn living(&self) -> impl Iterator<Item = (&u128, &Instance)> {
        self.truth.iter().filter_map(|(slot, instance)| Some((slot, instance.as_ref()?)))
    }

    /// What a default list shows: no failed instances.
    fn listable(&self) -> Vec<Instance> {
        self.living().map(|(_, instance)| instance.clone()).filter(|i| i.state.as_str() != "failed").collect()
    }

    fn set(&mut self, slot: u128, state: &str, ms: i64) {
        self.clock_ms += ms;
        self.revision += 1;
        let new = instance(slot, state, self.clock_ms, self.revision);
        self.events.push(Event {
            id: new.id,
            published: None,
            sub_resources: Vec::new(),
            vm_state: Some(state.into()),
            instance: Some(Box::new(as_in_event(&new))),
        });
        self.truth.insert(slot, Some(new));
    }

    fn destroy(&mut self, slot: u128) {
        if let Some(Some(old)) = self.truth.insert(slot, None) {
            self.last.insert(slot, old.clone());
            self.events.push(Event {
                id: old.id,
                published: None,
                sub_resources: vec!["destroyed".into()],
                vm_state: Some("destroyed".into()),
                instance: None,
            });
        }
    }
}

/// All that are destroyed, as a list of them shows them.
fn destroyed(world: &World) -> Vec<InstanceSummary> {
    let gone = |last: &Instance| InstanceSummary { id: last.id, state: InstanceState::Deleted };
    world.last.values().map(gone).collect()
}

fn slot_of(id: InstanceId) -> u128 {
    id.as_uuid().as_u128()
}

/// Begins every read that is due.
fn begin_reads(world: &mut World, index: &mut Index, now: Instant) {
    for (id, _) in index.checks.take_due(now, usize::MAX) {
        let slot = slot_of(id);
        world.reads.push((slot, now, world.truth.get(&slot).cloned().flatten()));
    }
}

fn end_read(world: &World, index: &mut Index, read: (u128, Instant, Option<Instance>), now: Instant) {
    let (slot, begun, found) = read;
    match found {
        Some(instance) => index.apply_found(instance, begun, now),
        None if world.truth.contains_key(&slot) => index.apply_gone(id(slot), None, now),
        None => index.apply_not_found(id(slot), begun, now),
    };
}

fn play(world: &mut World, index: &mut Index, now: Instant, step: &Step, lies: Lies) {
    let state = |world: &World, slot| Some(world.truth.get(&slot)?.as_ref()?.state.clone());
    let living = |world: &World, slot| state(world, slot).is_some();
    match *step {
        // An id is never used again.
        Step::Create(slot) if !world.truth.contains_key(&slot) => {
            world.set(slot, "provisioning", 1);
            world.answers.extend(world.truth.get(&slot).cloned().flatten().map(|made| (slot, made)));
        }
        Step::Answer(slot) => {
            if let Some(made) = world.answers.remove(&slot) {
                index.apply_created(made, now);
            }
        }
        Step::Delete { slot, now: at_once } if living(world, slot) => {
            index.apply_deleting(id(slot));
            if at_once {
                world.destroy(slot);
            }
            index.expect(id(slot), Expectation::Gone, now);
        }
        Step::BeginProof => {
            let asked = index.checks.take_deletions(now);
            world.proof = Some((asked, destroyed(world)));
        }
        Step::EndProof { left_out } => {
            if let Some((asked, mut rows)) = world.proof.take() {
                rows.retain(|row| left_out & (1 << slot_of(row.id)) == 0);
                index.apply_destroyed(&asked, &rows, now);
            }
        }
        Step::Change(slot, ms) if living(world, slot) => world.set(slot, "running", ms),
        // Provisioning fails; what runs does not turn into a failed provision.
        Step::Fail(slot) if state(world, slot) == Some(InstanceState::Provisioning) => {
            world.set(slot, "failed", 1);
        }
        Step::Destroy(slot) if living(world, slot) => world.destroy(slot),
        Step::Create(_) | Step::Change(..) | Step::Fail(_) | Step::Destroy(_) | Step::Delete { .. } => {}
        Step::Deliver { which, again } if !world.events.is_empty() => {
            let which = which % world.events.len();
            let event = world.events[which].clone();
            if !again {
                world.events.remove(which);
            }
            index.apply_event(event, now);
        }
        Step::Deliver { .. } => {}
        Step::LoseEvents => world.events.clear(),
        Step::BeginList => world.list = Some((now, world.listable())),
        Step::EndList { left_out, clean } => {
            if let Some((begun, rows)) = world.list.take() {
                let short = matches!(lies, Lies::ShortLists);
                let kept = |row: &Instance| !short || left_out & (1 << slot_of(row.id)) == 0;
                let rows = rows.into_iter().filter(kept).collect();
                index.apply_list(List { begun, rows, clean }, now);
            }
        }
        Step::BeginReads => begin_reads(world, index, now),
        Step::EndReads { failed, lied } => {
            for (slot, begun, found) in std::mem::take(&mut world.reads) {
                let bit = 1 << slot;
                if failed & bit != 0 {
                    index.checks.failed(id(slot), crate::reflector::checks::Reason::Content, now);
                } else if lied & bit != 0 && matches!(lies, Lies::FalseNotFound) {
                    index.apply_not_found(id(slot), begun, now);
                } else {
                    end_read(world, index, (slot, begun, found), now);
                }
            }
        }
        Step::Wait(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_never_buries_the_living_and_finds_the_truth(
        steps in prop::collection::vec(step(), 1..150),
        lies in prop_oneof![Just(Lies::ShortLists), Just(Lies::FalseNotFound)],
    ) {
        let mut world = World::default();
        let mut index = Index::default();
        let mut now = Instant::now();
        for step in &steps {
            now += Duration::from_millis(10);
            if let Step::Wait(seconds) = step {
                now += Duration::from_secs(*seconds);
            }
            index.expire(now);
            play(&mut world, &mut index, now, step, lies);
            for (slot, _) in world.living() {
                prop_assert!(index.tombstone(id(*slot)).is_none(), "{slot} lives but was called gone after {step:?}");
            }
        }

        // The lies stop: honest lists and reads, no events.
        world.reads.clear();
        world.proof = None;
        for _ in 0..4 {
            now += Duration::from_secs(310);
            index.apply_list(List { begun: now, rows: world.listable(), clean: true }, now);
            for _ in 0..4 {
                now += Duration::from_secs(310);
                index.expire(now);
                let asked = index.checks.take_deletions(now);
                index.apply_destroyed(&asked, &destroyed(&world), now);
                begin_reads(&mut world, &mut index, now);
                for read in std::mem::take(&mut world.reads) {
                    end_read(&world, &mut index, read, now);
                }
            }
        }
        for (slot, truth) in &world.truth {
            let known = index.get(id(*slot)).map(|entry| entry.observed().as_ref());
            match truth {
                None => prop_assert!(known.is_none(), "{slot} is destroyed but still there"),
                // A failed instance that was never seen cannot be known; one that was must be right.
                Some(truth) if truth.state.as_str() == "failed" && known.is_none() => {}
                Some(truth) => prop_assert_eq!(known, Some(truth)),
            }
        }
        prop_assert!(index.checks.next_due().is_none(), "a quiet account needs no reads");
        prop_assert!(index.checks.deletions(now).is_none(), "nor proofs");
    }
}
