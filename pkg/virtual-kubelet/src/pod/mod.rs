//! What a pod asks of Triton, and the instance that it should be. Pure.
//!
//! [`Demand::read`] reads one pod by itself and refuses what cannot be; the [catalog](crate::catalog) resolves the
//! names in it; [`env`](mod@env) resolves the container's environment; [`Desired`] is the result: the request that
//! makes the instance, against whose tags and metadata [`drift`] also compares one that exists, to say in the
//! [steps](crate::lifecycle::Step) of the lifecycle what to write.

mod demand;
mod desired;
pub mod drift;
pub mod env;
mod key;
mod lean;
mod refusal;
#[cfg(test)]
pub(crate) mod testing;
mod warning;

pub use self::demand::{
    Demand, FirewallDemand, ImageName, NetworkName, PackageDemand, Port, Protocol, Resources, group_tag,
    ports_tag,
};
pub use self::desired::Desired;
pub use self::key::PodKey;
pub(crate) use self::lean::lean;
pub use self::refusal::{Refusal, RefusalReason};
pub use self::warning::Warning;
