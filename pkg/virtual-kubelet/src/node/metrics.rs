//! What the keepers of nodes count.

use prometheus::{IntCounterVec, IntGaugeVec};
use runtime::clients::ApiError;
use runtime::metrics::{Metrics, MetricsError};

/// The metrics of the keepers of a process, by node. Cloning gives another handle on the same.
#[derive(Debug, Clone)]
pub struct NodeMetrics {
    writes: IntCounterVec,
    ready: IntGaugeVec,
}

impl NodeMetrics {
    /// Registers them, once for all nodes.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when they are there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let help = "Writes of nodes and of their leases, by what was written and how that went.";
        let writes = metrics.counters("triton_vk_node_writes_total", help, &["node", "object", "outcome"])?;
        let help = "1 while CloudAPI answers and so this process says that the node is ready, else 0.";
        let ready = metrics.gauges("triton_vk_node_ready", help, &["node"])?;
        Ok(Self { writes, ready })
    }

    /// Counts a write of the `node`, its `status` or its `lease`.
    pub(super) fn wrote<T>(&self, node: &str, object: &str, outcome: &Result<T, ApiError>) {
        let outcome = match outcome {
            Ok(_) => "success",
            Err(error) => match error.code() {
                Some(409) => "conflict",
                Some(_) => "refused",
                None => "unanswered",
            },
        };
        self.writes.with_label_values(&[node, object, outcome]).inc();
    }

    pub(super) fn ready(&self, node: &str, ready: bool) {
        self.ready.with_label_values(&[node]).set(i64::from(ready));
    }
}
