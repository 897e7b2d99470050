//! What only this process knows of a pod.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use provider::names::metadata;
use tokio::time::Instant;
use triton::Kind;
use triton::id::InstanceId;
use triton::reflector::{Entry, Expectation};
use triton::types::{CreateInstance, InstanceAction, InstanceState};

use super::backoff::{CALL, RESTART};
use super::{Now, Outcome, Step};

/// What only this process knows of a pod: attempts, back-offs, what was said. Losing it is safe.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    pub(super) create: Create,
    /// The lanes whose last step failed.
    lanes: BTreeMap<Lane, Failing>,
    /// The actions that were accepted lately.
    asked: Vec<(InstanceId, InstanceAction, Instant)>,
    /// Restarts in a row without a calm run between them; `None`: the pod's restart count stands for it.
    pub(super) streak: Option<u32>,
    /// Since when the probes demand a restart.
    pub(super) unhealthy_since: Option<Instant>,
    /// When the instance was last rebooted for its probes.
    pub(super) rebooted: Option<Instant>,
    /// Since when the instance is seen stopped, while its exit code is awaited.
    pub(super) stopped_since: Option<Instant>,
    pub(super) pre_stop: PreStop,
    /// Reads that were asked for in a row for want of proof, and the last.
    pub(super) rechecks: Option<(u32, Instant)>,
    /// When the pod object was last removed, as far as its finalizers let it.
    pub(super) removed: Option<Instant>,
    /// What was said, as hashes, oldest first.
    said: VecDeque<u64>,
}

/// The making of the instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Create {
    /// Attempts in a row that CloudAPI refused, or whose instance failed.
    pub(super) failures: u32,
    /// Attempts in a row that failed for no fault of the pod's.
    pub(super) outages: u32,
    /// No attempt before this.
    pub(super) not_before: Option<Instant>,
    /// An attempt may have taken effect although nothing shows it.
    pub(super) doubt: Option<Doubt>,
    /// Why the last attempt was refused: reason and message.
    pub(super) refused: Option<(&'static str, String)>,
    /// The instance that was made or found last, and when.
    pub(super) made: Option<(InstanceId, Instant)>,
    /// Instances that were made and failed.
    pub(super) failed: BTreeSet<InstanceId>,
}

/// A create in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The name that the instance would have.
    pub(super) name: String,
    /// When the attempt was made or given up: only a list that begins [`SETTLED_AFTER`] later proves absence.
    pub(super) since: Instant,
    /// When to look next.
    pub(super) find_at: Instant,
}

/// How long after a create whose answer was lost a list may still not show the instance. A request that reached the
/// server is handled within seconds, and its row is there before the answer.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// When to look first for what a lost create may have made: most often it is there by then.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// An accepted action is not asked for again within this time, if no read shows it: jobs take seconds.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// As many hashes of what was said are kept.
const SAID: usize = 32;

/// The preStop hook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PreStop {
    /// Not started, by this process.
    #[default]
    Due,
    /// Under way.
    Started,
    /// Over, well or not.
    Ended,
}

/// Steps that fail together: the failure of one does not hold up the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Start, stop, reboot.
    Run,
    /// Membership in DNS.
    Cns,
    /// Everything else that is written to a running instance.
    Drift,
    /// Deletion of duplicates, which must not hold up the pod.
    Duplicate,
    /// Deletion.
    End,
}

#[derive(Debug, Clone, PartialEq)]
struct Failing {
    failures: u32,
    until: Instant,
    /// CloudAPI's refusal, if it was one.
    refusal: Option<String>,
}

impl Lane {
    fn of(step: &Step) -> Option<Self> {
        Some(match step {
            Step::Act { action, .. } => match action {
                InstanceAction::Start | InstanceAction::Stop | InstanceAction::Reboot => Self::Run,
                InstanceAction::DisableDeletionProtection => Self::End,
                _ => Self::Drift,
            },
            Step::AddMetadata { metadata, .. } if metadata.contains_key(metadata::CNS_STATUS) => Self::Cns,
            Step::RemoveMetadata { key, .. } if key == metadata::EXIT_CODE => Self::Run,
            Step::AddTags { .. }
            | Step::RemoveTag { .. }
            | Step::AddMetadata { .. }
            | Step::RemoveMetadata { .. } => Self::Drift,
            Step::Delete(_) | Step::RemovePod => Self::End,
            Step::Create(_) | Step::FindByName(_) | Step::Recheck(_) | Step::PreStop(_) => return None,
        })
    }

