//! What a plan says.

use k8s_openapi::api::core::v1::PodStatus;
use runtime::events::Severity;
use tokio::time::Instant;
use triton::Kind;
use triton::id::InstanceId;
use triton::types::{CreateInstance, InstanceAction, Metadata, Tags};

use super::Memory;

/// One thing to do. Each is harmless when it is done already.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make the instance.
    Create(Box<CreateInstance>),
    /// A create may have taken effect although its answer did not arrive, or its name is taken: list the
    /// instances of this name, and put what is found into the store.
    FindByName(String),
    /// Do something to the instance.
    Act {
        /// Which.
        id: InstanceId,
        /// What.
        action: InstanceAction,
    },
    /// Merge tags in.
    AddTags {
        /// Where.
        id: InstanceId,
        /// What.
        tags: Tags,
    },
    /// Remove a tag.
    RemoveTag {
        /// Where.
        id: InstanceId,
        /// Which.
        key: String,
    },
    /// Merge metadata in.
    AddMetadata {
        /// Where.
        id: InstanceId,
        /// What.
        metadata: Metadata,
    },
    /// Remove a metadata key.
    RemoveMetadata {
        /// Where.
        id: InstanceId,
        /// Which.
        key: String,
    },
    /// Delete the instance.
    Delete(InstanceId),
    /// Read the instance, because proof is needed that it is gone.
    Recheck(InstanceId),
    /// Start the pod's preStop hook. Its outcome is recorded when the hook has ended; until then the pod may be
    /// planned for again, so the steps after it must not wait for it.
    PreStop(InstanceId),
    /// Remove the pod object: nothing of it is left at Triton. With its UID as a precondition.
    RemovePod,
}

/// How a step ended, as the memory needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was accepted.
    Done,
    /// An instance was made, or found, and is in the store now.
    Found(InstanceId),
    /// There is none of this name, by a list that began at this instant.
    NotFound(Instant),
    /// It failed.
    Failed {
        /// CloudAPI's kind of error; `None` where there was no answer of CloudAPI's.
        kind: Option<Kind>,
        /// For users.
        message: String,
        /// Whether it may have taken effect all the same.
        may_have_taken_effect: bool,
    },
}

/// Something to tell the user, as an event on the pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note {
    /// How serious it is.
    pub severity: Severity,
    /// For machines: `Created`, `Unhealthy`.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

/// What to do now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In this order; a failure ends it, and the pod is planned for again.
    pub steps: Vec<Step>,
    /// The status the pod should have, when it differs from the one it has. Written before the steps, unless the
    /// plan removes the pod.
    pub status: Option<Box<PodStatus>>,
    /// Events, each said once by the memory's account.
    pub notes: Vec<Note>,
    /// What to remember instead of the memory that was planned with, before any step is taken: a step that is
    /// interrupted, and so never [recorded](Memory::record), is remembered as one that may have taken effect.
    pub memory: Memory,
    /// When to look again even if nothing happens.
    pub again: Option<Instant>,
}
