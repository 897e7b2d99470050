//! What the pod and its status say so far: everything that a restart of the process does not lose.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use triton::id::InstanceId;

/// The container ID of an instance, as statuses carry it: `triton://<uuid>`.
pub fn container_id(id: InstanceId) -> String {
    format!("{SCHEME}{id}")
}

/// The instance that the pod's status names: the last part of `containerStatuses[0].containerID`, so that a form
/// with a data centre is understood as well.
pub fn recorded_instance(pod: &Pod) -> Option<InstanceId> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    status.container_id.as_deref()?.strip_prefix(SCHEME)?.rsplit('/').next()?.parse().ok()
}

const SCHEME: &str = "triton://";

/// The phases that the virtual kubelet gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No instance of it has run.
    Pending,
    /// Its instance runs, or did and will again.
    Running,
    /// Over, by itself and well.
    Succeeded,
    /// Over.
    Failed,
}

impl Phase {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What becomes of an instance that stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartPolicy {
    /// It is started again.
    Always,
    /// It is started again unless it reports the exit code 0, or none.
    OnFailure,
    /// It stays as it is.
    Never,
}

/// A pod as it was until now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Was<'a> {
    pub(super) pod: &'a Pod,
}

impl<'a> Was<'a> {
    pub(super) fn status(self) -> Option<&'a PodStatus> {
        self.pod.status.as_ref()
    }

    /// The pod's one container, as the manifest has it.
    pub(super) fn container(self) -> Option<&'a Container> {
        self.pod.spec.as_ref()?.containers.first()
    }

    /// What its name is in messages.
    pub(super) fn container_name(self) -> &'a str {
        self.container().map_or("", |container| &container.name)
    }

    pub(super) fn container_status(self) -> Option<&'a ContainerStatus> {
        self.status()?.container_statuses.as_ref()?.first()
    }

    pub(super) fn phase(self) -> Phase {
        match self.status().and_then(|status| status.phase.as_deref()) {
            Some("Running") => Phase::Running,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            _ => Phase::Pending,
        }
    }

    /// Whether an instance of this pod has ever been seen running, by the pod's own account.
    pub(super) fn has_run(self) -> bool {
        self.phase() != Phase::Pending && recorded_instance(self.pod).is_some()
    }

    /// Since when the present run goes, so far as the status shows one.
    pub(super) fn running_since(self) -> Option<Timestamp> {
        let running = self.container_status()?.state.as_ref()?.running.as_ref()?;
        running.started_at.as_ref().map(|time| time.0)
    }

    /// How the last run ended, when the status shows that it did and no other has begun.
    pub(super) fn ended(self) -> Option<&'a ContainerStateTerminated> {
        let status = self.container_status()?;
        let state = status.state.as_ref();
        if state.is_some_and(|state| state.running.is_some()) {
            return None;
        }
        let now = state.and_then(|state| state.terminated.as_ref());
        now.or_else(|| status.last_state.as_ref()?.terminated.as_ref())
    }

    pub(super) fn restarts(self) -> i32 {
        self.container_status().map_or(0, |status| status.restart_count)
    }

    pub(super) fn restart_policy(self) -> RestartPolicy {
        match self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        }
    }

    /// Whether readiness takes a probe's word, rather than following from running alone.
    pub(super) fn readiness_is_probed(self) -> bool {
        self.container()
            .is_some_and(|container| container.readiness_probe.is_some() || container.startup_probe.is_some())
    }

    pub(super) fn deletion(self) -> Option<Timestamp> {
        self.pod.metadata.deletion_timestamp.as_ref().map(|time| time.0)
    }

    /// When its time is up, by `activeDeadlineSeconds` since its start.
    pub(super) fn deadline(self) -> Option<Timestamp> {
        let seconds = self.pod.spec.as_ref()?.active_deadline_seconds?;
        let start = self.status()?.start_time.as_ref()?.0;
        start.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
    }

    pub(super) fn has_deadline(self) -> bool {
        self.pod.spec.as_ref().is_some_and(|spec| spec.active_deadline_seconds.is_some())
    }
}
