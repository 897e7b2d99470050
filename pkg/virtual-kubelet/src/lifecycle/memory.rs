//! What only this process knows of a pod.

use super::{Now, Outcome, Step};

/// What only this process knows of a pod: attempts, back-offs, what was said. Losing it is safe.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {}

impl Memory {
    /// Remembers how a step ended.
    pub fn record(&mut self, _step: &Step, _outcome: &Outcome, _now: Now) {}
}
