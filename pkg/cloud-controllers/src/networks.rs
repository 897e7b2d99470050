//! Which networks are public. NICs name their network, and only networks say whether they are public; the members of
//! a pool are not listed and are read one by one (Triton reference 2.22).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use runtime::exit::one_line;
use tokio::sync::Mutex;
use triton::budget::Priority;
use triton::id::NetworkId;
use triton::types::ListNetworks;
use triton::{Client, Kind};

/// From where the addresses of a network are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From everywhere.
    Public,
    /// From inside.
    Private,
    /// CloudAPI does not show the network to this account: the address itself must tell.
    Hidden,
}

impl Reach {
    /// Whether an address on such a network is public.
    pub fn is_public(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => true,
            Self::Private => false,
            Self::Hidden => is_global(ip),
        }
    }
}

/// Whether an address is none of those that are set aside for use inside: RFC 1918, RFC 6598, link-local, loopback,
/// unique local.
fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || ip.is_unspecified() || shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback() || ip.is_unspecified())
        }
    }
}

/// What is known of networks. A network's being public never changes, so nothing is read twice.
pub type Reaches = HashMap<NetworkId, Reach>;

/// The networks of an account. Cloning gives another handle on the same.
#[derive(Debug, Clone)]
pub struct Networks {
    client: Client,
    known: Arc<RwLock<Arc<Reaches>>>,
    /// Held by whoever asks.
    asking: Arc<Mutex<()>>,
}

impl Networks {
    /// None known yet.
    pub fn new(client: &Client) -> Self {
        Self { client: client.with_priority(Priority::Status), known: Arc::default(), asking: Arc::default() }
    }

    /// What is known now.
    pub fn known(&self) -> Arc<Reaches> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Learns of these networks: by the list, and by a read of each that is not in it. While somebody else asks, this waits
    /// until they have their answer, which is likely to be about the same networks, and asks nothing itself.
    ///
    /// # Errors
    ///
    /// That of the first call that failed; what the others said is known all the same. A network that CloudAPI says
    /// it does not have is no error.
    pub async fn learn(&self, wanted: &[NetworkId]) -> Result<(), triton::Error> {
        let Ok(_asking) = self.asking.try_lock() else {
            drop(self.asking.lock().await);
            return Ok(());
        };
        let missing = self.missing(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        if missing.len() > 1 || self.known().is_empty() {
            let listed = self.client.list_networks(&ListNetworks::default()).await?;
            self.add(listed.items.into_iter().map(|network| (network.id, reach(network.public))));
        }
        let mut failure = None;
        for id in self.missing(wanted) {
            match self.client.get_network(id).await {
                Ok(network) => self.add([(id, reach(network.public))]),
                Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Forbidden) => {
                    tracing::info!(network = %id, error = %one_line(&error), "judging a hidden network by its addresses");
                    self.add([(id, Reach::Hidden)]);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn missing(&self, wanted: &[NetworkId]) -> HashSet<NetworkId> {
        let known = self.known();
        wanted.iter().copied().filter(|id| !known.contains_key(id)).collect()
    }

    fn add(&self, learnt: impl IntoIterator<Item = (NetworkId, Reach)>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = Reaches::clone(&known);
        all.extend(learnt);
        *known = Arc::new(all);
    }
}

fn reach(public: bool) -> Reach {
    if public { Reach::Public } else { Reach::Private }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.1.2.3", false)]
    #[case("172.31.0.1", false)]
    #[case("192.168.1.1", false)]
    #[case("100.64.0.1", false)]
    #[case("169.254.0.1", false)]
    #[case("100.128.0.1", true)]
    #[case("8.8.8.8", true)]
    #[case("fd00::1", false)]
    #[case("fe80::1", false)]
    #[case("2001:db8::1", true)]
    fn a_hidden_network_is_judged_by_its_addresses_and_no_other_is(#[case] ip: &str, #[case] public: bool) {
        let ip = ip.parse().unwrap();
        assert_eq!(Reach::Hidden.is_public(ip), public);
        assert!(Reach::Public.is_public(ip) && !Reach::Private.is_public(ip));
    }
}
