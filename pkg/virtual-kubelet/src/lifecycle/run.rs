//! An instance that exists.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ContainerStateTerminated;
use provider::names::metadata;
use tokio::time::Instant;
use triton::id::InstanceId;
use triton::reflector::Entry;
use triton::types::{InstanceAction, InstanceState, Metadata};

use super::Step;
use super::backoff::{CALM, RESTART};
use super::draft::Draft;
use super::exit::exited;
use super::memory::Lane;
use super::plan::KILLED;
use super::status::{Report, Run, State, terminated};
use super::was::{Phase, RestartPolicy};
use crate::probes::Verdicts;

/// Only a pod whose instance takes longer than this to be made is given a status and an event that say so: for most of
/// them these would be two writes more in a pod's life, overtaken at once.
pub const PROVISIONING_SHOWN_AFTER: Duration = Duration::from_secs(1);

/// A reboot may show as a stop for this long; after it a stopped instance has stopped by itself.
const REBOOT_TAKES: Duration = Duration::from_secs(60);

/// Verdicts may be of the time before the last reboot for this long. The controller asks for those of the present
/// run, but the pod that it knows may be older than the status it wrote.
const VERDICTS_SETTLE: Duration = Duration::from_secs(10);

/// Looks after the pod's instance, and answers with its id. `alone` when the pod has no other.
pub(super) fn look_after<'a>(draft: &mut Draft<'a>, main: &'a Entry, alone: bool) -> InstanceId {
    let was = draft.was;
    let state = &main.observed().state;
    match state {
        InstanceState::Running => running(draft, main),
        // One that is found stopped has run, if only between two looks.
        InstanceState::Stopped if !is_rebooting(draft) => exited(draft, main),
        state if state.is_indeterminate() => unreachable(draft, main),
        _ if was.has_run() => {
            draft.report = Some(as_it_was(draft, main));
        }
        _ => provisioning(draft, main, alone),
    }
    main.id()
}

/// Nothing shows a rebooting instance's end but time.
fn is_rebooting(draft: &mut Draft<'_>) -> bool {
    let until = draft.plan.memory.rebooted.map(|at| at + REBOOT_TAKES);
    let Some(until) = until.filter(|until| *until > draft.monotonic()) else {
        return false;
    };
    draft.again_at(until);
    true
}

fn provisioning<'a>(draft: &mut Draft<'a>, main: &'a Entry, alone: bool) {
    let since = draft.plan.memory.create.made.map_or(draft.monotonic(), |(_, since)| since);
    let shown_at = since + PROVISIONING_SHOWN_AFTER;
    // Which of several is the pod's must be written before the others are deleted.
    if alone && shown_at > draft.monotonic() {
        draft.again_at(shown_at);
        return;
    }
    draft.normal("Provisioning", format!("Instance {} is provisioning", main.id()));
    let state = State::Waiting { reason: "Provisioning", message: None };
    draft.report = Some(Report::of(Phase::Pending, main, Run::first(state)));
}

/// An instance on its way from one state to another: not ready, and otherwise as it was.
fn as_it_was<'a>(draft: &Draft<'a>, main: &'a Entry) -> Report<'a> {
    let was = draft.was;
    let state = match (was.running_since(), was.ended()) {
        (Some(since), _) => State::Running { since },
        (None, Some(ended)) => State::Terminated(ended.clone()),
        (None, None) => State::Waiting { reason: "Provisioning", message: None },
    };
    let started = was.container_status().and_then(|status| status.started).unwrap_or_default();
    let run = Run { restarts: was.restarts(), started, ..Run::first(state) };
    Report::of(was.phase(), main, run)
}

/// The data centre has lost sight of the instance. It may well run, so no phase changes; but nobody should be sent to
/// it, and CNS would do so for an hour.
fn unreachable<'a>(draft: &mut Draft<'a>, main: &'a Entry) {
    if !draft.was.has_run() {
        return;
    }
    let word = main.observed().state.as_str();
    draft.warn("InstanceUnreachable", format!("Instance {} is in state {word}", main.id()));
    draft.report = Some(as_it_was(draft, main).unready("InstanceUnreachable"));
    cns(draft, main, false);
}

fn running<'a>(draft: &mut Draft<'a>, main: &'a Entry) {
    let was = draft.was;
    let memory = &mut draft.plan.memory;
    memory.create.ran();
    memory.rechecks = None;
    memory.stopped_since = None;
    memory.forget_asked(&InstanceAction::Start);
    let known = was.running_since().filter(|_| was.has_run());
    let stale_until = stale_until(draft.observed.verdicts, draft);
    if let Some(until) = stale_until {
        // Should they be of this run after all, nobody tells of them once more.
        draft.again_at(until);
    }
    let verdicts = match known {
        Some(_) if stale_until.is_none() => draft.observed.verdicts,
        _ => first_verdicts(draft),
    };
    let run = match known {
        Some(since) => Run { restarts: was.restarts(), ..Run::first(State::Running { since }) },
        None => begun(draft, main),
    };
    if verdicts.must_restart {
        if unhealthy(draft, main, known) {
            return;
        }
    } else {
        draft.plan.memory.unhealthy_since = None;
    }
    let ready = verdicts.started && verdicts.ready && !verdicts.must_restart;
    let report = Report::of(Phase::Running, main, Run { ready, started: verdicts.started, ..run });
    cns(draft, main, report.is_ready(draft));
    draft.report = Some(report);
    drift(draft);
}