    /// The reason of the event about its failures.
    pub(super) fn failure_reason(self) -> &'static str {
        match self {
            Self::Run => "FailedRestart",
            Self::Cns => "FailedDNSUpdate",
            Self::Drift => "FailedUpdate",
            Self::Duplicate | Self::End => "FailedKillPod",
        }
    }
}

/// Whether a failure is not about the pod at all: CloudAPI is down, slow, or does not know the account.
pub(super) fn is_outage(kind: Option<Kind>) -> bool {
    match kind {
        None => true,
        Some(kind) => matches!(
            kind,
            Kind::Credentials
                | Kind::Unauthorized
                | Kind::ClockSkew
                | Kind::Throttled
                | Kind::Unavailable
                | Kind::Server
                | Kind::Timeout
                | Kind::Unreachable
                | Kind::Interrupted
                | Kind::Protocol
        ),
    }
}

impl Memory {
    /// The instance that was made or found last: what [`Observed::recorded`](super::Observed) is about when the pod's
    /// status names none yet.
    pub fn instance(&self) -> Option<InstanceId> {
        self.create.made.map(|(id, _)| id)
    }

    /// Remembers how a step ended.
    pub fn record(&mut self, step: &Step, outcome: &Outcome, now: Now) {
        let now = now.monotonic;
        match step {
            Step::Create(request) => self.create.attempted(request, outcome, now),
            Step::FindByName(_) => self.create.looked(outcome, now),
            Step::PreStop(_) => self.pre_stop = PreStop::Ended,
            // After a failure the lane's back-off says when to try again.
            Step::RemovePod => self.removed = (*outcome == Outcome::Done).then_some(now),
            _ => {}
        }
        let Some(lane) = self.lane_of(step) else {
            return;
        };
        match outcome {
            Outcome::Failed { kind, message, .. } => {
                let failures = self.lanes.get(&lane).map_or(0, |failing| failing.failures).saturating_add(1);
                // A state that forbids it for now, such as one still provisioning, is a refusal once it lasts.
                let lasts = *kind != Some(Kind::Conflict) || failures >= 3;
                let refusal = (!is_outage(*kind) && lasts).then(|| message.clone());
                self.lanes.insert(lane, Failing { failures, until: now + CALL.after(failures), refusal });
            }
            Outcome::Done | Outcome::Found(_) | Outcome::NotFound(_) => {
                self.lanes.remove(&lane);
                if let Step::Act { id, action } = step {
                    self.asked.retain(|(_, asked, at)| asked != action && *at + ASK_AGAIN > now);
                    self.asked.push((*id, action.clone(), now));
                }
            }
        }
    }

    /// The lane of a step. Deleting another instance than the pod's own is its own lane.
    fn lane_of(&self, step: &Step) -> Option<Lane> {
        let lane = Lane::of(step)?;
        match step {
            Step::Delete(id) if self.instance().is_some_and(|own| own != *id) => Some(Lane::Duplicate),
            _ => Some(lane),
        }
    }

    /// Until when a lane waits after a failure.
    pub(super) fn closed_until(&self, lane: Lane, now: Instant) -> Option<Instant> {
        self.lanes.get(&lane).map(|failing| failing.until).filter(|until| *until > now)
    }

    /// The refusals of lanes that fail.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (Lane, &str)> {
        self.lanes.iter().filter_map(|(lane, failing)| Some((*lane, failing.refusal.as_deref()?)))
    }

    /// When to look again at an action that was asked for and is not seen done; `None` when it was not asked for.
    pub(super) fn under_way(&self, entry: &Entry, action: &InstanceAction, now: Instant) -> Option<Instant> {
        let wanted = match action {
            InstanceAction::Start => Some(Expectation::State(InstanceState::Running)),
            InstanceAction::Stop => Some(Expectation::State(InstanceState::Stopped)),
            InstanceAction::DisableDeletionProtection => Some(Expectation::DeletionProtection(false)),
            _ => None,
        };
        let pending = entry.pending().iter().find(|pending| Some(&pending.expectation) == wanted.as_ref());
        let asked = self.asked.iter().find(|(id, asked, _)| *id == entry.id() && asked == action);
        let asked = asked.map(|(_, _, at)| *at + ASK_AGAIN).filter(|until| *until > now);
        pending.map(|pending| pending.expires).or(asked)
    }

    /// The instance is in the state that was asked for: it may be asked for again.
    pub(super) fn forget_asked(&mut self, action: &InstanceAction) {
        self.asked.retain(|(_, asked, _)| asked != action);
    }

    /// Remembers that something was said. False when it was said before.
    pub(super) fn say(&mut self, hash: u64) -> bool {
        if self.said.contains(&hash) {
            return false;
        }
        if self.said.len() >= SAID {
            self.said.pop_front();
        }
        self.said.push_back(hash);
        true
    }
}

