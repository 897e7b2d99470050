//! A plan in the making.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use runtime::events::Severity;
use tokio::time::Instant;
use triton::reflector::Entry;
use triton::types::InstanceAction;

use super::memory::Lane;
use super::status::Report;
use super::was::Was;
use super::{Note, Observed, Plan, Step};

/// A plan in the making: the modules of this folder add to it.
pub(super) struct Draft<'a> {
    pub(super) observed: &'a Observed<'a>,
    pub(super) was: Was<'a>,
    pub(super) plan: Plan,
    /// What the status is to say; `None` leaves it as it is.
    pub(super) report: Option<Report<'a>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(observed: &'a Observed<'a>) -> Self {
        let plan = Plan { memory: observed.memory.clone(), ..Plan::default() };
        Self { observed, was: Was { pod: observed.pod }, plan, report: None }
    }

    pub(super) fn monotonic(&self) -> Instant {
        self.observed.now.monotonic
    }

    /// Now in whole seconds, which is all that the API server keeps.
    pub(super) fn wall(&self) -> Timestamp {
        let now = self.observed.now.wall;
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// Asks to be looked at again not later than at `at`.
    pub(super) fn again_at(&mut self, at: Instant) {
        let again = self.plan.again.map_or(at, |earlier| earlier.min(at));
        self.plan.again = Some(again);
    }

    pub(super) fn again_in(&mut self, delay: Duration) {
        self.again_at(self.monotonic() + delay);
    }

    /// How long it is until `at`; `None` when that has passed.
    pub(super) fn until(&self, at: Timestamp) -> Option<Duration> {
        let left = at.duration_since(self.observed.now.wall);
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    /// Takes steps of a lane, unless it waits after a failure. Says whether they are taken.
    pub(super) fn take(&mut self, lane: Lane, steps: impl IntoIterator<Item = Step>) -> bool {
        if let Some(at) = self.plan.memory.closed_until(lane, self.monotonic()) {
            self.again_at(at);
            return false;
        }
        self.plan.steps.extend(steps);
        true
    }

    /// Asks for an action on an instance, unless it is under way already.
    pub(super) fn act(&mut self, lane: Lane, entry: &Entry, action: InstanceAction) {
        let memory = &self.plan.memory;
        if let Some(again) = memory.under_way(entry, &action, self.monotonic()) {
            self.again_at(again);
        } else {
            self.take(lane, [Step::Act { id: entry.id(), action }]);
        }
    }

    pub(super) fn note(&mut self, severity: Severity, reason: &'static str, message: impl Into<String>) {
        let note = Note { severity, reason, message: message.into() };
        let mut hasher = DefaultHasher::new();
        note.reason.hash(&mut hasher);
        note.message.hash(&mut hasher);
        if self.plan.memory.say(hasher.finish()) {
            self.plan.notes.push(note);
        }
    }

    pub(super) fn normal(&mut self, reason: &'static str, message: impl Into<String>) {
        self.note(Severity::Normal, reason, message);
    }

    pub(super) fn warn(&mut self, reason: &'static str, message: impl Into<String>) {
        self.note(Severity::Warning, reason, message);
    }
}
