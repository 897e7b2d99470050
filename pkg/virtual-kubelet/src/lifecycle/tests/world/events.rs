//! What can happen in the world.

use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing but time, in seconds.
    Pass(u16),
    /// The process dies and another one takes over.
    Crash,
    /// The process dies between the next call and its answer.
    CrashAtNextCall,
    /// The next call takes effect, after so many seconds, but its answer is lost.
    LoseNextAnswer(u8),
    /// The next call has no effect.
    FailNextCall(bool),
    /// The next instance never comes to life.
    FailNextProvisioning,
    /// The process dies, and the first list of the next one overlooks the instance that the status names, for so many
    /// seconds.
    Overlook(u8),
    /// Every instance that runs stops by itself, and reports this exit code, or none.
    Stop(Option<u8>),
    /// Somebody makes one more instance with the pod's tags.
    Duplicate,
    /// Somebody deletes every instance.
    DeleteAll,
    /// The data centre loses sight of every instance, or sees them again.
    Blink,
    /// The probes demand a restart.
    Unhealthy,
    /// The store is not synced for so many seconds.
    Unsynced(u8),
    /// The pod is deleted, with this grace in seconds.
    DeletePod(u8),
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1_u16..40).prop_map(Event::Pass),
        4 => (1_u16..4).prop_map(Event::Pass),
        1 => (100_u16..1000).prop_map(Event::Pass),
        1 => Just(Event::Crash),
        1 => Just(Event::CrashAtNextCall),
        3 => (0_u8..10).prop_map(Event::LoseNextAnswer),
        1 => any::<bool>().prop_map(Event::FailNextCall),
        1 => Just(Event::FailNextProvisioning),
        3 => prop::option::of(0_u8..3).prop_map(Event::Stop),
        1 => (1_u8..100).prop_map(Event::Overlook),
        1 => Just(Event::Duplicate),
        1 => Just(Event::DeleteAll),
        1 => Just(Event::Blink),
        1 => Just(Event::Unhealthy),
        1 => (1_u8..60).prop_map(Event::Unsynced),
        2 => (0_u8..40).prop_map(Event::DeletePod),
    ];
    // The first create is lost in a third of the cases: what follows at once is where mistakes would be.
    let first = prop_oneof![
        2 => Just(vec![]),
        1 => (0_u8..10, 1_u16..4).prop_map(|(delay, time)| vec![Event::LoseNextAnswer(delay), Event::Pass(time)]),
    ];
    (first, prop::collection::vec(event, 0..25)).prop_map(|(first, then)| [first, then].concat())
}
