//! The jobs of instances: one queue per instance, worked off one job at a time (reference 2.25, 7.2).
//!
//! A request is answered when its job is queued. The job begins when those before it have ended, takes a while,
//! and then succeeds or fails; a job that finds its instance in the wrong state fails and changes nothing. All
//! that a tenant sees of it is the instance and the audit log.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use triton::id::InstanceId;
use uuid::Uuid;

use super::error::WorldError;
use super::machine::{AuditEntry, Brand, Caller, Machine};
use super::settings::{MIN_REBOOT, Timing};
use super::tasks::Task;
use super::{Due, World, after};

/// The most jobs that wait for one instance. The bound is ours.
const MAX_WAITING: usize = 500;

/// The most entries of one audit log; the oldest go. The bound is ours.
const MAX_AUDIT: usize = 1000;

/// The share of a provision after which the compute node and the addresses are known.
const PLACED_AFTER: u32 = 4;

/// All queues and audit logs.
#[derive(Default)]
pub(super) struct Jobs {
    queues: BTreeMap<InstanceId, Queue>,
    /// Oldest first.
    audits: BTreeMap<InstanceId, VecDeque<AuditEntry>>,
}

#[derive(Default)]
struct Queue {
    active: Option<Job>,
    waiting: VecDeque<Job>,
}

/// A job that has not ended.
#[derive(Clone)]
struct Job {
    id: Uuid,
    task: Task,
    caller: Caller,
    enqueued: Timestamp,
    /// When the whole job ends, once it has begun.
    ends: Timestamp,
    /// Whether a provision has chosen a node.
    placed: bool,
}

