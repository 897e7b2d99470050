//! The attempts of all pods.
//!
//! Each probe of a watched pod is one task, which sleeps most of its life. Results go to a table under one lock per
//! pod; nothing but a change of verdicts, or a failure, is told to the [`Listener`]. A watch is of one run of the
//! container: the next run begins anew.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};
use triton::id::InstanceId;

use super::run::{Exec, Subject, attempt};
use super::{Finding, PodProbes, PodState, Role, Verdicts};
use crate::pod::PodKey;

/// Which run of the container is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The instance.
    pub instance: InstanceId,
    /// How often it was restarted before, as the pod's status says.
    pub restarts: i32,
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The run.
    pub run: Run,
    /// The pod's address.
    pub address: IpAddr,
    /// Its probes.
    pub probes: Arc<PodProbes>,
}

/// Is told what probes show. Called from their tasks: it must not block.
pub trait Listener: Send + Sync {
    /// The verdicts on a pod changed: plan for it again.
    fn changed(&self, pod: &PodKey);

    /// An attempt failed, or could not be made; kubelets make it an event, `Unhealthy`.
    fn failed(&self, pod: &PodKey, role: Role, result: &Finding);
}

/// Makes the attempts of all pods, and keeps the verdicts. Cloning gives another handle; all attempts end with the
/// last.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

struct Shared {
    context: Arc<Context>,
    pods: Mutex<HashMap<PodKey, Watched>>,
}

/// What every task needs.
struct Context {
    listener: Arc<dyn Listener>,
    exec: Option<Arc<dyn Exec>>,
    /// Bounds the attempts that are under way at once, and with them the open files.
    slots: Semaphore,
}

/// A pod that is watched. Dropping it ends its attempts.
struct Watched {
    target: Target,
    state: Arc<State>,
    tasks: Vec<AbortHandle>,
}

struct State {
    pod: PodKey,
    probes: Mutex<PodState>,
    /// The verdict on starting, for the tasks that wait for it.
    started: watch::Sender<bool>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Workers {
    /// Workers that make at most so many attempts at once.
    pub fn new(listener: Arc<dyn Listener>, exec: Option<Arc<dyn Exec>>, at_once: usize) -> Self {
        let slots = Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS));
        let context = Arc::new(Context { listener, exec, slots });
        Self(Arc::new(Shared { context, pods: Mutex::default() }))
    }

    /// Watches a run of a pod's container, which began so long ago. Does nothing when that is what is watched; a
    /// watch of another run, another address or other probes ends.
    ///
    /// `before` holds until the first results: see [`PodProbes::before_results`].
    ///
    /// Must be called within a Tokio runtime.
    pub fn watch(&self, pod: &PodKey, target: Target, age: Duration, before: Verdicts) {
        let mut pods = self.pods();
        match pods.get(pod) {
            Some(watched) if watched.target == target => return,
            None if target.probes.is_empty() => return,
            _ => {}
        }
        if target.probes.is_empty() {
            pods.remove(pod);
            return;
        }
        let state = PodState::new(&target.probes, before);
        let started = watch::Sender::new(state.verdicts().started);
        let state = Arc::new(State { pod: pod.clone(), probes: Mutex::new(state), started });
        let context = &self.0.context;
        let tasks = Role::ALL
            .into_iter()
            .filter(|role| target.probes.get(*role).is_some())
            .map(|role| {
                let (context, state) = (Arc::clone(context), Arc::clone(&state));
                tokio::spawn(probe(context, state, target.clone(), role, age)).abort_handle()
            })
            .collect();
        // Whatever was watched before ends by being dropped.
        pods.insert(pod.clone(), Watched { target, state, tasks });
    }

    /// Ends the watch of a pod.
    pub fn forget(&self, pod: &PodKey) {
        self.pods().remove(pod);
    }

    /// What the probes say of this run; `None` when it is not watched.
    pub fn verdicts(&self, pod: &PodKey, run: Run) -> Option<Verdicts> {
        let state = {
            let pods = self.pods();
            let watched = pods.get(pod).filter(|watched| watched.target.run == run)?;
            Arc::clone(&watched.state)
        };
        Some(state.probes().verdicts())
    }

    /// How many pods are watched.
    pub fn len(&self) -> usize {
        self.pods().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pods().is_empty()
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<PodKey, Watched>> {
        self.0.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn probes(&self) -> MutexGuard<'_, PodState> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the attempts of one probe, until nothing more can follow from them.
async fn probe(context: Arc<Context>, state: Arc<State>, target: Target, role: Role, age: Duration) {
    let Some(probe) = target.probes.get(role) else {
        return;
    };
    tokio::time::sleep(first_delay(probe.initial_delay, probe.period, age)).await;
    if role != Role::Startup {
        // The sender lives as long as the state, so waiting cannot fail.
        let _ = state.started.subscribe().wait_for(|started| *started).await;
    }
    let mut ticks = tokio::time::interval_at(Instant::now(), probe.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while state.probes().is_due(role) {
        ticks.tick().await;
        // The semaphore is never closed.
        let Ok(_slot) = context.slots.acquire().await else {
            return;
        };
        let subject = Subject { pod: &state.pod, address: target.address, exec: context.exec.as_deref() };
        let result = attempt(&probe.action, subject, probe.timeout).await;
        let (changed, verdicts) = {
            let mut probes = state.probes();
            (probes.take(role, &result), probes.verdicts())
        };
        if result != Finding::Success {
            context.listener.failed(&state.pod, role, &result);
        }
        if changed {
            state.started.send_replace(verdicts.started);
            context.listener.changed(&state.pod);
        }
    }
}

/// How long the first attempt waits: for what is left of the initial delay. The probes of a container that has run
/// for longer than that begin somewhere within their period, so that a process which takes over ten thousand pods does
/// not probe them all at once.
fn first_delay(initial: Duration, period: Duration, age: Duration) -> Duration {
    match initial.checked_sub(age) {
        Some(left) if !left.is_zero() => left,
        _ if age > initial + period => period.mul_f64(fastrand::f64()),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
