//! What a plan hands to the next one, and what steps tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use triton::Kind;
use triton::id::InstanceId;

use super::Step;

/// The first and the longest pause between attempts to make an instance.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// When what may have been made is looked for: the answer was lost, and the instance may take as long to show.
const LOST: Duration = Duration::from_secs(5);

/// What a plan hands to the next one. Losing it costs seconds, and calls that are made again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The name of an instance that may have been made, and when to look for it.
    doubt: Option<(String, Instant)>,
    /// Why the last attempt to make one failed.
    pub(super) refused: Option<(&'static str, String)>,
    /// Failures in a row.
    failures: u32,
    /// No attempt before.
    pub(super) not_before: Option<Instant>,
    /// Instances that failed to come to life and are counted.
    failed: BTreeSet<InstanceId>,
    /// Since when instances are known to run.
    pub(super) running: BTreeMap<InstanceId, Instant>,
    /// Since when instances are known to have left DNS.
    pub(super) withdrawn: BTreeMap<InstanceId, Instant>,
    /// Reads that did not show the hostname yet.
    pub(super) unconfirmed: u32,
    /// Whether a list has shown that nothing is left.
    pub(super) is_empty: bool,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should. What was found or made is in the store.
    Done,
    /// There is no such instance.
    NotFound,
    /// There is one, which is not the Service's.
    Anothers(InstanceId),
    /// CloudAPI said no, or nothing.
    Failed {
        /// What kind of failure; `None` when leadership ended under way.
        kind: Option<Kind>,
        /// What people should know.
        message: String,
        /// Whether it may have been done all the same.
        may_have_taken_effect: bool,
    },
}

impl Memory {
    /// The name of an instance that may have been made, and when to look for it.
    pub(super) fn doubt(&self) -> Option<(&str, Instant)> {
        self.doubt.as_ref().map(|(name, at)| (name.as_str(), *at))
    }

    /// Whether an instance may have been made.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// An instance is about to be made.
    pub(super) fn begin(&mut self, name: &str, now: Instant) {
        self.doubt = Some((name.to_owned(), now + LOST));
    }

    /// Counts an instance that failed to come to life.
    pub(super) fn count_failed(&mut self, id: InstanceId, now: Instant) {
        if self.failed.insert(id) {
            let text =
                format!("instance {id} failed to provision; the operator of the data centre can tell why");
            self.fail("ProvisioningFailed", text, now);
        }
    }

    fn fail(&mut self, reason: &'static str, message: String, now: Instant) {
        let pause = PAUSE.0.saturating_mul(1 << self.failures.min(10)).min(PAUSE.1);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
        self.refused = Some((reason, message));
    }

    /// A load balancer runs: whatever failed before is over.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.not_before, self.refused) = (0, None, None);
    }

    /// A step has ended.
    pub fn tell(&mut self, step: &Step, outcome: &Outcome, now: Instant) {
        match (step, outcome) {
            (Step::Create(_), Outcome::Failed { kind: Some(Kind::Duplicate), .. }) => {
                self.doubt = self.doubt.take().map(|(name, _)| (name, now));
            }
            (Step::Create(_), Outcome::Failed { may_have_taken_effect: true, .. }) => {
                self.doubt = self.doubt.take().map(|(name, _)| (name, now + LOST));
            }
            (Step::Create(_), Outcome::Failed { message, .. }) => {
                self.doubt = None;
                self.fail("CreateFailed", message.clone(), now);
            }
            (Step::Create(_) | Step::Find(_), Outcome::Done) => self.doubt = None,
            (Step::Find(name), Outcome::NotFound) => {
                self.doubt = None;
                self.fail("CreateFailed", format!("instance {name} was not made"), now);
            }
            (Step::Find(name), Outcome::Anothers(id)) => {
                self.doubt = None;
                let text = format!(
                    "the name {name} is taken by instance {id}, which is not this Service's; delete or rename it"
                );
                self.fail("InstanceNameTaken", text, now);
            }
            (Step::Find(_), Outcome::Failed { .. }) => {
                self.doubt = self.doubt.take().map(|(name, _)| (name, now + LOST));
            }
            (Step::Confirm, Outcome::NotFound) => self.is_empty = true,
            _ => {}
        }
    }
}
