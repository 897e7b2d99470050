//! The looks of the cloud-node controller.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use prometheus::Histogram;
use runtime::clients::ApiError;
use runtime::events::EventRecorder;
use runtime::exit::one_line;
use runtime::metrics::{Metrics, MetricsError};
use runtime::queue::Queue;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::records::{Outdated, Records};
use super::rehearsal::Rehearsal;
use super::writer::{Change, NodeWriter};
use super::{Name, say};
use crate::explain::node_step;
use crate::identity::Identity;
use crate::instances::Known;
use crate::node::{Memory, Observed, Step, plan};

/// The framework's: 1, 4, 16, … 1024 s (Kubernetes reference 2.3).
const BUCKETS: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0];

/// Initialises Nodes and keeps them true.
pub(super) struct NodeController {
    cluster: Arc<Cluster>,
    queue: Queue<Name>,
    records: Records<Memory>,
    writer: NodeWriter,
    events: EventRecorder,
    taint_delay: Histogram,
    sync_delay: Histogram,
    rehearsal: Option<Rehearsal>,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("cannot write the Node")]
    Kube(#[from] ApiError),
    #[error("cannot learn which networks are public")]
    Networks(#[from] triton::Error),
    #[error("the Node's taints changed meanwhile")]
    Changed,
}

impl StepError {
    /// Whether the next look will see why, so that nobody need be told.
    fn is_lag(&self) -> bool {
        match self {
            Self::Kube(error) => matches!(error.code(), Some(404 | 409)),
            Self::Networks(_) => false,
            Self::Changed => true,
        }
    }
}

impl NodeController {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        queue: Queue<Name>,
        writer: NodeWriter,
        events: EventRecorder,
        metrics: &Metrics,
        rehearsal: Option<Rehearsal>,
    ) -> Result<Self, MetricsError> {
        let taint_delay = metrics.histogram(
            "node_controller_cloud_provider_taint_removal_delay_seconds",
            "Seconds from the creation of a Node until its uninitialized taint was removed.",
            &BUCKETS,
        )?;
        let sync_delay = metrics.histogram(
            "node_controller_initial_node_sync_delay_seconds",
            "Seconds from the creation of a Node until it was initialised.",
            &BUCKETS,
        )?;
        let records = Records::default();
        Ok(Self { cluster, queue, records, writer, events, taint_delay, sync_delay, rehearsal })
    }

    pub(super) fn queue(&self) -> &Queue<Name> {
        &self.queue
    }

    /// Looks at each Node when it is due, for ever.
    pub(super) async fn work(self: &Arc<Self>, at_once: usize) {
        let look = |name: Name| {
            let this = Arc::clone(self);
            async move { this.look(&name).await }
        };
        self.queue.work(at_once, look).await;
    }

    async fn look(&self, name: &Name) {
        let mut record = self.records.take(name);
        let Some((node, identity, known)) = self.cluster.observe(name) else { return };
        let version = node.metadata.resource_version.as_deref();
        if let Some(until) = record.outdated.wait(version, Instant::now()) {
            // The event of what was written asks for a look.
            self.queue.ask_at(name, until);
            return self.records.put(name, record);
        }
        let plan = self.observed(&node, &identity, &known, record.memory, plan);
        record.memory = plan.memory;
        for note in record.news(plan.notes) {
            say(&self.events, &*node, "Initialize", &note);
        }
        if let Some(again) = plan.again {
            self.queue.ask_at(name, again);
        }
        let (mut steps, mut done) = (plan.steps, plan.done);
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.tell("node", name, steps.iter().filter_map(node_step).collect());
            steps.retain(|step| node_step(step).is_none());
            done = None;
        }
        match self.perform(name, &node, &steps, &mut record.outdated).await {
            Ok(()) => {
                record.succeeded();
                if let Some(note) = &done {
                    say(&self.events, &*node, "Initialize", note);
                    self.measure(&node);
                }
            }
            Err(error) => {
                if error.is_lag() {
                    tracing::debug!(node = %name, error = %one_line(&error), "looking again");
                } else {
                    tracing::warn!(node = %name, error = %one_line(&error), "a Node could not be kept true");
                }
                self.queue.ask_at(name, record.failed(Instant::now()));
            }
        }
        self.records.put(name, record);
    }

    /// What a plan, or an explanation of it, is made of.
    pub(super) fn observed<R>(
        &self,
        node: &Node,
        identity: &Identity,
        known: &Known,
        memory: Memory,
        look: impl FnOnce(&Observed<'_>) -> R,
    ) -> R {
        let networks = self.cluster.networks().known();
        look(&Observed {
            node,
            identity,
            known,
            networks: &networks,
            place: self.cluster.place(),
            memory,
            now: Instant::now(),
            wall: Timestamp::now(),
        })
    }

    async fn perform(
        &self,
        name: &Name,
        node: &Node,
        steps: &[Step],
        outdated: &mut Outdated,
    ) -> Result<(), StepError> {
        let version = |node: &Node| node.metadata.resource_version.clone();
        let mut written = None;
        for step in steps {
            let current = written.as_ref().unwrap_or(node);
            let before = version(current);
            match step {
                Step::LearnNetworks(ids) => {
                    self.cluster.networks().learn(ids).await?;
                    self.queue.ask(name);
                }
                Step::Recheck(id) => self.cluster.instances().recheck(*id),
                Step::PatchStatus { addresses, condition } => {
                    let patch = self.writer.patch_status(current, addresses.as_deref(), condition.as_ref());
                    written = Some(patch.await?);
                }
                Step::PatchNode { labels, provider_id, taints } => {
                    // The write before this one gave the Node another version, which this one is bound to; its taints
                    // must still be those that the plan saw.
                    let seen = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone());
                    if taints.is_some() && seen(current) != seen(node) {
                        return Err(StepError::Changed);
                    }
                    let change = Change {
                        labels: Some(labels),
                        provider_id: provider_id.as_deref(),
                        taints: taints.as_deref(),
                    };
                    written = Some(self.writer.patch(current, &change).await?);
                }
            }
            // A write that changed nothing leaves the version as it was, and no event follows.
            if written.as_ref().map(version).is_some_and(|after| after != before) {
                outdated.note(before.as_deref(), Instant::now());
            }
        }
        Ok(())
    }

    fn measure(&self, node: &Node) {
        let Some(created) = &node.metadata.creation_timestamp else { return };
        let seconds = Timestamp::now().duration_since(created.0).as_secs_f64().max(0.0);
        self.taint_delay.observe(seconds);
        self.sync_delay.observe(seconds);
    }
}
