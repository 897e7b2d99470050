//! Making the instance.

use triton::id::InstanceId;
use triton::reflector::{Entry, Lookup};

use super::draft::Draft;
use super::existence::is_anothers;
use super::memory::{Create, Lane};
use super::status::Report;
use super::was::RestartPolicy;
use super::{Observed, Step};
use crate::pod::Desired;

/// A pod that has no instance, and never had one that ran: makes one, unless one may have been made.
pub(super) fn create(draft: &mut Draft<'_>, gone: Option<InstanceId>, failed: &[InstanceId]) {
    if find_lost(draft) {
        return;
    }
    refuse_taken_name(draft);
    if failed_to_provision(draft, gone, failed) {
        return;
    }
    let observed = draft.observed;
    let desired = match observed.desired {
        Ok(desired) => desired,
        Err(refusal) => {
            let reason = refusal.reason.as_str();
            draft.warn(reason, refusal.to_string());
            draft.report = Some(if refusal.reason.is_final() {
                Report::failed(reason, refusal.to_string())
            } else {
                Report::waiting(reason, refusal.to_string())
            });
            return;
        }
    };
    let now = draft.monotonic();
    let create = &draft.plan.memory.create;
    if let Some((reason, message)) = create.refused.clone() {
        draft.warn(reason, format!("{message} (attempt {})", create.failures.max(1)));
        draft.report = Some(Report::waiting(reason, message));
    } else {
        draft.report = acknowledged(draft);
    }
    let not_before = draft.plan.memory.create.not_before.filter(|at| *at > now);
    if let Some(at) = not_before {
        draft.again_at(at);
        return;
    }
    draft.normal("Creating", resolved(desired));
    draft.plan.memory.create.begin(&desired.request, now);
    draft.plan.steps.push(Step::Create(Box::new(desired.request.clone())));
}

/// Looks for what a create in doubt may have made. Says whether there is such a doubt.
pub(super) fn find_lost(draft: &mut Draft<'_>) -> bool {
    let Some(doubt) = draft.plan.memory.create.doubt.clone() else {
        return false;
    };
    if doubt.find_at <= draft.monotonic() {
        draft.plan.steps.push(Step::FindByName(doubt.name));
    } else {
        draft.again_at(doubt.find_at);
    }
    true
}

/// When the name that the instance should have is found on one that is not this pod's: names are unique, so another
/// attempt is made later, when the name may be free.
fn refuse_taken_name(draft: &mut Draft<'_>) {
    let Some(entry) = anothers(draft.observed) else {
        return;
    };
    let message = format!(
        "the name {} is taken by instance {}, which is not this pod's; delete or rename it",
        entry.observed().name,
        entry.id()
    );
    let now = draft.monotonic();
    let create = &mut draft.plan.memory.create;
    if create.made.take().is_some() {
        create.failed_again(now);
        create.refused = Some(("InstanceNameTaken", message));
    }
}

fn anothers<'a>(observed: &'a Observed<'_>) -> Option<&'a Entry> {
    let recorded = observed.recorded.as_ref()?;
    match &recorded.lookup {
        Lookup::Present(entry) if is_anothers(entry, observed) => Some(entry),
        _ => None,
    }
}

/// Counts instances that failed to come to life. Says whether that is the end of the pod.
///
/// Such an instance never comes back, and its name is free again. A pod that is never to be restarted has failed with
/// it, as one whose container could not be started; for the others another instance is made, after a back-off.
fn failed_to_provision(draft: &mut Draft<'_>, gone: Option<InstanceId>, failed: &[InstanceId]) -> bool {
    let now = draft.monotonic();
    let is_new = |create: &Create, id: &InstanceId| !create.failed.contains(id);
    let ids: Vec<InstanceId> = failed.iter().copied().chain(gone).collect();
    let new: Vec<InstanceId> =
        ids.iter().copied().filter(|id| is_new(&draft.plan.memory.create, id)).collect();
    let Some(&last) = new.last() else {
        return false;
    };
    let create = &mut draft.plan.memory.create;
    create.failed.extend(new);
    create.made = None;
    create.failed_again(now);
    let message = if failed.contains(&last) {
        format!(
            "instance {last} failed to provision; the operator of {} can tell why",
            draft.observed.datacenter
        )
    } else {
        format!("instance {last} was deleted before it ran")
    };
    draft.warn(PROVISIONING_FAILED, message.clone());
    if draft.was.restart_policy() == RestartPolicy::Never {
        draft.report = Some(Report::failed(PROVISIONING_FAILED, message));
        return true;
    }
    draft.plan.memory.create.refused = Some((PROVISIONING_FAILED, message));
    false
}

const PROVISIONING_FAILED: &str = "ProvisioningFailed";

/// The status of a pod whose instance is about to be made: as it is, to save a write, unless its deadline counts from
/// the start that the status records.
fn acknowledged<'a>(draft: &Draft<'a>) -> Option<Report<'a>> {
    let unrecorded = draft.was.status().is_none_or(|status| status.start_time.is_none());
    (draft.was.has_deadline() && unrecorded).then(Report::pending)
}

/// What was chosen for the pod, for its users.
fn resolved(desired: &Desired) -> String {
    let image = &desired.image;
    let networks: Vec<String> = desired.networks.iter().map(ToString::to_string).collect();
    let networks = if networks.is_empty() { "the default networks".to_owned() } else { networks.join(", ") };
    format!(
        "Creating instance {} of image {}@{} with package {} on {networks}",
        desired.demand.instance_name, image.name, image.version, desired.package.name
    )
}

/// Notes the refusals of other steps than creates.
pub(super) fn note_refusals(draft: &mut Draft<'_>) {
    let refusals: Vec<(Lane, String)> =
        draft.plan.memory.refusals().map(|(lane, message)| (lane, message.to_owned())).collect();
    for (lane, message) in refusals {
        draft.warn(lane.failure_reason(), message);
    }
}
