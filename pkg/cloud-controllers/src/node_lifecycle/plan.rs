//! What to do about one Node's life.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Taint};
use runtime::events::Severity;
use tokio::time::Instant;
use triton::id::InstanceId;
use triton::reflector::Proof;
use triton::types::InstanceState;

use super::absence::Absence;
use super::pace::{Limits, Pace};
use crate::identity::Identity;
use crate::instances::Known;
use crate::names::{NO_SCHEDULE, TAINT_SHUTDOWN};
use crate::node::Note;

/// How soon to look again when another machine was asked to be shown.
const WITNESS_AGAIN: Duration = Duration::from_secs(5);

/// How soon to look again while the cluster as a whole looks wrong.
const HELD_AGAIN: Duration = Duration::from_secs(60);

/// The last word before a deletion for want of an instance must not be older: a proof may have been held back for long.
const FRESH: Duration = Duration::from_secs(60);

/// A Node that is ready while its instance is stopped: one of the two is old.
const DISAGREE_AGAIN: Duration = Duration::from_secs(30);

/// Everything that is known of one Node's life.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Node.
    pub node: &'a Node,
    /// Which machine it is.
    pub identity: &'a Identity,
    /// What is known of that machine; [`Known::Unknown`] without one.
    pub known: &'a Known,
    /// What our own reads of it said.
    pub absence: Absence,
    /// When the youngest list began in which every row could be read and that showed instances. An empty one proves
    /// nothing: it may be another account's, or that of one without rights.
    pub clean_list: Option<Instant>,
    /// The cluster's other machines.
    pub census: Census,
    /// What may be deleted.
    pub limits: Limits,
    /// What was deleted of late.
    pub pace: &'a Pace,
    /// The time.
    pub now: Instant,
}

/// The machines of the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// How many Nodes are machines of ours.
    pub machines: usize,
    /// How many of them were not found, proved or not yet.
    pub not_found: usize,
    /// Another machine than this one that is in no doubt: the one that was seen last.
    pub witness: Option<Witness>,
}

/// A machine that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Its instance.
    pub id: InstanceId,
    /// When it was last seen.
    pub as_of: Instant,
}

/// What to do about a Node's life.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The one thing to do.
    pub step: Option<Step>,
    /// What to tell the user.
    pub notes: Vec<Note>,
    /// When to look again though nothing has happened.
    pub again: Option<Instant>,
}

/// A thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Delete the Node, for this proof.
    Delete(Proof),
    /// Write these taints, which are all that the Node then has.
    Taints(Vec<Taint>),
    /// Read the instance, and keep the answer.
    Read(InstanceId),
    /// Have the reflector read this instance.
    Recheck(InstanceId),
}

/// Decides what to do about one Node's life.
pub fn plan(observed: &Observed<'_>) -> Plan {
    if observed.node.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let Some(id) = observed.identity.instance() else { return Plan::default() };
    match observed.known {
        Known::Present(seen) => shutdown(observed, id, &seen.instance.state),
        Known::Gone { proof: Proof::Destroyed, .. } => delete(observed, Proof::Destroyed),
        Known::Gone { proof: Proof::NotFound, at } => delete_absent(observed, id, *at),
        // Only a provider ID says that there ever was such an instance: firmware has UUIDs of its own.
        Known::Unknown if !matches!(observed.identity, Identity::Named(_)) => Plan::default(),
        // Before the first clean list nothing is known of anything.
        Known::Unknown if observed.clean_list.is_none() => {
            Plan { again: Some(observed.now + HELD_AGAIN), ..Plan::default() }
        }
        Known::Unknown => match observed.absence.proved(observed.clean_list) {
            Some(at) => {
                let mut plan = delete_absent(observed, id, at);
                // The proof is kept fresh for as long as it does not suffice.
                if plan.step.is_none() {
                    let read = seek(observed, id);
                    plan.step = read.step;
                    plan.again = plan.again.into_iter().chain(read.again).min();
                }
                plan
            }
            None => seek(observed, id),
        },
    }
}