impl Doubt {
    fn new(request: &CreateInstance, since: Instant, look_after: Duration) -> Self {
        Self { name: request.name.clone().unwrap_or_default(), since, find_at: since + look_after }
    }
}

impl Create {
    /// An attempt is about to be made: until its end is recorded, it may have taken effect.
    pub(super) fn begin(&mut self, request: &CreateInstance, now: Instant) {
        self.doubt = Some(Doubt::new(request, now, FIRST_LOOK));
    }

    fn attempted(&mut self, request: &CreateInstance, outcome: &Outcome, now: Instant) {
        match outcome {
            Outcome::Found(id) => self.found(*id, now),
            // Not an outcome of a create; the doubt stays.
            Outcome::Done | Outcome::NotFound(_) => {}
            Outcome::Failed { kind: Some(Kind::Duplicate), message, .. } => {
                self.refused = Some(("InstanceNameTaken", message.clone()));
                self.doubt = Some(Doubt::new(request, now, Duration::ZERO));
            }
            Outcome::Failed { kind, message, may_have_taken_effect } => {
                self.doubt = may_have_taken_effect.then(|| Doubt::new(request, now, FIRST_LOOK));
                if is_outage(*kind) {
                    self.outages = self.outages.saturating_add(1);
                    self.not_before = Some(now + CALL.after(self.outages));
                } else {
                    self.failed_again(now);
                    self.refused = Some((refusal_reason(*kind), message.clone()));
                }
            }
        }
    }

    fn looked(&mut self, outcome: &Outcome, now: Instant) {
        match outcome {
            Outcome::Found(id) => self.found(*id, now),
            Outcome::NotFound(begun) => {
                if let Some(doubt) = &mut self.doubt {
                    let settled = doubt.since + SETTLED_AFTER;
                    if *begun >= settled {
                        self.doubt = None;
                    } else {
                        doubt.find_at = settled.max(now);
                    }
                }
            }
            Outcome::Done => {}
            Outcome::Failed { .. } => {
                self.outages = self.outages.saturating_add(1);
                let find_at = now + CALL.after(self.outages);
                if let Some(doubt) = &mut self.doubt {
                    doubt.find_at = find_at;
                }
            }
        }
    }

    fn found(&mut self, id: InstanceId, now: Instant) {
        self.made = Some((id, now));
        self.doubt = None;
        self.outages = 0;
    }

    /// One more attempt was for nothing: the next one waits.
    pub(super) fn failed_again(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.outages = 0;
        self.not_before = Some(now + RESTART.after(self.failures));
    }

    /// There is this instance: no attempt is refused any more, and none of its name is in doubt. Those that failed are
    /// remembered until one runs.
    pub(super) fn settled(&mut self, id: InstanceId, name: &str, now: Instant) {
        if self.made.is_none_or(|(made, _)| made != id) {
            self.made = Some((id, now));
        }
        // An instance of another name was made by somebody else: what was asked for may still come.
        self.doubt = self.doubt.take().filter(|doubt| doubt.name != name);
        self.refused = None;
        self.outages = 0;
        self.not_before = None;
    }

    /// The instance runs: earlier failures are no sign of later ones.
    pub(super) fn ran(&mut self) {
        self.failures = 0;
        self.failed.clear();
    }
}

/// The reason of a status and an event about a create that CloudAPI refuses.
fn refusal_reason(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::QuotaExceeded) => "QuotaExceeded",
        Some(Kind::Forbidden) => "CreateForbidden",
        _ => "CreateRefused",
    }
}
