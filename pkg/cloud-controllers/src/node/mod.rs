//! The cloud-node controller's decisions: a Node's provider ID, addresses and labels, and when it is initialised. Pure.
//!
//! It initialises a Node that its kubelet registered with the `uninitialized` taint, and looks after a Node with one
//! of our provider IDs for life. Addresses come before the taint goes: what is scheduled finds a Node that can be
//! reached.

pub mod addresses;
pub mod labels;
mod plan;
#[cfg(test)]
mod tests;

pub(crate) use self::plan::taints_without;
pub use self::plan::{Memory, Note, Observed, Plan, Step, plan};
