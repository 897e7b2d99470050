//! Readiness, liveness and startup probes.
//!
//! - `spec` reads the probes of a pod ([`PodProbes`]).
//! - `state` turns results into [`Verdicts`], by the kubelet's rules. Pure.
//! - [`run`] makes one attempt.
//! - `workers`: [`Workers`] make the attempts of all pods, each in its time, and keep the verdicts.
//!
//! A probe that cannot be run at all (a port name that the container lacks, a command while there is no way into the
//! instance) has no result, as in the kubelet: its pod does not become ready or started by it, and is not restarted
//! for it. The listener is told why.
//!
//! The `terminationGracePeriodSeconds` of a probe means nothing here: a restart is a reboot of the instance, whose grace
//! is the platform's.

pub mod run;
mod spec;
mod state;
mod workers;

pub use self::spec::{Action, HttpGet, PodProbes, Probe, Role, Scheme};
pub use self::state::{Finding, PodState};
pub use self::workers::{Listener, Run, Target, Workers};

/// What the probes of a pod say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdicts {
    /// Whether the startup probe has succeeded, or there is none.
    pub started: bool,
    /// Whether the readiness probe succeeds, or there is none.
    pub ready: bool,
    /// Whether the liveness or startup probe has failed for good, so that the instance must restart. Never true
    /// without such a probe.
    pub must_restart: bool,
}

impl Verdicts {
    /// Those of a pod without probes.
    pub const NONE: Self = Self { started: true, ready: true, must_restart: false };
}
