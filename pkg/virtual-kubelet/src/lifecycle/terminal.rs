//! The instance of a pod that is over. It stays, stopped, until the pod is deleted, so that it can be looked into.

use triton::types::{InstanceAction, InstanceState};

use super::draft::Draft;
use super::existence::Existence;
use super::memory::Lane;
use super::plan::{KILLED, delete_duplicates, settle};
use super::recorded_instance;
use super::status::{Report, Run, State, terminated};
use super::was::Phase;

const OUT_OF_TIME: &str = "DeadlineExceeded";

/// Whether the pod has been active for longer than it may.
pub(super) fn is_out_of_time(draft: &mut Draft<'_>) -> bool {
    let Some(deadline) = draft.was.deadline() else {
        return false;
    };
    if let Some(left) = draft.until(deadline) {
        draft.again_in(left);
        return false;
    }
    draft.normal(OUT_OF_TIME, "Pod was active on the node longer than the specified deadline");
    true
}

/// Keeps the instance of a pod that is over stopped.
pub(super) fn keep<'a>(draft: &mut Draft<'a>, existence: &Existence<'a>) {
    let was = draft.was;
    let main = match existence {
        Existence::Present { main, others } => {
            settle(draft, main);
            delete_duplicates(draft, others, main.id());
            if main.observed().state == InstanceState::Running {
                draft.act(Lane::Run, main, InstanceAction::Stop);
            } else {
                draft.plan.memory.forget_asked(&InstanceAction::Stop);
            }
            Some(*main)
        }
        Existence::Unproven(_) | Existence::Absent { .. } => None,
    };
    let report = match was.phase() {
        phase if phase.is_terminal() => Report::over(phase),
        _ => Report::over(Phase::Failed)
            .because(OUT_OF_TIME, "Pod was active on the node longer than the specified deadline"),
    };
    let is_over = match main {
        Some(main) => main.observed().state.is_stopped(),
        None => matches!(existence, Existence::Absent { .. }),
    };
    let id = main.map(|main| main.id()).or_else(|| recorded_instance(was.pod));
    let unsaid = was.running_since().filter(|_| is_over).zip(id);
    draft.report = Some(match unsaid {
        None => report,
        Some((since, id)) => {
            let ended = terminated(id, Some(since), draft.wall(), KILLED);
            report.with_run(Run { restarts: was.restarts(), ..Run::first(State::Terminated(ended)) })
        }
    });
}
