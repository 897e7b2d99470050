//! What the node's keeper counts.

use prometheus::{IntCounterVec, IntGauge};
use runtime::clients::ApiError;
use runtime::metrics::{Metrics, MetricsError};

/// The keeper's metrics.
#[derive(Debug, Clone)]
pub(super) struct NodeMetrics {
    writes: IntCounterVec,
    ready: IntGauge,
}

impl NodeMetrics {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let help = "Writes of the node and of its lease, by what was written and how that went.";
        let writes = metrics.counters("triton_vk_node_writes_total", help, &["object", "outcome"])?;
        let help = "1 while CloudAPI answers and so this process says that the node is ready, else 0.";
        let ready = metrics.gauge("triton_vk_node_ready", help)?;
        Ok(Self { writes, ready })
    }

    /// Counts a write of the `node`, its `status` or its `lease`.
    pub(super) fn wrote<T>(&self, object: &str, outcome: &Result<T, ApiError>) {
        let outcome = match outcome {
            Ok(_) => "success",
            Err(error) => match error.code() {
                Some(409) => "conflict",
                Some(_) => "refused",
                None => "unanswered",
            },
        };
        self.writes.with_label_values(&[object, outcome]).inc();
    }

    pub(super) fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }
}
