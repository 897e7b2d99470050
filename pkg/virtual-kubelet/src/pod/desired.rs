//! The instance that a pod should be.

use std::sync::Arc;

use triton::id::NetworkId;
use triton::types::{CreateInstance, Image, Package};

use super::Demand;

/// The instance that a pod should be: everything resolved.
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
    /// The network whose address is the pod's, when the pod names one.
    pub pod_network: Option<NetworkId>,
    /// The request that makes it, with all tags and metadata. `triton.cns.status` is `down` in it: an instance is
    /// not in DNS until its pod is ready.
    pub request: CreateInstance,
}
