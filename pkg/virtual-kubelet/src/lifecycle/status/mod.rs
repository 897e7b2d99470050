//! The pod's status.

mod address;
mod conditions;
mod container;

use k8s_openapi::api::core::v1::{HostIP, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use triton::reflector::Entry;

pub(super) use self::container::{Run, State, terminated};
use super::draft::Draft;
use super::was::Phase;

/// What the status is to say. What it leaves out stays as it is.
#[derive(Debug)]
pub(super) struct Report<'a> {
    phase: Phase,
    /// Why the pod as a whole is as it is: reason and message.
    why: Option<(&'static str, String)>,
    /// The pod's instance.
    entry: Option<&'a Entry>,
    run: Option<Run>,
    /// Why it is not ready, where that is not simply its container.
    unready: Option<&'static str>,
}

impl<'a> Report<'a> {
    /// Nothing is known of an instance yet.
    pub(super) fn pending() -> Self {
        Self { phase: Phase::Pending, why: None, entry: None, run: None, unready: None }
    }

    /// There is no instance, and why.
    pub(super) fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        let state = State::Waiting { reason, message: Some(message.into()) };
        Self { run: Some(Run::first(state)), ..Self::pending() }
    }

    /// The pod is over, and why.
    pub(super) fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self { phase: Phase::Failed, why: Some((reason, message.into())), ..Self::pending() }
    }

    /// The pod's instance is as `run` says.
    pub(super) fn of(phase: Phase, entry: &'a Entry, run: Run) -> Self {
        Self { phase, why: None, entry: Some(entry), run: Some(run), unready: None }
    }

    /// The pod is over; its instance, if there is one, says nothing new.
    pub(super) fn over(phase: Phase) -> Self {
        Self { phase, ..Self::pending() }
    }

    /// The same, of a run whose instance cannot be asked any more.
    pub(super) fn with_run(self, run: Run) -> Self {
        Self { run: Some(run), ..self }
    }

    pub(super) fn because(self, reason: &'static str, message: impl Into<String>) -> Self {
        Self { why: Some((reason, message.into())), ..self }
    }

    pub(super) fn unready(self, reason: &'static str) -> Self {
        Self { unready: Some(reason), ..self }
    }

    /// Whether the pod's Ready condition will be true.
    pub(super) fn is_ready(&self, draft: &Draft<'_>) -> bool {
        self.is_container_ready() && conditions::gates_are_open(draft.observed.pod)
    }

    fn is_container_ready(&self) -> bool {
        self.unready.is_none() && self.run.as_ref().is_some_and(|run| run.ready)
    }
}

/// The status that says what is to be said; `None` when the pod has it already.
pub(super) fn status(draft: &Draft<'_>, report: &Report<'_>) -> Option<Box<PodStatus>> {
    let pod = draft.observed.pod;
    let was = pod.status.as_ref();
    let mut status = was.cloned().unwrap_or_default();
    status.phase = Some(report.phase.as_str().to_owned());
    if let Some((reason, message)) = &report.why {
        status.reason = Some((*reason).to_owned());
        status.message = Some(message.clone());
    }
    status.start_time.get_or_insert(Time(draft.wall()));
    if let Some(host) = draft.observed.host_ip {
        status.host_ip = Some(host.to_string());
        status.host_ips = Some(vec![HostIP { ip: host.to_string() }]);
    }
    if let Some(ip) = report.entry.and_then(|entry| address::pod_ip(draft, entry)) {
        let ip = ip.to_string();
        status.pod_ips = Some(vec![PodIP { ip: ip.clone() }]);
        status.pod_ip = Some(ip);
    }
    if let Some(run) = &report.run {
        container::write(&mut status, draft, report.entry, run);
    } else if report.phase.is_terminal() {
        container::close(&mut status);
    }
    conditions::write(&mut status, draft, report);
    // Servers that do not know these fields drop them; they alone are no reason to write.
    let mut kept = status.clone();
    kept.observed_generation = was.and_then(|was| was.observed_generation);
    container::leave_out_dropped(&mut kept, was);
    if was == Some(&kept) {
        return None;
    }
    status.observed_generation = pod.metadata.generation;
    Some(Box::new(status))
}
