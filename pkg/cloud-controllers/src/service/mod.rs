//! Services through CNS: which nodes are in which CNS service, and what a Service's status says. Pure.
//!
//! In the order in which it is decided:
//!
//! - [`hosts`] and [`backends`]: what of Nodes and EndpointSlices matters.
//! - [`candidates`](candidates()): how each node stands towards one Service.
//! - [`membership`]: which of them are in, with damping, and without believing a control plane that has lost its nodes.
//! - [`entries`]: what of a Service a node's instance is given.
//! - [`wishes`] and [`hostname`]: what annotations ask for, and the name that clients use.
//! - [`plan`](plan()): all of it for one Service: members, status, finalizer, events.
//! - [`board`]: who is in what, of all Services together.
//! - [`instance`]: what to write to one node's instance, for all its Services at once.
//!
//! Instances behind pods are written by the virtual kubelet, and by nobody else.

pub(crate) mod annotation;
pub mod backends;
pub mod board;
pub mod candidates;
pub mod entries;
pub mod hostname;
pub mod hosts;
pub mod instance;
pub mod membership;
pub mod plan;
pub mod wishes;

pub use self::candidates::candidates;
pub use self::plan::{Carrier, Memory, Observed, Plan, Publication, StatusChange, plan};
pub use crate::node::Note;
