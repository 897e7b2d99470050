//! What to write on one Node.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use provider::provider_id::ProviderId;
use runtime::events::Severity;
use tokio::time::Instant;
use triton::id::{InstanceId, NetworkId};
use triton::types::Instance;

use super::addresses::{self, Addresses};
use super::labels::{Place, labels};
use crate::identity::{Identity, Mismatch, is_uninitialized, provider_id};
use crate::instances::Known;
use crate::names::{CONDITION_NODE_IP, TAINT_UNINITIALIZED};
use crate::networks::Reaches;

/// A Node that matches nothing is told about after this time: its instance may be so new that no list shows it yet.
pub(super) const UNMATCHED_GRACE: Duration = Duration::from_secs(60);

/// How often an instance that is not known is asked for, so that a Node which is none of ours costs next to nothing.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(300);

/// How long to wait for a machine's addresses before looking again.
const ADDRESSES_AGAIN: Duration = Duration::from_secs(30);

/// Everything that is known of one Node.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Node.
    pub node: &'a Node,
    /// Which machine it is.
    pub identity: &'a Identity,
    /// What is known of that machine; [`Known::Unknown`] without one.
    pub known: &'a Known,
    /// What is known of networks.
    pub networks: &'a Reaches,
    /// Where the machines are.
    pub place: &'a Place,
    /// What the last plan remembered.
    pub memory: Memory,
    /// The time.
    pub now: Instant,
    /// The time of day, for conditions. Nothing is decided by it.
    pub wall: Timestamp,
}

/// What a plan hands to the next one. Losing it is safe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Since when no instance is known for the Node.
    pub unmatched: Option<Instant>,
    /// When its instance was last asked for.
    pub asked: Option<Instant>,
}

/// What to do about a Node.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps, in order; a step that fails ends them.
    pub steps: Vec<Step>,
    /// What to tell the user now.
    pub notes: Vec<Note>,
    /// What to tell the user once all steps are done.
    pub done: Option<Note>,
    /// When to look again though nothing has happened.
    pub again: Option<Instant>,
    /// For the next plan.
    pub memory: Memory,
}

/// A thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Learn whether these networks are public.
    LearnNetworks(Vec<NetworkId>),
    /// Have the reflector read this instance.
    Recheck(InstanceId),
    /// Write the status.
    PatchStatus {
        /// All addresses, where they change.
        addresses: Option<Vec<NodeAddress>>,
        /// A condition, where it changes.
        condition: Option<NodeCondition>,
    },
    /// Write the Node.
    PatchNode {
        /// The labels that change.
        labels: BTreeMap<&'static str, String>,
        /// The provider ID, where there is none yet.
        provider_id: Option<String>,
        /// All taints, where they change.
        taints: Option<Vec<Taint>>,
    },
}

/// Something to tell a user, as an event on the Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How serious it is.
    pub severity: Severity,
    /// Why, for machines.
    pub reason: &'static str,
    /// One sentence.
    pub text: String,
}

impl Note {
    pub(crate) fn warning(reason: &'static str, text: String) -> Self {
        Self { severity: Severity::Warning, reason, text }
    }
}

/// Decides what to write on one Node.
pub fn plan(observed: &Observed<'_>) -> Plan {
    if observed.node.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    match (observed.identity, observed.known) {
        (Identity::Foreign, _) => Plan::default(),
        (Identity::Unmatched(mismatch), _) => unmatched(observed, mismatch),
        (Identity::Named(id) | Identity::Found(id, _), Known::Unknown) if is_uninitialized(observed.node) => {
            await_instance(observed, *id)
        }
        (Identity::Named(id) | Identity::Found(id, _), Known::Present(seen))
            if seen.instance.state.is_active() =>
        {
            keep(observed, *id, &seen.instance)
        }
        // What has no living instance is the lifecycle controller's.
        (Identity::Named(_) | Identity::Found(..), _) => Plan::default(),
    }
}

/// No instance is this Node, or none can be told to be it.
fn unmatched(observed: &Observed<'_>, mismatch: &Mismatch) -> Plan {
    let mut plan = match mismatch {
        Mismatch::Nothing { system_uuid: Some(id) } => await_instance(observed, *id),
        _ => {
            let since = observed.memory.unmatched.unwrap_or(observed.now);
            let again = Some(next_look(observed, since));
            Plan { memory: Memory { unmatched: Some(since), ..observed.memory }, again, ..Plan::default() }
        }
    };
    // What the Node itself says wrongly does not become right by waiting.
    let certain = matches!(mismatch, Mismatch::Malformed(_));
    plan.notes = match () {
        () if certain || is_overdue(observed, plan.memory) => {
            vec![Note::warning("NoMatchingInstance", format!("Node not initialised: {mismatch}"))]
        }
        () => Vec::new(),
    };
    plan
}

