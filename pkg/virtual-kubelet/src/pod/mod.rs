//! What a pod asks of Triton, and the instance that it should be. Pure.
//!
//! [`Demand::read`] reads one pod by itself and refuses what cannot be; the [catalog](crate::catalog) resolves the
//! names in it; [`mod@env`] resolves the container's environment; [`Desired`] is the result: the request that
//! makes the instance, against whose tags and metadata [`drift`] also compares one that exists.

mod demand;
mod desired;
pub mod drift;
pub mod env;
mod key;
mod refusal;

pub use self::demand::{
    Demand, FirewallDemand, ImageName, NetworkName, PackageDemand, Port, Protocol, Resources,
};
pub use self::desired::Desired;
pub use self::key::PodKey;
pub use self::refusal::{Refusal, RefusalReason};
