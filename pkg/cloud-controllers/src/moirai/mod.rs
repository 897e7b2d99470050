//! Services through instances that forward: of which there are how many, what they are told, and what a Service's status
//! says. Pure.
//!
//! The instances are made from the image `cloud-load-balancer`, which is driven by metadata alone (Triton reference 9). They find
//! their servers by the Service's name in CNS, which [`service`](crate::service) and the virtual kubelet keep as for any
//! other Service.
//!
//! In the order in which it is decided:
//!
//! - [`wishes`]: what annotations ask for, and what a Service asks for in vain.
//! - [`portmap`]: which port leads where, as the image reads it.
//! - [`supplies`]: image, package and networks of new instances.
//! - [`balancer`]: the instances that there should be: names, tags, metadata.
//! - [`plan`](plan()): all of it for one Service: what to make, change and delete, status, finalizer, events.
//! - [`status`]: what is written on the Service.

pub mod balancer;
pub mod plan;
pub mod portmap;
pub mod status;
pub mod supplies;
pub mod wishes;

pub use self::plan::{Memory, Observed, Outcome, Plan, Rules, Step, plan};
pub use self::supplies::{Defaults, Supplies};
pub use crate::node::Note;
