//! What can happen to a call, and who decides about it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use http::StatusCode;

use super::call::{Call, Server};
use super::process::Victim;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The process is killed before the server hears of the call.
    KillBefore,
    /// The process is killed when the server has answered, before it hears the answer.
    KillAfter,
    /// The server does it, and the connection breaks instead of an answer.
    Lose,
    /// The server does nothing and answers so.
    Refuse(StatusCode),
}

impl Fault {
    /// All that can happen to a call.
    pub(super) fn all_of(call: &Call) -> Vec<Self> {
        let mut all = vec![Self::KillBefore, Self::KillAfter, Self::Lose];
        all.push(Self::Refuse(StatusCode::INTERNAL_SERVER_ERROR));
        match call.server {
            Server::Kubernetes if call.is_write() => all.push(Self::Refuse(StatusCode::CONFLICT)),
            Server::Kubernetes => {}
            Server::CloudApi => all.push(Self::Refuse(StatusCode::SERVICE_UNAVAILABLE)),
        }
        all
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillBefore => f.write_str("killed before"),
            Self::KillAfter => f.write_str("killed after"),
            Self::Lose => f.write_str("answer lost"),
            Self::Refuse(status) => write!(f, "{}", status.as_u16()),
        }
    }
}

/// Decides about calls.
pub(super) trait Judge: Send + Sync {
    /// What happens to this call; nothing by `None`.
    fn judge(&self, call: &Call) -> Option<Fault>;

    /// The server has heard of this call, which is to change something, or never will.
    fn written(&self, _: &Call) {}

    /// Kills the process, and returns when it has ended.
    fn kill(&self) -> BoxFuture<'_, ()>;
}

/// Lets every call be.
pub(super) struct Calm;

impl Judge for Calm {
    fn judge(&self, _: &Call) -> Option<Fault> {
        None
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// One call of a process: the so manieth of its kind since the beginning of a phase, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// What goes on; empty where a life is not told in phases.
    pub(super) phase: &'static str,
    pub(super) call: Call,
    pub(super) ordinal: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.phase.is_empty() {
            write!(f, "{}: ", self.phase)?;
        }
        write!(f, "{} {} #{}", self.call.server.name(), self.call.kind, self.ordinal)
    }
}

/// Counts the calls of a process, and lets one of them go wrong in each phase at most, once.
pub(super) struct Script {
    victim: Victim,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: &'static str,
    counts: BTreeMap<Call, u32>,
    points: Vec<Point>,
    faults: Vec<(Point, Fault)>,
    met: Vec<(Point, Fault)>,
}

impl Script {
    /// Without faults it only counts.
    pub(super) fn new(victim: Victim, faults: impl IntoIterator<Item = (Point, Fault)>) -> Self {
        let faults = faults.into_iter().collect();
        Self { victim, state: Mutex::new(State { faults, ..State::default() }) }
    }

    /// Another phase begins: faults of the one before do not come any more.
    pub(super) fn begin(&self, phase: &'static str) {
        let mut state = self.state();
        state.phase = phase;
        state.counts.clear();
    }

    /// The phase that goes on.
    pub(super) fn phase(&self) -> &'static str {
        self.state().phase
    }

    /// Whether the fault of this phase has come to pass, or there is none.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        !state.faults.iter().any(|(point, _)| point.phase == state.phase)
    }

    /// The calls so far, in the order in which they came.
    pub(super) fn points(&self) -> Vec<Point> {
        self.state().points.clone()
    }

    /// The faults that have come to pass.
    pub(super) fn met(&self) -> Vec<(Point, Fault)> {
        self.state().met.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Judge for Script {
    fn judge(&self, call: &Call) -> Option<Fault> {
        let mut state = self.state();
        let phase = state.phase;
        let count = state.counts.entry(call.clone()).or_default();
        *count += 1;
        let point = Point { phase, call: call.clone(), ordinal: *count };
        state.points.push(point.clone());
        let place = state.faults.iter().position(|(next, _)| *next == point)?;
        let (point, fault) = state.faults.remove(place);
        state.met.push((point, fault));
        Some(fault)
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.victim.kill())
    }
}
