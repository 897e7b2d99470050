//! The instance that a pod should be.

use std::sync::Arc;

use triton::id::NetworkId;
use triton::types::{CreateInstance, Image, Package};

use super::env::Environment;
use super::{Demand, Warning};

/// The instance that a pod should be: everything resolved. The [catalog](crate::catalog) makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// What the pod asks for.
    pub demand: Demand,
    /// Its image.
    pub image: Arc<Image>,
    /// Its package.
    pub package: Arc<Package>,
    /// Its networks, in order.
    pub networks: Vec<NetworkId>,
    /// The network whose address is the pod's, when the pod names one. A NIC is on a network and never on a pool: where
    /// this is a pool, the NIC is the one at the pool's place in `networks`.
    pub pod_network: Option<NetworkId>,
    /// Its environment.
    pub environment: Environment,
    /// The request that makes it, with all tags and metadata. `triton.cns.status` is `down` in it where readiness must be
    /// earned: an instance is not in DNS until its pod is ready.
    pub request: CreateInstance,
    /// What the user should be told: what the demand says, and what came up since.
    pub warnings: Vec<Warning>,
}
