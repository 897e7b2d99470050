//! Following the data centre: which instances changed, and committing their records in batches
//! (reference 3.5).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::debug;
use triton::id::InstanceId;

use super::nodes::SilentNodes;
use super::records::{Records, records_of};
use super::server::{Shared, stopped};
use super::zones::ZoneConfig;
use crate::view::DataCenter;

/// Instances that are committed at once; between two such parts questions are answered.
const CHUNK: usize = 256;
/// How often it is checked whether a compute node has been silent for too long.
const NODE_CHECK: Duration = Duration::from_secs(10);

/// Keeps the database as the data centre is, some seconds late.
pub(super) struct Follower {
    data_center: Arc<dyn DataCenter>,
    changes: Receiver<InstanceId>,
    database: Shared,
    config: ZoneConfig,
    delay: Duration,
    nodes: SilentNodes,
    batch: Batch,
}

/// What the next commit looks at.
#[derive(Default)]
struct Batch {
    instances: BTreeSet<InstanceId>,
    /// All instances, whatever is in the set.
    everything: bool,
    /// When it is committed; none while there is nothing to look at.
    due: Option<Instant>,
}

impl Follower {
    /// A follower of a data centre that has seen nothing of it yet.
    pub(super) fn new(
        data_center: Arc<dyn DataCenter>,
        database: Shared,
        config: ZoneConfig,
        delay: Duration,
    ) -> Self {
        let changes = data_center.changes();
        let (nodes, batch) = (SilentNodes::default(), Batch::default());
        Self { data_center, changes, database, config, delay, nodes, batch }
    }

    /// Reads and commits all instances at once, as the real CNS does when it starts.
    pub(super) async fn read_all(&mut self) {
        self.batch.everything = true;
        self.commit().await;
    }

    /// Follows the data centre until `stop` is dropped.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<()>) {
        let mut node_check = interval(NODE_CHECK);
        node_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        loop {
            let due = self.batch.due;
            tokio::select! {
                () = stopped(&mut stop) => return,
                change = self.changes.recv(), if is_open => match change {
                    Ok(instance) => self.note(instance),
                    Err(RecvError::Lagged(missed)) => {
                        debug!(missed, "CNS missed changes and reads all instances");
                        self.note_everything();
                    }
                    Err(RecvError::Closed) => is_open = false,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.commit().await,
                _ = node_check.tick() => {
                    if self.nodes.check(self.data_center.now()) {
                        self.note_everything();
                    }
                }
            }
        }
    }

    fn note(&mut self, instance: InstanceId) {
        self.batch.instances.insert(instance);
        self.batch.due.get_or_insert_with(|| Instant::now() + self.delay);
    }

    fn note_everything(&mut self) {
        self.batch.everything = true;
        self.batch.due.get_or_insert_with(|| Instant::now() + self.delay);
    }

    async fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let mut instances = batch.instances;
        if batch.everything {
            instances.extend(self.data_center.instances().iter().map(|view| view.id));
            instances.extend(self.database.read().unwrap_or_else(PoisonError::into_inner).instances());
        }
        let instances: Vec<InstanceId> = instances.into_iter().collect();
        let now = self.data_center.now();
        let serial = self.database.read().unwrap_or_else(PoisonError::into_inner).next_serial(now);
        for chunk in instances.chunks(CHUNK) {
            let records: Vec<_> = chunk.iter().map(|id| (*id, self.records(*id, now))).collect();
            self.database.write().unwrap_or_else(PoisonError::into_inner).apply(records, serial);
            yield_now().await;
        }
    }

    /// The records of an instance as it is now. A compute node that answers again is noticed here, and then
    /// its other instances need a look, too.
    fn records(&mut self, id: InstanceId, now: Timestamp) -> Records {
        let Some(view) = self.data_center.instance(id) else { return Records::default() };
        let Some(node) = view.compute_node else { return records_of(&view, &self.config, false) };
        if self.nodes.see(node, view.compute_node_up, now) {
            self.note_everything();
        }
        records_of(&view, &self.config, self.nodes.is_down(node))
    }
}
