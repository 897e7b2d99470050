//! What the controller measures of itself.

use prometheus::{IntCounterVec, IntGauge};
use runtime::metrics::{Metrics, MetricsError};

use crate::lifecycle::{Outcome, Step};

/// The controller's metrics.
pub(super) struct Meters {
    /// Pods that are due or being looked at.
    pub(super) waiting: IntGauge,
    steps: IntCounterVec,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            waiting: metrics.gauge("triton_vk_pods_waiting", "Pods that are due or being looked at.")?,
            steps: metrics.counters(
                "triton_vk_steps_total",
                "Steps taken for pods, by kind and by how they ended.",
                &["step", "outcome"],
            )?,
        })
    }

    /// A step was taken.
    pub(super) fn took(&self, step: &Step, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Done | Outcome::Found(_) | Outcome::NotFound(_) => "done",
            Outcome::Failed { kind: Some(kind), .. } => kind.as_str(),
            Outcome::Failed { kind: None, .. } => "not_sent",
        };
        self.steps.with_label_values(&[name(step), outcome]).inc();
    }
}

/// A stable name.
fn name(step: &Step) -> &'static str {
    match step {
        Step::Create(_) => "create",
        Step::FindByName(_) => "find",
        Step::Act { action, .. } => action.as_str(),
        Step::AddTags { .. } => "add_tags",
        Step::RemoveTag { .. } => "remove_tag",
        Step::AddMetadata { .. } => "add_metadata",
        Step::RemoveMetadata { .. } => "remove_metadata",
        Step::Delete(_) => "delete",
        Step::Recheck(_) => "recheck",
        Step::PreStop(_) => "pre_stop",
        Step::RemovePod => "remove_pod",
    }
}
