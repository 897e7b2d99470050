//! The node-route controller's decisions: which routes a fabric network has for the pods of Nodes, and what is said of
//! each Node's network. Pure.
//!
//! A Node's pods are reached through the Node: for each `podCIDR`, the fabric network that the Node is on has a route
//! with the Node's address as its gateway. Routes have no room for a mark of who made them, so [`plan()`] says by
//! destination and gateway which are the cluster's; all others stay byte for byte.
//!
//! A route alone does not make packets arrive: the data centre drops what a NIC sends with an address that is not its
//! own unless an operator allows it, and most guests read routes only when they boot (Triton reference 8.1, 8.2).
//! Nothing of this can be seen from outside, so [`standing()`] calls a network available only where somebody who knows
//! has said so.

mod gateway;
mod plan;
mod standing;
#[cfg(test)]
mod tests;

pub use self::gateway::{Obstacle, Via, Wish, wishes};
pub use self::plan::{Addresses, Change, plan};
pub use self::standing::{EFFECTIVE, Standing, conditions, is_effective, standing};
