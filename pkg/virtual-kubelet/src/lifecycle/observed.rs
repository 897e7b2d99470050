//! What is known when a plan is made.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;
use triton::id::InstanceId;
use triton::reflector::{Entry, Lookup};

use super::{Memory, Note, Step};
use crate::pod::{Desired, Refusal};
use crate::probes::Verdicts;

/// Now, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// What people read.
    pub wall: Timestamp,
    /// What waiting is measured with.
    pub monotonic: Instant,
}

/// How far Triton's side can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// A whole list was read since the start: what is not in the store was not there then.
    Synced {
        /// When the youngest clean list began, if there was one.
        clean_list: Option<Instant>,
    },
    /// Nothing is known yet: no instance may be made, and none is missed.
    Unsynced,
}

/// The instance that the pod is known to have had last, and what is known of it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its id: that of the pod's status ([`recorded_instance`](super::recorded_instance)), else that of the memory
    /// ([`Memory::instance`]).
    pub id: InstanceId,
    /// What the store says.
    pub lookup: Lookup,
}

/// Everything that is known of one pod.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The pod, as the API server has it.
    pub pod: &'a Pod,
    /// The instance that it should be, or why there can be none (now); `None` while what that depends on has not been
    /// read. What exists is looked after all the same.
    pub desired: Option<Result<&'a Desired, &'a Refusal>>,
    /// The instances whose tags name this pod, in no order; more than one is a duplicate.
    pub instances: &'a [Arc<Entry>],
    /// The instance that the pod is known to have had last.
    pub recorded: Option<Recorded>,
    /// What only this process knows.
    pub memory: &'a Memory,
    /// What the probes say of the run that the pod's status shows.
    pub verdicts: Verdicts,
    /// What to write to the instance so that it is as desired. Done only while it runs.
    pub drift: &'a [Step],
    /// What was found out about the pod's wishes, for the user. Each is said once.
    pub notes: &'a [Note],
    /// How far Triton's side can be trusted.
    pub trust: Trust,
    /// The node's address, for `hostIP`.
    pub host_ip: Option<IpAddr>,
    /// Now.
    pub now: Now,
}
