//! Has the probes of pods run, and hears what they show.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, ObjectReference, Pod};
use runtime::events::{EventRecorder, Happening, Severity};
use runtime::queue::Queue;

use super::Controller;
use crate::lifecycle::recorded_instance;
use crate::pod::PodKey;
use crate::probes::{Finding, Listener, PodProbes, Role, Run, Target, Verdicts};

/// How many attempts are under way at once, each with a socket.
pub(super) const ATTEMPTS_AT_ONCE: usize = 512;

/// Passes on what probes show.
pub(super) struct Ear {
    pub(super) queue: Queue<PodKey>,
    pub(super) events: EventRecorder,
}

impl Listener for Ear {
    fn changed(&self, pod: &PodKey) {
        self.queue.ask(pod);
    }

    fn failed(&self, pod: &PodKey, role: Role, finding: &Finding) {
        let note = match finding {
            Finding::Success => return,
            Finding::Failure(message) => format!("{} probe failed: {message}", role.as_str()),
            Finding::Impossible(message) => format!("{} probe cannot run: {message}", role.as_str()),
        };
        self.events.record(Happening {
            regarding: reference(pod),
            severity: Severity::Warning,
            reason: "Unhealthy".to_owned(),
            action: "Probe".to_owned(),
            note,
        });
    }
}

fn reference(pod: &PodKey) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.to_string()),
        name: Some(pod.name.to_string()),
        uid: Some(pod.uid.to_string()),
        ..ObjectReference::default()
    }
}

/// What is held of a pod before any probe of this process has answered.
pub(super) fn before_results(pod: &Pod) -> Verdicts {
    PodProbes::read(pod).before_results(container_status(pod))
}

impl Controller {
    /// What the probes say of the run that the pod's status shows, which are run from now on while it lasts.
    pub(super) fn probe(&self, key: &PodKey, pod: &Pod) -> Verdicts {
        let probes = PodProbes::read(pod);
        let status = container_status(pod);
        let before = probes.before_results(status);
        let Some((target, age)) = target(pod, status, probes) else {
            self.probes.forget(key);
            return before;
        };
        let run = target.run;
        self.probes.watch(key, target, age, before);
        self.probes.verdicts(key, run).unwrap_or(before)
    }
}

/// What to probe, and for how long it has run; `None` while there is no run.
fn target(pod: &Pod, status: Option<&ContainerStatus>, probes: PodProbes) -> Option<(Target, Duration)> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (status, instance) = (status?, recorded_instance(pod)?);
    let begun = status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0;
    let age = Duration::try_from(Timestamp::now().duration_since(begun)).unwrap_or_default();
    let address = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    let run = Run { instance, restarts: status.restart_count };
    Some((Target { run, address, probes: Arc::new(probes) }, age))
}

fn container_status(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}
