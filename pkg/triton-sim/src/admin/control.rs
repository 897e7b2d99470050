//! Steering a simulator: what the admin API does, as calls for tests in the same process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use triton::id::{ComputeNodeId, InstanceId};

use crate::cloudapi::changefeed::Hub;
use crate::cloudapi::{Operation, Throttle, ThrottleLimits};
use crate::cmon::{Cmon, Load};
use crate::engine::Engine;
use crate::faults::{Counters, FaultPlan, Faults};
use crate::world;

/// How often pending jobs are looked at.
const SETTLE_POLL: Duration = Duration::from_millis(5);

/// Steers a running simulator. Clones steer the same one.
#[derive(Clone)]
pub struct Control {
    pub(crate) engine: Engine,
    pub(crate) faults: Arc<Faults>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) feed: Arc<Hub>,
    pub(crate) cmon: Option<Arc<Cmon>>,
    /// How the data centre behaves when nothing goes wrong.
    pub(crate) sound: Arc<world::Settings>,
    /// How much memory and disk each compute node has when nothing goes wrong, in MiB.
    pub(crate) nodes: Arc<Vec<(ComputeNodeId, u64, u64)>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("faults", &self.faults.plan()).finish_non_exhaustive()
    }
}

/// There is no such compute node.
#[derive(Debug, thiserror::Error)]
#[error("there is no compute node {0}: GET /compute-nodes lists them")]
pub struct NoComputeNode(pub ComputeNodeId);

impl Control {
    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> Arc<FaultPlan> {
        self.faults.plan()
    }

    /// Lets other things go wrong from now on. Requests and events are counted anew for the decisions about them,
    /// so that setting the same plan again repeats a run.
    ///
    /// # Errors
    ///
    /// [`NoComputeNode`] when the plan takes down one that there is not; then nothing changes.
    pub fn set_faults(&self, plan: FaultPlan) -> Result<(), NoComputeNode> {
        let known = |id: &ComputeNodeId| self.nodes.iter().any(|(known, ..)| known == id);
        if let Some(unknown) = plan.instances.compute_nodes_down.iter().find(|id| !known(id)) {
            return Err(NoComputeNode(*unknown));
        }
        let before = self.faults.plan();
        let (faults, sound) = (&plan.instances, &self.sound);
        self.engine.write(|world, now| {
            let settings = world.settings_mut();
            settings.provision_failures = sound.provision_failures.max(faults.provision_failure_rate.get());
            settings.job_failures = sound.job_failures.max(faults.job_failure_rate.get());
            let delay = Duration::from_millis(faults.tag_delay_ms.into());
            settings.timing.metadata = sound.timing.metadata.saturating_add(delay);
            for (id, memory, disk) in self.nodes.iter() {
                let memory = faults.compute_node_memory_mib.unwrap_or(*memory);
                world.set_compute_node_capacity(*id, memory, *disk);
                let down = faults.compute_nodes_down.contains(id);
                if down || before.instances.compute_nodes_down.contains(id) {
                    world.set_compute_node_up(now, *id, !down);
                }
            }
        });
        self.faults.set(plan);
        Ok(())
    }

    /// How many requests an account may send; `None` when nothing is throttled.
    #[must_use]
    pub fn throttle(&self) -> Option<ThrottleLimits> {
        self.throttle.limits()
    }

    /// Throttles accounts in another way from now on, as if they had been quiet before, or not at all.
    pub fn set_throttle(&self, limits: Option<ThrottleLimits>) {
        self.throttle.set(limits);
    }

    /// How many requests were answered.
    #[must_use]
    pub fn requests(&self) -> &Counters {
        &self.counters
    }

    /// How many requests of an operation have arrived since faults were last set, answered or not.
    #[must_use]
    pub fn begun(&self, operation: Operation) -> u64 {
        self.faults.begun(operation)
    }

    /// Takes a compute node down, or brings it up.
    ///
    /// # Errors
    ///
    /// [`NoComputeNode`].
    pub fn set_compute_node_up(&self, id: ComputeNodeId, up: bool) -> Result<(), NoComputeNode> {
        let found = self.engine.write(|world, now| world.set_compute_node_up(now, id, up));
        if found { Ok(()) } else { Err(NoComputeNode(id)) }
    }

    /// Closes the sockets of all changefeed clients, as when the feed behind CloudAPI reconnects.
    pub fn cut_feeds(&self) {
        self.feed.cut();
    }

    /// How many changefeed clients are connected.
    #[must_use]
    pub fn feed_clients(&self) -> usize {
        self.feed.clients()
    }

    /// Sets how busy an instance is, as CMON reports it; `false` when there is no such instance or no CMON.
    pub fn set_load(&self, id: InstanceId, load: Load) -> bool {
        self.cmon.as_ref().is_some_and(|cmon| cmon.set_load(id, load))
    }

    /// Reads the truth.
    pub fn read<T>(&self, read: impl FnOnce(&world::World) -> T) -> T {
        self.engine.read(read)
    }

    /// Changes the truth, at the time that it is there.
    pub fn write<T>(&self, write: impl FnOnce(&mut world::World, Timestamp) -> T) -> T {
        self.engine.write(write)
    }

    /// Waits until nothing is pending, no longer than `timeout`; whether that came to pass.
    pub async fn settle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if self.engine.read(world::World::pending) == 0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            sleep(SETTLE_POLL).await;
        }
    }
}
