//! Readiness, liveness and startup probes.

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