/// An instance that is not known, and may be so new that no list shows it.
fn await_instance(observed: &Observed<'_>, id: InstanceId) -> Plan {
    let now = observed.now;
    let since = observed.memory.unmatched.unwrap_or(now);
    let mut memory = Memory { unmatched: Some(since), ..observed.memory };
    let mut steps = Vec::new();
    if memory.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN) {
        memory.asked = Some(now);
        steps.push(Step::Recheck(id));
    }
    let mut notes = Vec::new();
    if is_overdue(observed, memory) {
        let text = format!(
            "Node not initialised: its spec.providerID names instance {id}, which this account does not have"
        );
        notes.push(Note::warning("NoMatchingInstance", text));
    }
    Plan { steps, notes, memory, again: Some(next_look(observed, since)), ..Plan::default() }
}

fn is_overdue(observed: &Observed<'_>, memory: Memory) -> bool {
    memory.unmatched.is_some_and(|since| observed.now.saturating_duration_since(since) >= UNMATCHED_GRACE)
}

fn next_look(observed: &Observed<'_>, since: Instant) -> Instant {
    let grace = since + UNMATCHED_GRACE;
    if observed.now < grace { grace } else { observed.now + ASK_AGAIN }
}

/// Keeps a Node of a living instance true, and initialises it.
fn keep(observed: &Observed<'_>, id: InstanceId, instance: &Instance) -> Plan {
    let node = observed.node;
    let found = match addresses::addresses(node, instance, observed.networks) {
        Ok(found) => found,
        Err(networks) => return Plan { steps: vec![Step::LearnNetworks(networks)], ..Plan::default() },
    };
    let mut plan = Plan::default();
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let addresses = (!found.list.is_empty() && found.list != listed).then(|| found.list.clone());
    let condition = condition(observed, &found);
    if addresses.is_some() || condition.is_some() {
        plan.steps.push(Step::PatchStatus { addresses, condition });
    }
    if let Some(mismatch) = &found.mismatch {
        plan.notes.push(Note::warning(CONDITION_NODE_IP, mismatch_text(mismatch)));
    }
    let uninitialized = is_uninitialized(node);
    if uninitialized && found.list.is_empty() {
        let text = format!("Node not initialised yet: instance {id} has no address");
        plan.notes.push(Note::warning("NoAddresses", text));
        plan.again = Some(observed.now + ADDRESSES_AGAIN);
        return plan;
    }
    let present = node.metadata.labels.as_ref();
    let mut labels = labels(instance, observed.place);
    labels.retain(|key, value| present.and_then(|present| present.get(*key)) != Some(value));
    let new_id =
        provider_id(node).is_none().then(|| ProviderId::new(&observed.place.datacenter, id).to_string());
    let taints = uninitialized.then(|| taints_without(node, TAINT_UNINITIALIZED));
    if !labels.is_empty() || new_id.is_some() || taints.is_some() {
        plan.steps.push(Step::PatchNode { labels, provider_id: new_id, taints });
    }
    if uninitialized {
        let text = "Node synced successfully".to_owned();
        plan.done = Some(Note { severity: Severity::Normal, reason: "Synced", text });
    }
    plan
}

fn mismatch_text(mismatch: &addresses::Mismatch) -> String {
    let seen: Vec<String> = mismatch.seen.iter().map(ToString::to_string).collect();
    format!(
        "The kubelet's --node-ip {} is no address of the instance, which has {}; correct --node-ip or the instance's NICs",
        mismatch.provided.join(","),
        seen.join(", ")
    )
}

/// The taints of a Node but for one.
pub(crate) fn taints_without(node: &Node, key: &str) -> Vec<Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    taints.into_iter().filter(|taint| taint.key != key).collect()
}

/// The condition about `--node-ip`, where it changes. A Node that never had a mismatch has no such condition.
fn condition(observed: &Observed<'_>, found: &Addresses) -> Option<NodeCondition> {
    let conditions = observed.node.status.as_ref().and_then(|status| status.conditions.as_deref());
    let present =
        conditions.unwrap_or_default().iter().find(|condition| condition.type_ == CONDITION_NODE_IP);
    // Without addresses nothing is known about them.
    if found.list.is_empty() {
        return None;
    }
    let (status, reason, message) = match (&found.mismatch, present) {
        (Some(mismatch), _) => ("True", "NotAnAddressOfTheInstance", mismatch_text(mismatch)),
        (None, Some(present)) if present.status != "False" => {
            ("False", "AddressesAgree", "The kubelet's --node-ip is an address of the instance".to_owned())
        }
        (None, _) => return None,
    };
    let now = Time(observed.wall);
    let same_status = present.filter(|present| present.status == status);
    if same_status.is_some_and(|same| same.message.as_deref() == Some(&message)) {
        return None;
    }
    let since = same_status.and_then(|same| same.last_transition_time.clone()).unwrap_or_else(|| now.clone());
    Some(NodeCondition {
        type_: CONDITION_NODE_IP.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_heartbeat_time: Some(now),
        last_transition_time: Some(since),
    })
}
