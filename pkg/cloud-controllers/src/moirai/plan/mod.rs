//! What to do about one Service.
//!
//! An instance is made under a name that follows from the Service, one at a time, and what may have been made is looked for by
//! that name before another attempt. What does not belong any more, for there are to be fewer or others, leaves DNS first
//! and is deleted when clients have forgotten it, one at a time, and only while all that belong carry traffic. The finalizer
//! goes when a list of CloudAPI's shows none.

mod keep;
mod memory;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use provider::cns::ServiceKey;
use tokio::time::Instant;
use triton::id::InstanceId;
use triton::reflector::Entry;
use triton::types::{CreateInstance, Metadata, Tags};

use self::keep::keep;
pub use self::memory::{Memory, Outcome};
use super::Note;
use super::portmap::Behind;
use super::status::{self, Change, Ingress, condition, has_finalizer};
use super::supplies::{Catalog, Defaults};

/// How soon a deletion that was accepted is looked for by a read, should no change tell of it.
const GONE_LOOK: Duration = Duration::from_secs(10);

/// How long things take that nothing tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// From when on an instance that runs carries traffic: it reads its metadata at boot, and CNS and its own resolver
    /// have to find each other.
    pub settle: Duration,
    /// How long clients may know an instance that has left DNS: CNS is late by 30 s at most, and answers hold for 30 s.
    pub drain: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { settle: Duration::from_secs(90), drain: Duration::from_secs(60) }
    }
}

/// Everything that is known of one Service.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Its names.
    pub key: &'a ServiceKey,
    /// The cluster's name.
    pub cluster: &'a str,
    /// Whether it is to have load balancers.
    pub is_wanted: bool,
    /// The name of its servers in CNS; or why it has none.
    pub name: Result<&'a str, Note>,
    /// Whether others carry the name that its load balancers would have in CNS.
    pub is_taken: bool,
    /// Who serves, on which ports.
    pub behind: &'a Behind,
    /// What load balancers are made of where the Service does not say.
    pub defaults: &'a Defaults,
    /// How long things take.
    pub rules: Rules,
    /// The images and networks that there are, and when they were read.
    pub catalog: Option<(&'a Catalog, Instant)>,
    /// The instances that are tagged as its load balancers.
    pub instances: &'a [Arc<Entry>],
    /// What the last plan remembered.
    pub memory: &'a Memory,
    /// The time.
    pub now: Instant,
    /// The time of day, for conditions. Nothing is decided by it.
    pub wall: Timestamp,
}

/// What to do about a Service.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// What to write on the Service, at once.
    pub status: Change,
    /// What to do at CloudAPI, in this order.
    pub steps: Vec<Step>,
    /// What to tell the user now.
    pub notes: Vec<Note>,
    /// What to tell the user once all is done.
    pub done: Vec<Note>,
    /// When to look again though nothing has happened.
    pub again: Option<Instant>,
    /// For the next plan.
    pub memory: Memory,
}

/// One call, or few, of CloudAPI.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Read images and networks.
    Learn,
    /// Make an instance.
    Create(Box<CreateInstance>),
    /// Look for the instance of a name, which may have been made.
    Find(String),
    /// Set tags.
    SetTags(InstanceId, Tags),
    /// Set metadata.
    SetMetadata(InstanceId, Metadata),
    /// Remove one key of the metadata.
    RemoveMetadata(InstanceId, &'static str),
    /// Start an instance that has stopped.
    Start(InstanceId),
    /// Read an instance, for its names in DNS.
    Read(InstanceId),
    /// Delete an instance.
    Delete(InstanceId),
    /// Ask the reflector for proof that an instance is gone.
    Prove(InstanceId),
    /// List the instances that are tagged as the Service's.
    Confirm,
}

/// Decides what to do about a Service.
pub fn plan(observed: &Observed<'_>) -> Plan {
    match (observed.is_wanted, has_finalizer(observed.service)) {
        (false, false) => Plan::default(),
        (false, true) => leave(observed),
        (true, false) => Plan {
            status: Change {
                finalizer: Some(true),
                condition: pending(observed, "the Service has just been found").map(Some),
                ..Change::default()
            },
            done: vec![Note::normal("EnsuringLoadBalancer", "Ensuring load balancer".to_owned())],
            memory: observed.memory.clone(),
            ..Plan::default()
        },
        (true, true) => keep(observed),
    }
}

fn pending(
    observed: &Observed<'_>,
    why: &str,
) -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    condition(observed.service, (false, "Pending"), why.to_owned(), observed.wall)
}

/// The load balancers go, and the finalizer when there is none left.
fn leave(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan { memory: observed.memory.clone(), ..Plan::default() };
    plan.notes.push(Note::normal("DeletingLoadBalancer", "Deleting load balancer".to_owned()));
    let alive: Vec<&Arc<Entry>> =
        observed.instances.iter().filter(|entry| entry.observed().state.is_active()).collect();
    plan.find_lost(observed.now);
    for entry in &alive {
        if entry.is_deleting() {
            plan.steps.push(Step::Prove(entry.id()));
            plan.ask_again(observed.now + GONE_LOOK);
        } else {
            plan.steps.push(Step::Delete(entry.id()));
        }
    }
    if !alive.is_empty() || plan.memory.is_in_doubt() {
        plan.memory.is_empty = false;
        let text = format!("{} load balancers are being deleted", alive.len());
        let leaving = condition(observed.service, (false, "Leaving"), text, observed.wall);
        plan.status.condition = leaving.map(Some);
    } else if plan.memory.is_empty {
        plan.status = Change {
            finalizer: Some(false),
            ingress: Some(Ingress::default()).filter(|none| Ingress::of(observed.service) != *none),
            condition: status::present(observed.service).map(|_| None),
        };
        plan.done.push(Note::normal("DeletedLoadBalancer", "Deleted load balancer".to_owned()));
    } else {
        plan.steps.push(Step::Confirm);
    }
    plan
}

impl Plan {
    /// Looks for what may have been made. Says whether there is such a doubt.
    fn find_lost(&mut self, now: Instant) -> bool {
        let Some((name, at)) = self.memory.doubt() else { return false };
        if at <= now {
            self.steps.push(Step::Find(name.to_owned()));
        } else {
            self.ask_again(at);
        }
        true
    }

    fn ask_again(&mut self, at: Instant) {
        self.again = self.again.into_iter().chain([at]).min();
    }
}
