//! The plan.

use std::sync::Arc;

use runtime::events::Severity;
use triton::id::InstanceId;
use triton::reflector::Entry;

use super::backoff::PROOF;
use super::create::{create, note_refusals};
use super::draft::Draft;
use super::end::end;
use super::existence::{Existence, existence};
use super::memory::Lane;
use super::run::look_after;
use super::status::{self, Report, Run, State, terminated};
use super::terminal::{is_out_of_time, keep};
use super::{Observed, Plan, Step, Trust};

/// What to do about a pod now.
///
/// While Triton's side is not synced nothing is done and nothing is said.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let mut draft = Draft::new(observed);
    if observed.trust == Trust::Unsynced {
        return draft.plan;
    }
    for note in observed.notes {
        draft.note(note.severity, note.reason, note.message.clone());
    }
    let existence = existence(observed);
    if draft.was.deletion().is_some() {
        end(&mut draft, &existence);
    } else if draft.was.phase().is_terminal() || is_out_of_time(&mut draft) {
        keep(&mut draft, &existence);
    } else {
        live(&mut draft, &existence);
    }
    note_refusals(&mut draft);
    let status = draft.report.as_ref().and_then(|report| status::status(&draft, report));
    Plan { status, ..draft.plan }
}

/// A pod that is to live.
fn live<'a>(draft: &mut Draft<'a>, existence: &Existence<'a>) {
    match existence {
        Existence::Present { main, others } => {
            settle(draft, main);
            let adopted = look_after(draft, main, others.is_empty());
            delete_duplicates(draft, others, adopted);
        }
        Existence::Unproven(id) => prove(draft, *id),
        Existence::Absent { gone, failed } => {
            draft.plan.memory.rechecks = None;
            if draft.was.has_run() { lose(draft) } else { create(draft, *gone, failed) }
        }
    }
}

/// Takes an instance for the pod's.
pub(super) fn settle(draft: &mut Draft<'_>, main: &Entry) {
    let now = draft.monotonic();
    draft.plan.memory.create.settled(main.id(), &main.observed().name, now);
}

/// Deletes the instances of the pod that are not the one. The status that names the one is written before.
pub(super) fn delete_duplicates(draft: &mut Draft<'_>, others: &[&Arc<Entry>], kept: InstanceId) {
    for other in others.iter().filter(|other| !other.is_deleting()) {
        let id = other.id();
        draft.note(
            Severity::Warning,
            "DuplicateInstance",
            format!("Deleting instance {id}, which is a duplicate of instance {kept}"),
        );
        draft.take(Lane::Duplicate, [Step::Delete(id)]);
    }
}

/// The pod's instance is gone: the pod is over, so that its owner replaces it.
fn lose(draft: &mut Draft<'_>) {
    let Some(id) = super::recorded_instance(draft.observed.pod) else {
        return;
    };
    let message = format!("instance {id} does not exist any more");
    draft.warn("InstanceDeleted", message.clone());
    let ended = draft.was.ended().cloned();
    let ended = ended.unwrap_or_else(|| terminated(id, draft.was.running_since(), draft.wall(), KILLED));
    let run = Run { restarts: draft.was.restarts(), ..Run::first(State::Terminated(ended)) };
    draft.report = Some(Report::failed("InstanceDeleted", message).with_run(run));
}

/// The exit code of what was ended from outside: that of a process which SIGKILL ends.
pub(super) const KILLED: i32 = 137;

/// Asks for proof that an instance exists or is gone, with a back-off.
pub(super) fn prove(draft: &mut Draft<'_>, id: InstanceId) {
    if recheck(draft, id) == Some(MANY_PROOFS) {
        draft.warn(
            "InstanceUnknown",
            format!(
                "CloudAPI neither shows instance {id} nor says that it was deleted; if you know that it is gone, \
                 delete the pod with --force"
            ),
        );
    }
}

/// Has an instance read, with a back-off. Answers with how often, when it is read now.
pub(super) fn recheck(draft: &mut Draft<'_>, id: InstanceId) -> Option<u32> {
    let now = draft.monotonic();
    let (asked, due) = match draft.plan.memory.rechecks {
        None => (0, now),
        Some((asked, last)) => (asked, last + PROOF.after(asked)),
    };
    if due > now {
        draft.again_at(due);
        return None;
    }
    let asked = asked.saturating_add(1);
    draft.plan.memory.rechecks = Some((asked, now));
    draft.plan.steps.push(Step::Recheck(id));
    draft.again_in(PROOF.after(asked));
    Some(asked)
}

/// After as many reads without a result the user is told.
const MANY_PROOFS: u32 = 4;