impl World {
    /// Queues a job and says its id.
    pub(super) fn enqueue(
        &mut self,
        now: Timestamp,
        instance: InstanceId,
        task: Task,
        caller: &Caller,
    ) -> Result<Uuid, WorldError> {
        let id = self.new_uuid();
        let queue = self.jobs.queues.entry(instance).or_default();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(WorldError::overloaded(format!("instance {instance} has too many jobs waiting")));
        }
        let caller = caller.clone();
        queue.waiting.push_back(Job { id, task, caller, enqueued: now, ends: now, placed: false });
        self.begin_next(now, instance);
        Ok(id)
    }

    /// Begins the next job if none is active.
    fn begin_next(&mut self, now: Timestamp, instance: InstanceId) {
        let Some(queue) = self.jobs.queues.get_mut(&instance) else {
            return;
        };
        if queue.active.is_some() {
            return;
        }
        let Some(mut job) = queue.waiting.pop_front() else {
            self.jobs.queues.remove(&instance);
            return;
        };
        let brand = self.machines.get(instance).map_or(Brand::Joyent, |machine| machine.brand);
        let delay = job.task.duration(&self.settings.timing, brand);
        let delay = self.jittered(delay);
        job.ends = after(now, delay);
        if matches!(job.task, Task::Reboot) {
            job.ends = job.ends.max(after(job.enqueued, MIN_REBOOT));
        }
        self.begin_task(now, instance, &job.task);
        let next = match job.task {
            Task::Provision(_) => after(now, delay / PLACED_AFTER),
            _ => job.ends,
        };
        self.schedule(next, Due::Job { instance, job: job.id });
        self.jobs.queues.entry(instance).or_default().active = Some(job);
    }

    /// The active job of an instance reaches its next step.
    pub(super) fn step(&mut self, at: Timestamp, instance: InstanceId, id: Uuid) {
        let Some(queue) = self.jobs.queues.get_mut(&instance) else {
            return;
        };
        let Some(job) = queue.active.as_mut().filter(|job| job.id == id) else {
            return;
        };
        if let Task::Provision(provision) = &job.task
            && !job.placed
        {
            job.placed = true;
            let (provision, ends) = (provision.clone(), job.ends);
            if self.provision_places(at, instance, &provision) {
                self.schedule(ends, Due::Job { instance, job: id });
            } else {
                self.end_job(at, instance, false);
            }
            return;
        }
        let (task, caller) = (job.task.clone(), job.caller.clone());
        let lost = !self.machines.get(instance).is_some_and(|machine| self.node_is_up(machine.compute_node));
        let fails = match task {
            Task::Provision(_) => self.chance(self.settings.provision_failures),
            _ => self.chance(self.settings.job_failures),
        };
        let succeeded = !lost && !fails && self.complete_task(at, instance, &task, &caller);
        if !succeeded {
            self.fail_task(at, instance, &task);
        }
        self.end_job(at, instance, succeeded);
    }

    /// Ends the active job at once, with all its steps.
    pub(super) fn finish_active_job(&mut self, now: Timestamp, instance: InstanceId) {
        let active = |world: &Self| Some(world.jobs.queues.get(&instance)?.active.as_ref()?.id);
        let Some(job) = active(self) else {
            return;
        };
        while active(self) == Some(job) {
            self.step(now, instance, job);
        }
    }

    /// The active job has ended: it goes to the audit log, and the next one begins.
    fn end_job(&mut self, at: Timestamp, instance: InstanceId, success: bool) {
        let job = self.jobs.queues.get_mut(&instance).and_then(|queue| queue.active.take());
        if let Some(job) = job {
            let audit = self.jobs.audits.entry(instance).or_default();
            if audit.len() >= MAX_AUDIT {
                audit.pop_front();
            }
            audit.push_back(AuditEntry { action: job.task.action(), success, time: at, caller: job.caller });
        }
        self.begin_next(at, instance);
    }

    /// Ends the provision of an instance that is being destroyed.
    pub(super) fn abandon_provision(&mut self, now: Timestamp, instance: InstanceId) {
        let active = self.jobs.queues.get(&instance).and_then(|queue| queue.active.as_ref());
        if active.is_some_and(|job| matches!(job.task, Task::Provision(_))) {
            self.end_job(now, instance, false);
        }
    }

    /// What the jobs of an instance do that have not ended, in their order.
    pub(super) fn unfinished_tasks(&self, instance: InstanceId) -> impl Iterator<Item = &Task> {
        let queue = self.jobs.queues.get(&instance);
        queue.into_iter().flat_map(|queue| queue.active.iter().chain(&queue.waiting)).map(|job| &job.task)
    }

    /// Whether a job of this kind is active or waits.
    pub(super) fn has_job(&self, instance: InstanceId, is_kind: impl Fn(&Task) -> bool) -> bool {
        self.unfinished_tasks(instance).any(is_kind)
    }

    /// How many jobs of an instance have not ended.
    pub fn unfinished_jobs(&self, instance: InstanceId) -> usize {
        self.unfinished_tasks(instance).count()
    }

    /// The finished jobs of an instance, newest first (reference 2.25).
    pub fn audit(&self, instance: InstanceId) -> impl Iterator<Item = &AuditEntry> {
        self.jobs.audits.get(&instance).into_iter().flatten().rev()
    }

    /// Forgets the jobs and the audit log of an instance that is itself forgotten.
    pub(super) fn forget_jobs(&mut self, instance: InstanceId) {
        self.jobs.queues.remove(&instance);
        self.jobs.audits.remove(&instance);
    }
}

impl Task {
    /// How long it takes, without jitter.
    fn duration(&self, timing: &Timing, brand: Brand) -> Duration {
        match self {
            Self::Provision(_) if brand.is_hvm() => timing.provision_hvm,
            Self::Provision(_) => timing.provision_zone,
            Self::Start => timing.start,
            Self::Stop => timing.stop,
            Self::Reboot => timing.reboot,
            Self::Destroy => timing.destroy,
            Self::SetTags(_)
            | Self::ReplaceTags { .. }
            | Self::RemoveTags(_)
            | Self::SetMetadata(_)
            | Self::ReplaceMetadata { .. }
            | Self::RemoveMetadata(_) => timing.metadata,
            Self::Migrate(_) => timing.migration,
            _ => timing.update,
        }
    }
}

impl Machine {
    /// What it takes from its compute node.
    pub(super) fn demand(&self) -> super::placement::Demand {
        super::placement::Demand {
            owner: self.owner,
            memory_mib: self.memory_mib,
            disk_mib: self.flexible_disk_mib.unwrap_or(self.disk_mib),
        }
    }
}

#[cfg(test)]
mod tests;