/// What the probes say of a run that has just begun.
fn first_verdicts(draft: &Draft<'_>) -> Verdicts {
    let container = draft.was.container();
    let startup = container.is_some_and(|container| container.startup_probe.is_some());
    Verdicts { started: !startup, ready: !draft.was.readiness_is_probed(), must_restart: false }
}

/// A run that has just been seen for the first time.
fn begun(draft: &mut Draft<'_>, main: &Entry) -> Run {
    let was = draft.was;
    let first = Run::first(State::Running { since: draft.wall() });
    let at = match main.observed().primary_ip {
        Some(ip) => format!(" with address {ip}"),
        None => String::new(),
    };
    match was.ended().filter(|_| was.has_run()) {
        Some(ended) => {
            let restarts = was.restarts().saturating_add(1);
            count_restart(draft, Some(ended));
            draft.normal("Started", format!("Restart {restarts}: instance {} runs{at}", main.id()));
            Run { restarts, last: Some(ended.clone()), ..first }
        }
        None => {
            draft.normal("Started", format!("Instance {} runs{at}", main.id()));
            Run { restarts: was.restarts(), ..first }
        }
    }
}

/// How many restarts in a row came quickly. A calm run ends the streak; what this process does not remember is taken
/// from the restart count, which can only be too much.
pub(super) fn streak(draft: &Draft<'_>, ended: Option<&ContainerStateTerminated>) -> u32 {
    let length = ended.and_then(|ended| {
        let (from, to) = (ended.started_at.as_ref()?, ended.finished_at.as_ref()?);
        Duration::try_from(to.0.duration_since(from.0)).ok()
    });
    if length.is_some_and(|length| length >= CALM) {
        return 0;
    }
    draft.plan.memory.streak.unwrap_or_else(|| draft.was.restarts().try_into().unwrap_or_default())
}

fn count_restart(draft: &mut Draft<'_>, ended: Option<&ContainerStateTerminated>) {
    draft.plan.memory.streak = Some(streak(draft, ended).saturating_add(1));
}

/// Until when verdicts that demand a restart may be those which the last reboot answered.
fn stale_until(verdicts: Verdicts, draft: &Draft<'_>) -> Option<Instant> {
    let settled = draft.plan.memory.rebooted.filter(|_| verdicts.must_restart)? + VERDICTS_SETTLE;
    (settled > draft.monotonic()).then_some(settled)
}

/// The liveness or startup probe has failed for good. Says whether the status is settled by that.
fn unhealthy<'a>(draft: &mut Draft<'a>, main: &'a Entry, since: Option<Timestamp>) -> bool {
    let was = draft.was;
    let name = was.container_name();
    let ended = terminated(main.id(), since, draft.wall(), KILLED);
    if was.restart_policy() == RestartPolicy::Never {
        draft.normal("Killing", format!("Container {name} failed its probes, and is not to be restarted"));
        let run = Run { restarts: was.restarts(), ..Run::first(State::Terminated(ended)) };
        draft.report = Some(Report::of(Phase::Failed, main, run));
        draft.act(Lane::Run, main, InstanceAction::Stop);
        return true;
    }
    let now = draft.monotonic();
    let unhealthy_since = *draft.plan.memory.unhealthy_since.get_or_insert(now);
    let delay = RESTART.after(streak(draft, Some(&ended)));
    if unhealthy_since + delay > now {
        draft.again_at(unhealthy_since + delay);
        draft.warn(
            "BackOff",
            format!("Back-off {} s restarting container {name}, which fails its probes", delay.as_secs()),
        );
        return false;
    }
    let restarts = was.restarts().saturating_add(1);
    let stale = stale_exit_code(main);
    let reboot = Step::Act { id: main.id(), action: InstanceAction::Reboot };
    if !draft.take(Lane::Run, stale.into_iter().chain([reboot])) {
        return false;
    }
    draft.normal(
        "Killing",
        format!("Container {name} failed its probes, will be restarted (restart {restarts}): rebooting the instance"),
    );
    count_restart(draft, Some(&ended));
    draft.plan.memory.rebooted = Some(now);
    draft.plan.memory.unhealthy_since = None;
    let fresh = first_verdicts(draft);
    let run = Run {
        state: State::Running { since: draft.wall() },
        last: Some(ended),
        restarts,
        ready: fresh.started && fresh.ready,
        started: fresh.started,
    };
    // Before the reboot, so that a crash between them counts it rather than forgets it.
    draft.report = Some(Report::of(Phase::Running, main, run));
    true
}

/// Removes an exit code of the run before, which the next one must not be taken to have reported.
pub(super) fn stale_exit_code(main: &Entry) -> Option<Step> {
    let key = metadata::EXIT_CODE;
    let is_there = main.expected().metadata.contains_key(key);
    is_there.then(|| Step::RemoveMetadata { id: main.id(), key: key.to_owned() })
}

/// Lets CNS answer with the instance, or not. An instance without the key is answered with.
pub(super) fn cns(draft: &mut Draft<'_>, main: &Entry, ready: bool) -> bool {
    let has = main.expected().metadata.get(metadata::CNS_STATUS);
    let (value, is_so) =
        if ready { ("up", has.is_none_or(|has| has == "up")) } else { ("down", has == Some("down")) };
    if is_so {
        return true;
    }
    let metadata = Metadata::from_iter([(metadata::CNS_STATUS, value)]);
    draft.take(Lane::Cns, [Step::AddMetadata { id: main.id(), metadata }])
}

fn drift(draft: &mut Draft<'_>) {
    let drift = draft.observed.drift;
    if !drift.is_empty() {
        draft.take(Lane::Drift, drift.iter().cloned());
    }
}
