//! A pod that is being deleted.
//!
//! preStop, stop, delete, confirm, and only then is the pod object removed. The grace period ends at the deletion
//! timestamp; after it, or where there is nothing to stop, the instance is deleted as it is. Membership in CNS is not
//! withdrawn by itself: CNS drops an instance that stops, and the stop comes first.

use std::sync::Arc;
use std::time::Duration;

use provider::names::{PREFIX, annotation};
use triton::reflector::Entry;
use triton::types::{InstanceAction, InstanceState};

use super::Step;
use super::create::find_lost;
use super::draft::Draft;
use super::existence::Existence;
use super::memory::{Lane, PreStop};
use super::plan::{KILLED, delete_duplicates, prove, recheck, settle};
use super::recorded_instance;
use super::status::{Report, Run, State, terminated};
use super::was::Phase;

/// How often the lifting of deletion protection is looked for.
const PROTECTION_LOOK: Duration = Duration::from_secs(2);

/// How long a pod object may stay after its removal, by its finalizers, before it is removed once more.
const REMOVE_AGAIN: Duration = Duration::from_secs(60);

/// How soon a deletion that was accepted is looked for by a read, should no change tell of it.
const GONE_LOOK: Duration = Duration::from_secs(10);

/// Ends the pod.
pub(super) fn end<'a>(draft: &mut Draft<'a>, existence: &Existence<'a>) {
    match existence {
        Existence::Present { main, others } => {
            settle(draft, main);
            draft.plan.memory.removed = None;
            delete_duplicates(draft, others, main.id());
            end_instance(draft, main);
        }
        Existence::Unproven(id) => prove(draft, *id),
        Existence::Absent { .. } => {
            if !find_lost(draft) {
                remove(draft);
            }
        }
    }
}

fn end_instance(draft: &mut Draft<'_>, main: &Arc<Entry>) {
    let id = main.id();
    if main.is_deleting() {
        draft.again_in(GONE_LOOK);
        return;
    }
    draft.normal("Killing", format!("Stopping and deleting instance {id}"));
    let unprotected = lift_protection(draft, main);
    if is_graceful(draft, main) {
        return;
    }
    if unprotected {
        draft.take(Lane::End, [Step::Delete(id)]);
    }
    // The changefeed does not tell that somebody no longer protects an instance.
    if !unprotected && !is_protection_ours(draft) {
        recheck(draft, id);
    }
}

/// Lets the guest end by itself while its grace period lasts. Says whether there is still something to wait for.
fn is_graceful(draft: &mut Draft<'_>, main: &Entry) -> bool {
    let Some(left) = draft.was.deletion().and_then(|deadline| draft.until(deadline)) else {
        return false;
    };
    match &main.observed().state {
        InstanceState::Running => {}
        // Of what cannot be seen it is assumed that it runs, and that it stops when it is told to.
        state if state.is_indeterminate() => {}
        InstanceState::Stopping => {
            draft.again_in(left);
            return true;
        }
        _ => return false,
    }
    draft.again_in(left);
    if has_pre_stop(draft) {
        match draft.plan.memory.pre_stop {
            PreStop::Due => {
                draft.plan.memory.pre_stop = PreStop::Started;
                draft.plan.steps.push(Step::PreStop(main.id()));
                return true;
            }
            PreStop::Started => return true,
            PreStop::Ended => {}
        }
    }
    draft.act(Lane::Run, main, InstanceAction::Stop);
    true
}

fn has_pre_stop(draft: &Draft<'_>) -> bool {
    let lifecycle = draft.was.container().and_then(|container| container.lifecycle.as_ref());
    lifecycle.is_some_and(|lifecycle| lifecycle.pre_stop.is_some())
}

/// Lifts the protection against deletion that the pod has asked for. Says whether there is none in the way. What
/// somebody else protects stays, and is said.
fn lift_protection(draft: &mut Draft<'_>, main: &Entry) -> bool {
    if !main.observed().deletion_protection {
        return true;
    }
    if !is_protection_ours(draft) {
        draft.warn(
            "DeletionProtected",
            format!(
                "Instance {} is protected against deletion, which the pod has not asked for; lift it and the \
                 deletion goes on",
                main.id()
            ),
        );
        return false;
    }
    draft.act(Lane::End, main, InstanceAction::DisableDeletionProtection);
    draft.again_in(PROTECTION_LOOK);
    false
}

fn is_protection_ours(draft: &Draft<'_>) -> bool {
    if draft
        .observed
        .desired
        .is_some_and(|desired| desired.is_ok_and(|desired| desired.demand.deletion_protection))
    {
        return true;
    }
    let annotations = draft.observed.pod.metadata.annotations.as_ref();
    annotations.into_iter().flatten().any(|(key, value)| {
        let key = key.strip_prefix(PREFIX).unwrap_or(key);
        [annotation::DELETION_PROTECTION, annotation::DELETION_PROTECTION_LONG].contains(&key)
            && value.trim().eq_ignore_ascii_case("true")
    })
}

/// Nothing is left at Triton: removes the pod object. One that finalizers keep is given a terminal phase before, for
/// its controllers wait for it.
fn remove(draft: &mut Draft<'_>) {
    let was = draft.was;
    let is_kept = was.pod.metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty());
    if is_kept && !was.phase().is_terminal() {
        let ended = was.ended().cloned();
        let phase = match &ended {
            Some(ended) if ended.exit_code == 0 => Phase::Succeeded,
            _ => Phase::Failed,
        };
        let report = Report::over(phase);
        draft.report = Some(match recorded_instance(was.pod) {
            None => report,
            Some(id) => {
                let ended =
                    ended.unwrap_or_else(|| terminated(id, was.running_since(), draft.wall(), KILLED));
                report.with_run(Run { restarts: was.restarts(), ..Run::first(State::Terminated(ended)) })
            }
        });
        return;
    }
    let again = draft.plan.memory.removed.map(|at| at + REMOVE_AGAIN);
    if let Some(again) = again.filter(|again| *again > draft.monotonic()) {
        draft.again_at(again);
        return;
    }
    draft.take(Lane::End, [Step::RemovePod]);
}
