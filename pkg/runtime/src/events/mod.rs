//! Kubernetes events: what users read in `kubectl describe`.
//!
//! Recording never waits and never fails: an event goes on a bounded queue, and is dropped and counted when that is
//! full. What is said again and again becomes a series with a count, written once a minute at most; many
//! different notes for one reason of one object are combined. Several are written at once, those of one object one after
//! another. Memory is bounded.

mod outbox;
mod recorder;
mod series;

pub use self::recorder::{EventRecorder, Reporter};

use k8s_openapi::api::core::v1::ObjectReference;

/// How serious an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Things go as they should.
    Normal,
    /// Somebody should look.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Something that happened to an object. Never put secrets in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// What it is about; kube's `object_ref` makes this from any object.
    pub regarding: ObjectReference,
    /// How serious it is.
    pub severity: Severity,
    /// Why, for machines: `UpperCamelCase`, such as `DeletingNode`.
    pub reason: String,
    /// What was being done, for machines: `UpperCamelCase`, such as `Delete`.
    pub action: String,
    /// One sentence for people.
    pub note: String,
}
