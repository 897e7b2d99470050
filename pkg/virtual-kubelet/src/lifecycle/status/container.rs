//! The status of the pod's one container.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use provider::names::tag;
use triton::id::InstanceId;
use triton::reflector::Entry;

use crate::lifecycle::container_id;
use crate::lifecycle::draft::Draft;

/// The container's part of a report.
#[derive(Debug)]
pub(in crate::lifecycle) struct Run {
    pub(in crate::lifecycle) state: State,
    /// How the run before ended; `None` leaves what is said of it.
    pub(in crate::lifecycle) last: Option<ContainerStateTerminated>,
    pub(in crate::lifecycle) restarts: i32,
    pub(in crate::lifecycle) ready: bool,
    pub(in crate::lifecycle) started: bool,
}

/// The state of a container.
#[derive(Debug)]
pub(in crate::lifecycle) enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: Timestamp },
    Terminated(ContainerStateTerminated),
}

impl Run {
    /// Of a container that has not run yet.
    pub(in crate::lifecycle) fn first(state: State) -> Self {
        Self { state, last: None, restarts: 0, ready: false, started: false }
    }
}

/// How a run ended.
pub(in crate::lifecycle) fn terminated(
    id: InstanceId,
    started: Option<Timestamp>,
    finished: Timestamp,
    exit_code: i32,
) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(container_id(id)),
        exit_code,
        reason: Some(if exit_code == 0 { "Completed" } else { "Error" }.to_owned()),
        started_at: Some(Time(started.unwrap_or(finished))),
        finished_at: Some(Time(finished)),
        ..ContainerStateTerminated::default()
    }
}

/// Writes the container's status. Fields that are others' matter, such as those of a resize, stay.
pub(super) fn write(status: &mut PodStatus, draft: &Draft<'_>, entry: Option<&Entry>, run: &Run) {
    let statuses = status.container_statuses.get_or_insert_default();
    if statuses.is_empty() {
        statuses.push(ContainerStatus::default());
    }
    let Some(container) = statuses.first_mut() else {
        return;
    };
    draft.was.container_name().clone_into(&mut container.name);
    let image = draft.was.container().and_then(|container| container.image.as_deref());
    image.unwrap_or_default().clone_into(&mut container.image);
    if let Some(entry) = entry {
        container.container_id = Some(container_id(entry.id()));
        if let Some(image) = entry.observed().image {
            container.image_id = image.to_string();
        }
    }
    container.state = Some(state(&run.state));
    if let Some(last) = &run.last {
        container.last_state = Some(of_terminated(last.clone()));
    }
    container.restart_count = run.restarts;
    container.ready = run.ready;
    container.started = Some(run.started);
    if let (Some(entry), State::Running { .. }) = (entry, &run.state)
        && has_its_resources(draft, entry)
    {
        let spec = draft.was.container().and_then(|container| container.resources.as_ref());
        let requests = spec.and_then(|resources| resources.requests.clone());
        container.allocated_resources = requests.filter(|requests| !requests.is_empty());
        container.resources =
            Some(ResourceRequirements { claims: None, ..spec.cloned().unwrap_or_default() });
    }
}

/// Whether the instance's package is the one for what the pod asks now. Until then the status keeps the resources that
/// it has, as while any kubelet resizes; and without any there, the API server refuses a resize.
fn has_its_resources(draft: &Draft<'_>, entry: &Entry) -> bool {
    let Some(Ok(desired)) = draft.observed.desired else {
        return false;
    };
    let (now, soon) = (entry.observed(), entry.expected());
    now.package == soon.package
        && desired.request.tags.get(tag::RESOURCES) == now.tags.get(tag::RESOURCES)
        && desired.request.tags.get(tag::RESOURCES) == soon.tags.get(tag::RESOURCES)
}

/// Leaves out the resources where they were written before, for all that is known, and the server dropped them.
pub(super) fn leave_out_dropped(status: &mut PodStatus, was: Option<&PodStatus>) {
    let first = |status: &PodStatus| status.container_statuses.as_ref()?.first().cloned();
    let is_running = |was: &ContainerStatus| was.state.as_ref().is_some_and(|state| state.running.is_some());
    if !was.and_then(first).is_some_and(|was| is_running(&was) && was.resources.is_none()) {
        return;
    }
    for container in status.container_statuses.iter_mut().flatten() {
        (container.resources, container.allocated_resources) = (None, None);
    }
}

/// The pod is over: its container is neither ready nor started.
pub(super) fn close(status: &mut PodStatus) {
    for container in status.container_statuses.iter_mut().flatten() {
        container.ready = false;
        container.started = Some(false);
    }
}

fn state(state: &State) -> ContainerState {
    match state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: Some((*reason).to_owned()),
                message: message.clone(),
            }),
            ..ContainerState::default()
        },
        State::Running { since } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(*since)) }),
            ..ContainerState::default()
        },
        State::Terminated(terminated) => of_terminated(terminated.clone()),
    }
}

fn of_terminated(terminated: ContainerStateTerminated) -> ContainerState {
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}