/// An instance that is not known is asked for.
fn seek(observed: &Observed<'_>, id: InstanceId) -> Plan {
    let next = observed.absence.next_read(observed.now);
    if next <= observed.now {
        return Plan { step: Some(Step::Read(id)), ..Plan::default() };
    }
    Plan { again: Some(next), ..Plan::default() }
}

/// An instance that was not found, since `at` with proof: what else must hold.
fn delete_absent(observed: &Observed<'_>, id: InstanceId, at: Instant) -> Plan {
    let Census { machines, not_found, witness } = observed.census;
    if is_ready(observed.node) {
        return held(observed, "the Node is ready, so its machine runs");
    }
    if not_found > observed.limits.share.of(machines) {
        let why = format!(
            "{not_found} of the cluster's {machines} machines are not found; check the account and its rights"
        );
        return held(observed, &why);
    }
    let last_word = observed.absence.last().filter(|last| *last >= at);
    let fresh = last_word.is_some_and(|last| observed.now.saturating_duration_since(last) < FRESH);
    match witness {
        None => held(observed, "no other machine of the cluster is found; check the account and its rights"),
        Some(witness) if witness.as_of < at => Plan {
            step: Some(Step::Recheck(witness.id)),
            again: Some(observed.now + WITNESS_AGAIN),
            ..Plan::default()
        },
        Some(_) if !fresh => Plan { step: Some(Step::Read(id)), ..Plan::default() },
        Some(_) => delete(observed, Proof::NotFound),
    }
}

fn held(observed: &Observed<'_>, why: &str) -> Plan {
    let text = format!("Node not deleted although its instance is not found: {why}");
    let note = Note { severity: Severity::Warning, reason: "DeletionHeldBack", text };
    Plan { notes: vec![note], again: Some(observed.now + HELD_AGAIN), ..Plan::default() }
}

/// There is proof: what is left is the pace.
fn delete(observed: &Observed<'_>, proof: Proof) -> Plan {
    let uid = observed.node.metadata.uid.as_deref();
    let opens = observed.pace.opens(&observed.limits, observed.census.machines, uid, observed.now);
    if opens > observed.now {
        return Plan { again: Some(opens), ..Plan::default() };
    }
    Plan { step: Some(Step::Delete(proof)), ..Plan::default() }
}

/// What is said when a Node is deleted, in the framework's words.
pub fn deleting(name: &str) -> Note {
    let text = format!("Deleting node {name} because it does not exist in the cloud provider");
    Note { severity: Severity::Normal, reason: "DeletingNode", text }
}

/// The taint of a machine that is shut down, set as soon as it is and gone as soon as it is not. A state that says
/// nothing changes nothing, unless the Node itself is well.
fn shutdown(observed: &Observed<'_>, id: InstanceId, state: &InstanceState) -> Plan {
    let node = observed.node;
    let is_down = matches!(state, InstanceState::Stopped | InstanceState::Stopping);
    let is_up = matches!(state, InstanceState::Running | InstanceState::Ready | InstanceState::Provisioning);
    let tainted = taints(node).iter().any(|taint| taint.key == TAINT_SHUTDOWN);
    let ready = is_ready(node);
    if tainted && (is_up || (!is_down && ready)) {
        return Plan {
            step: Some(Step::Taints(crate::node::taints_without(node, TAINT_SHUTDOWN))),
            ..Plan::default()
        };
    }
    if is_down && !tainted {
        let mut all = taints(node).to_vec();
        all.push(Taint {
            key: TAINT_SHUTDOWN.to_owned(),
            effect: NO_SCHEDULE.to_owned(),
            ..Taint::default()
        });
        return Plan { step: Some(Step::Taints(all)), ..Plan::default() };
    }
    if is_down && ready {
        let again = Some(observed.now + DISAGREE_AGAIN);
        return Plan { step: Some(Step::Recheck(id)), again, ..Plan::default() };
    }
    Plan::default()
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

/// Whether the Node's kubelet says so and the control plane believes it.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref());
    conditions.unwrap_or_default().iter().any(|it| it.type_ == "Ready" && it.status == "True")
}
