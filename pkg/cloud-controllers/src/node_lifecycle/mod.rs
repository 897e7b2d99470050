//! The cloud-node-lifecycle controller's decisions: when a Node is deleted, and when it is tainted. Pure.
//!
//! A Node goes only with proof that its machine is gone (the interlock of the design):
//!
//! - **Destroyed**: CloudAPI answered 410 for that very instance, or showed it as `deleted`. Proof at once.
//! - **Not found**: two 404 at least [`NOT_FOUND_APART`] apart with a clean list in between that did not show it. A
//!   server that has lost its data, or the wrong account, answers the same, so this counts only while the Node is not
//!   ready, while another machine of the cluster was seen alive since, while no large share of the cluster's machines
//!   is missing like this at the same time, and after one more 404 within the last minute.
//!
//! Nothing else deletes: no error, no empty list, no state but `deleted`. And no proof deletes faster than [`Pace`].

mod absence;
mod pace;
mod plan;
#[cfg(test)]
mod tests;

pub use self::absence::Absence;
pub use self::pace::{DELETION_SHARE, DELETIONS_PER_MINUTE, Limits, Pace, Share};
pub(crate) use self::plan::is_ready;
pub use self::plan::{Census, Observed, Plan, Step, Witness, deleting, plan};
pub use triton::reflector::{NOT_FOUND_APART, Proof};
