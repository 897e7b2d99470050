//! The plan.

use super::{Observed, Plan};

/// What to do about a pod now.
pub fn plan(_observed: &Observed<'_>) -> Plan {
    Plan::default()
}
