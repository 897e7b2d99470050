//! Which networks a pod is on.

use triton::id::NetworkId;
use triton::types::Network;

use super::{Catalog, refuse};
use crate::pod::{NetworkName, Refusal, RefusalReason};

const FIELD: &str = "metadata.annotations[networks]";
const POD_NETWORK: &str = "metadata.annotations[pod-network]";

/// How many names an error lists.
const LISTED: usize = 10;

impl Catalog {
    /// The networks of a pod, in its order, each once; those of a pod that names none are
    /// [`Catalog::fallback_network`] alone. They are always named to CloudAPI, whose own choice depends on the
    /// package (reference 2.14).
    ///
    /// # Errors
    /// [`RefusalReason::Network`]: one is not there, a name is that of several, or there is none to fall back on.
    pub fn networks(&self, names: &[NetworkName]) -> Result<Vec<NetworkId>, Refusal> {
        if names.is_empty() {
            let message = "the account has no network; make one, or name one with the annotation networks";
            let fallback = self.fallback_network();
            return fallback.map(|id| vec![id]).ok_or_else(|| refuse(RefusalReason::Network, FIELD, message));
        }
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            let id = self.network(name, FIELD)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// The network whose address is the pod's, where the pod names one.
    ///
    /// # Errors
    /// [`RefusalReason::Network`]: it is not there, or the pod is not on it. Members of pools are not listed, and
    /// which pool they are of is not told; they are taken for members of one that the pod is on.
    pub fn pod_network(&self, name: &NetworkName, networks: &[NetworkId]) -> Result<NetworkId, Refusal> {
        let id = self.network(name, POD_NETWORK)?;
        let is_listed = self.networks.iter().any(|network| network.id == id);
        if networks.contains(&id) || !is_listed {
            return Ok(id);
        }
        let message = format!("the pod is not on network {name}; add it to the annotation networks");
        Err(refuse(RefusalReason::Network, POD_NETWORK, message))
    }

    /// The network of pods that name none: the account's default network; without one, a fabric network before a
    /// private one before a public one, and of those the first by name.
    pub fn fallback_network(&self) -> Option<NetworkId> {
        self.default_network.or_else(|| {
            let rank =
                |network: &&Network| (!network.fabric, network.public, network.name.clone(), network.id);
            self.networks.iter().map(|network| &**network).min_by_key(rank).map(|network| network.id)
        })
    }

    fn network(&self, name: &NetworkName, field: &str) -> Result<NetworkId, Refusal> {
        let refuse = |message: String| Err(refuse(RefusalReason::Network, field, message));
        let wanted = match name {
            NetworkName::Id(id) => {
                let mut all = self.networks.iter().chain(&self.unlisted_networks);
                return match all.any(|network| network.id == *id) || self.default_network == Some(*id) {
                    true => Ok(*id),
                    false => refuse(format!("no network {id} is visible to the account; {}", self.choices())),
                };
            }
            NetworkName::Name(wanted) => wanted,
        };
        let named: Vec<NetworkId> = self
            .networks
            .iter()
            .filter(|network| network.name == *wanted)
            .map(|network| network.id)
            .collect();
        match named.as_slice() {
            [id] => Ok(*id),
            [] => refuse(format!("no network {wanted} is visible to the account; {}", self.choices())),
            ids => refuse(format!("{} networks are called {wanted}; name one by its UUID", ids.len())),
        }
    }

    fn choices(&self) -> String {
        let names: Vec<&str> = self.networks.iter().take(LISTED).map(|network| &*network.name).collect();
        match (names.len(), self.networks.len()) {
            (0, _) => "it sees none at all".to_owned(),
            (shown, all) if shown < all => format!("it sees {} and {} more", names.join(", "), all - shown),
            _ => format!("it sees {}", names.join(", ")),
        }
    }
}
