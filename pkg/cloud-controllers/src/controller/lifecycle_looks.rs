//! The looks of the cloud-node-lifecycle controller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Node, Taint};
use prometheus::IntCounterVec;
use runtime::clients::ApiError;
use runtime::events::{EventRecorder, Severity};
use runtime::exit::one_line;
use runtime::metrics::{Metrics, MetricsError};
use runtime::queue::Queue;
use tokio::time::Instant;
use triton::budget::Priority;
use triton::client::Found;
use triton::id::InstanceId;
use triton::{Client, Kind};

use super::cluster::Cluster;
use super::records::{Record, Records};
use super::rehearsal::Rehearsal;
use super::writer::{Change, NodeWriter};
use super::{Name, say};
use crate::explain::life_step;
use crate::identity::Identity;
use crate::instances::Known;
use crate::node::Note;
use crate::node_lifecycle::{Absence, Census, Limits, Observed, Pace, Plan, Proof, Step, deleting, plan};

/// Deletes Nodes whose machine is gone, and taints those whose machine is shut down.
pub(super) struct LifecycleController {
    cluster: Arc<Cluster>,
    queue: Queue<Name>,
    records: Records<Absence>,
    writer: NodeWriter,
    events: EventRecorder,
    /// Reads for proof, before all else.
    triton: Client,
    limits: Limits,
    pace: Mutex<Pace>,
    deletions: IntCounterVec,
    rehearsal: Option<Rehearsal>,
}

impl LifecycleController {
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that the controller has; it is called once"
    )]
    pub(super) fn new(
        cluster: Arc<Cluster>,
        queue: Queue<Name>,
        writer: NodeWriter,
        events: EventRecorder,
        triton: Client,
        limits: Limits,
        metrics: &Metrics,
        rehearsal: Option<Rehearsal>,
    ) -> Result<Self, MetricsError> {
        let deletions = metrics.counters(
            "node_lifecycle_controller_deletions_total",
            "Nodes that were deleted, by what proved that their machine is gone: 410 or 404.",
            &["proof"],
        )?;
        let triton = triton.with_priority(Priority::Safety);
        let (records, pace) = (Records::default(), Mutex::default());
        Ok(Self { cluster, queue, records, writer, events, triton, limits, pace, deletions, rehearsal })
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
        let census = match &known {
            Known::Present(_) => {
                record.memory.refuted();
                Census::default()
            }
            // Counting is only needed where a Node may go.
            Known::Gone { .. } | Known::Unknown => self.cluster.census(name),
        };
        let plan = self.plan(&node, &identity, &known, record.memory, census);
        for note in record.news(plan.notes) {
            say(&self.events, &*node, "Delete", &note);
        }
        if let Some(again) = plan.again {
            self.queue.ask_at(name, again);
        }
        let mut step = plan.step;
        if let Some(rehearsal) = &self.rehearsal {
            let told = step.as_ref().and_then(life_step);
            if told.is_some() {
                step = None;
            }
            rehearsal.tell("node-lifecycle", name, told.into_iter().collect());
        }
        match step {
            Some(Step::Delete(proof)) => self.delete(name, &node, proof, census, &mut record).await,
            Some(Step::Taints(taints)) => self.taint(name, &node, &taints, &mut record).await,
            Some(Step::Read(id)) => self.read(name, id, &mut record).await,
            Some(Step::Recheck(id)) => self.cluster.instances().recheck(id),
            None => record.succeeded(),
        }
        self.records.put(name, record);
    }

    /// The plan for a Node's life, of which `absence` is remembered.
    pub(super) fn plan(
        &self,
        node: &Node,
        identity: &Identity,
        known: &Known,
        absence: Absence,
        census: Census,
    ) -> Plan {
        let pace = self.pace().clone();
        plan(&Observed {
            node,
            identity,
            known,
            absence,
            clean_list: self.cluster.clean_list(),
            census,
            limits: self.limits,
            pace: &pace,
            now: Instant::now(),
        })
    }

    async fn delete(
        &self,
        name: &Name,
        node: &Node,
        proof: Proof,
        census: Census,
        record: &mut Record<Absence>,
    ) {
        let begun = Instant::now();
        {
            // Others may have been deleted since the plan was made.
            let (mut pace, uid) = (self.pace(), node.metadata.uid.as_deref());
            let opens = pace.opens(&self.limits, census.machines, uid, begun);
            if opens > begun {
                return self.queue.ask_at(name, opens);
            }
            pace.note(uid, begun);
        }
        say(&self.events, node, "Delete", &deleting(name));
        match self.writer.delete(node).await {
            Ok(()) => {
                let proof = match proof {
                    Proof::Destroyed => "410",
                    Proof::NotFound => "404",
                };
                tracing::info!(node = %name, proof, "deleted");
                self.deletions.with_label_values(&[proof]).inc();
                record.succeeded();
            }
            Err(error) => {
                // Without an answer, the Node may be gone.
                if error.code().is_some_and(|code| (400..500).contains(&code)) {
                    self.pace().take_back(begun);
                }
                if !is_lag(&error) {
                    let text = format!("Failed deleting node {name}: {}", one_line(&error));
                    let note = Note { severity: Severity::Warning, reason: "DeletingNodeFailed", text };
                    say(&self.events, node, "Delete", &note);
                }
                self.queue.ask_at(name, record.failed(Instant::now()));
            }
        }
    }

    async fn taint(&self, name: &Name, node: &Node, taints: &[Taint], record: &mut Record<Absence>) {
        let change = Change { taints: Some(taints), ..Change::default() };
        match self.writer.patch(node, &change).await {
            Ok(_) => record.succeeded(),
            Err(error) => {
                if !is_lag(&error) {
                    tracing::warn!(node = %name, error = %one_line(&error), "the shutdown taint could not be written");
                }
                self.queue.ask_at(name, record.failed(Instant::now()));
            }
        }
    }

    /// Reads an instance for proof, and lets the store have the answer.
    pub(super) async fn read(&self, name: &Name, id: InstanceId, record: &mut Record<Absence>) {
        let begun = Instant::now();
        match self.triton.get_instance(id).await {
            Ok(found) => {
                record.memory.refuted();
                match found {
                    Found::Present(instance) => self.cluster.instances().found(instance, begun),
                    Found::Gone(last) => self.cluster.instances().gone(last),
                }
            }
            Err(error) if error.kind() == Kind::NotFound => record.memory.not_found(begun),
            Err(error) => {
                tracing::debug!(node = %name, error = %one_line(&error), "an instance could not be read; nothing follows");
                return self.queue.ask_at(name, record.failed(Instant::now()));
            }
        }
        record.succeeded();
        self.queue.ask(name);
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Nothing panics while holding the lock; should it ever, the pace is still usable.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a refusal says only that what was seen is old.
fn is_lag(error: &ApiError) -> bool {
    matches!(error.code(), Some(404 | 409))
}
