//! An instance that has stopped by itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ContainerStateTerminated;
use provider::names::metadata;
use triton::reflector::Entry;
use triton::types::InstanceAction;

use super::backoff::RESTART;
use super::draft::Draft;
use super::memory::Lane;
use super::plan::prove;
use super::run::{cns, stale_exit_code, streak};
use super::status::{Report, Run, State, terminated};
use super::was::{Phase, RestartPolicy};

/// How soon the answer to a read is looked for that changes nothing, and so tells nobody.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The code of a guest that halts without a report: a clean halt is a success.
const SUCCESS: i32 = 0;

/// The code of a guest whose report is no number.
const UNREADABLE: i32 = 1;

/// The instance has stopped, by itself or by another's hand: the restart policy decides.
pub(super) fn exited<'a>(draft: &mut Draft<'a>, main: &'a Entry) {
    let was = draft.was;
    let known = was.ended().filter(|_| was.has_run());
    let unseen = known.is_some_and(|ended| has_succeeded_since(draft, main, ended));
    let Some(ended) = known.filter(|_| !unseen).cloned().or_else(|| new_end(draft, main)) else {
        return;
    };
    let phase = match (was.restart_policy(), ended.exit_code) {
        (RestartPolicy::Always, _) => None,
        (RestartPolicy::OnFailure | RestartPolicy::Never, SUCCESS) => Some(Phase::Succeeded),
        (RestartPolicy::Never, _) => Some(Phase::Failed),
        (RestartPolicy::OnFailure, _) => None,
    };
    let restarts = was.restarts().saturating_add(i32::from(unseen));
    if let Some(phase) = phase {
        draft.normal(
            "Stopped",
            format!("Instance {} has stopped with exit code {}", main.id(), ended.exit_code),
        );
        let run = Run { restarts, ..Run::first(State::Terminated(ended)) };
        draft.report = Some(Report::of(phase, main, run));
        return;
    }
    restart(draft, main, ended, restarts);
}

/// Whether the guest has run once more since the end that the status shows, and reported success, while nobody looked:
/// the answer to the start was lost, or the process was killed, and the run was short. A success is never the report of
/// an earlier run, for nothing is started again after one.
fn has_succeeded_since(draft: &Draft<'_>, main: &Entry, ended: &ContainerStateTerminated) -> bool {
    let report = main.observed().metadata.get(metadata::EXIT_CODE).and_then(parse);
    draft.was.restart_policy() == RestartPolicy::OnFailure
        && ended.exit_code != SUCCESS
        && report == Some(SUCCESS)
}

/// Starts the instance when its back-off is over.
fn restart<'a>(draft: &mut Draft<'a>, main: &'a Entry, ended: ContainerStateTerminated, restarts: i32) {
    let delay = RESTART.after(streak(draft, Some(&ended)));
    let code = ended.exit_code;
    let left = draft.until(due(&ended, delay)).map(|left| left.min(delay));
    let name = draft.was.container_name();
    let run = if delay.is_zero() {
        Run { restarts, ..Run::first(State::Terminated(ended)) }
    } else {
        let message = format!("back-off {} s restarting failed container {name}", delay.as_secs());
        draft
            .warn("BackOff", format!("{message} (exit code {code}, restart {})", restarts.saturating_add(1)));
        let state = State::Waiting { reason: "CrashLoopBackOff", message: Some(message) };
        Run { restarts, last: Some(ended), ..Run::first(state) }
    };
    draft.report = Some(Report::of(Phase::Running, main, run));
    if let Some(left) = left {
        draft.again_in(left);
        return;
    }
    // Out of DNS before it runs, where readiness must be earned.
    if draft.was.readiness_is_probed() && !cns(draft, main, false) {
        return;
    }
    if draft.plan.memory.under_way(main, &InstanceAction::Start, draft.monotonic()).is_none()
        && let Some(stale) = stale_exit_code(main)
    {
        draft.take(Lane::Run, [stale]);
    }
    draft.act(Lane::Run, main, InstanceAction::Start);
}

/// When a restart is due.
fn due(ended: &ContainerStateTerminated, delay: Duration) -> Timestamp {
    let finished = ended.finished_at.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
    finished.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

/// The end of a run that no status shows yet; `None` while it is not known how it ended.
fn new_end(draft: &mut Draft<'_>, main: &Entry) -> Option<ContainerStateTerminated> {
    let code = match draft.was.restart_policy() {
        // It is started again whatever it reported.
        RestartPolicy::Always => reported(main, draft).unwrap_or(SUCCESS),
        RestartPolicy::OnFailure | RestartPolicy::Never => settled_code(draft, main)?,
    };
    let now = draft.wall();
    let since = draft.was.running_since();
    // The instance's own time of change, where it can be that of its stop.
    let changed = main.observed().updated.filter(|at| *at <= now && since.is_none_or(|since| *at >= since));
    let finished = changed.and_then(|at| Timestamp::from_second(at.as_second()).ok()).unwrap_or(now);
    Some(terminated(main.id(), since, finished, code))
}

/// The exit code of an instance for which it matters. The guest writes it just before it halts, and the word of the
/// halt may come first: so none is believed to be none only after a read that began when the instance was seen stopped.
fn settled_code(draft: &mut Draft<'_>, main: &Entry) -> Option<i32> {
    let now = draft.monotonic();
    if let Some(code) = reported(main, draft) {
        return Some(code);
    }
    let since = *draft.plan.memory.stopped_since.get_or_insert(now);
    if main.as_of() > since {
        return Some(SUCCESS);
    }
    prove(draft, main.id());
    draft.again_in(LOOK_AGAIN);
    None
}

/// The exit code that the guest has reported. A removal that reads do not show yet hides the code of the run before,
/// but not what is read after the instance was seen stopped: its removal came before its start.
fn reported(main: &Entry, draft: &Draft<'_>) -> Option<i32> {
    let of = |instance: &triton::types::Instance| instance.metadata.get(metadata::EXIT_CODE).and_then(parse);
    let is_fresh = draft.plan.memory.stopped_since.is_some_and(|since| main.as_of() > since);
    of(main.expected()).or_else(|| is_fresh.then(|| of(main.observed())).flatten())
}

/// Reads a report leniently: blanks around a number are nothing, numbers beyond 32 bits are the outermost ones, and
/// what is no number is a failure.
fn parse(text: &str) -> Option<i32> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let code = text
        .parse::<i128>()
        .map_or(i128::from(UNREADABLE), |code| code.clamp(i128::from(i32::MIN), i128::from(i32::MAX)));
    Some(i32::try_from(code).unwrap_or(UNREADABLE))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::parse;

    #[rstest]
    #[case("0", Some(0))]
    #[case(" 3\n", Some(3))]
    #[case("+7", Some(7))]
    #[case("-1", Some(-1))]
    #[case("99999999999", Some(i32::MAX))]
    #[case("", None)]
    #[case(" \n", None)]
    #[case("boom", Some(1))]
    #[case("3 ", Some(3))]
    fn an_exit_code_is_read_leniently(#[case] text: &str, #[case] code: Option<i32>) {
        assert_eq!(parse(text), code);
    }
}
