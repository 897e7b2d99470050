//! The packages, images and networks that pods name, in memory.
//!
//! A [`Catalog`] is one reading of them: a value, and what it says is a pure function of it. With it
//! [`Desired::resolve`](crate::pod::Desired::resolve) makes a request of what a pod asks for. The [`CatalogKeeper`]
//! reads it when it is needed, and keeps the last one that could be read.

mod agenda;
mod images;
mod keeper;
mod networks;
mod packages;
mod reading;
mod resolve;

use std::sync::Arc;

use triton::id::{AccountId, NetworkId};
use triton::types::{Image, Limit, Network, Package};

pub use self::agenda::Pace;
pub use self::keeper::CatalogKeeper;
pub use self::packages::{ZONE_CPU_MILLIS_PER_GIB, capacity};
use crate::pod::{Refusal, RefusalReason};

/// What the account can make instances of, at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// The account.
    pub account: AccountId,
    /// Whether CNS publishes the account's instances.
    pub cns_enabled: bool,
    /// The name of the data centre; `None` where an old server does not tell.
    pub datacenter: Option<Box<str>>,
    /// The active packages that the account sees.
    pub packages: Vec<Arc<Package>>,
    /// The active images that the account sees, and others that a pod named by id.
    pub images: Vec<Arc<Image>>,
    /// The networks and pools that are listed.
    pub networks: Vec<Arc<Network>>,
    /// Networks that are not listed but that a pod named by id, such as members of pools.
    pub unlisted_networks: Vec<Arc<Network>>,
    /// The network that the account names as its default.
    pub default_network: Option<NetworkId>,
    /// Provisioning limits; empty where the data centre has none.
    pub limits: Vec<Limit>,
}

impl Catalog {
    /// The empty catalogue of an account.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            cns_enabled: false,
            datacenter: None,
            packages: Vec::new(),
            images: Vec::new(),
            networks: Vec::new(),
            unlisted_networks: Vec::new(),
            default_network: None,
            limits: Vec::new(),
        }
    }

    /// The same with those packages only that are accepted.
    #[must_use]
    pub fn with_packages(&self, accepts: impl Fn(&Package) -> bool) -> Self {
        let packages = self.packages.iter().filter(|package| accepts(package)).cloned().collect();
        Self { packages, ..self.clone() }
    }

    /// Whether pods resolve to the same in both: everything but the limits, whose counters always change.
    pub fn resolves_as(&self, other: &Self) -> bool {
        let Self { account, cns_enabled, datacenter, packages, images, networks, .. } = self;
        (account, cns_enabled, datacenter) == (&other.account, &other.cns_enabled, &other.datacenter)
            && (packages, images, networks) == (&other.packages, &other.images, &other.networks)
            && (&self.unlisted_networks, self.default_network)
                == (&other.unlisted_networks, other.default_network)
    }
}

fn refuse(reason: RefusalReason, field: &str, message: impl Into<String>) -> Refusal {
    Refusal { field: field.to_owned(), reason, message: message.into() }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
