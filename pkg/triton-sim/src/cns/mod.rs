//! CNS, the container name service: an authoritative DNS server with the names of instances and services
//! (reference 3).
//!
//! ```text
//! DataCenter --changes--> follow --records--> database <--questions-- server <-- DNS clients
//!                           |                    |
//!                  listing, records, names       +--> dns_names of CloudAPI
//! ```
//!
//! [`records_of`] makes the records of one instance, a pure function of what is seen of it. The
//! follower commits the records of all instances that changed in batches, up to ten seconds late like the
//! real CNS. The server answers from what is committed, and so does [`Cns::dns_names`]: a name that CloudAPI
//! shows can be looked up.
//!
//! Left out: secondary servers (no NOTIFY; zones are transferred to loopback addresses only, whole), IPv6
//! addresses, names of the operator's instances other than `cns` and `cmon`, names of compute nodes, and the
//! two minutes for which a booted compute node counts as down. Different from the real CNS: where two
//! instances of an account have the same name, both are answered, not the last one that changed; a name with
//! nothing but names below it exists, as the DNS has it and as secondary servers say.

mod answer;
mod database;
mod follow;
mod listing;
mod message;
mod names;
mod nodes;
mod records;
mod server;
#[cfg(test)]
mod tests;
mod zones;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use triton::id::{AccountId, InstanceId, NetworkId};

pub use self::listing::{Listing, Service, listing};
pub use self::names::{dns_names, dnsify, suffixes};
pub use self::records::{Data, MAX_RECORDS, RecordSet, Records, records_of};
pub use self::server::Transport;
pub use self::zones::{ForwardZone, InvalidZones, Networks, ZoneConfig, ZoneName};

use self::answer::{Identity, operator_records};
use self::database::Database;
use self::follow::Follower;
use self::server::Shared;
use crate::view::DataCenter;

/// How long the real CNS collects changes before it commits them (reference 3.5).
pub const COMMIT_DELAY: Duration = Duration::from_secs(10);

/// Settings of [`Cns`].
#[derive(Debug, Clone)]
pub struct CnsSettings {
    /// Where it listens, with UDP and TCP. With port 0 the system chooses one, see [`Cns::address`].
    pub address: SocketAddr,
    /// Its zones.
    pub zones: ZoneConfig,
    /// How long changes are collected before they are committed; [`COMMIT_DELAY`] in earnest.
    pub commit_delay: Duration,
    /// The address of CMON, to which `cmon.<zone>` leads, and so the name of every instance in CMON.
    pub cmon: Option<Ipv4Addr>,
}

/// A running CNS. It stops when this is dropped.
#[derive(Debug)]
pub struct Cns {
    address: SocketAddr,
    zones: ZoneConfig,
    database: Shared,
    /// Dropped with this, which ends the server and the follower.
    _running: watch::Sender<()>,
}

/// Why CNS cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CnsError {
    /// It cannot listen.
    #[error("cannot listen for DNS on {address} over {transport}; {}", remedy(.source))]
    Listen {
        /// The address from the settings.
        address: SocketAddr,
        /// UDP or TCP.
        transport: Transport,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The zones cannot be served.
    #[error("cannot serve the zones of CNS")]
    Zones {
        /// Why.
        #[source]
        source: InvalidZones,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what uses this port, or choose another one (0 for any free one)",
        io::ErrorKind::PermissionDenied => "choose a port above 1023 (0 for any free one)",
        io::ErrorKind::AddrNotAvailable => "choose an address of this host",
        _ => "choose another address",
    }
}

impl Cns {
    /// Starts to listen, and returns when all instances have their names. From then on it follows the data
    /// centre, in the background.
    ///
    /// # Errors
    ///
    /// [`CnsError::Listen`] when the address cannot be listened on, [`CnsError::Zones`] when a zone's name is
    /// too long to have names in it.
    pub async fn start(data_center: Arc<dyn DataCenter>, settings: CnsSettings) -> Result<Self, CnsError> {
        let CnsSettings { address, zones, commit_delay, cmon } = settings;
        let identity = Identity::new(&zones).map_err(|source| CnsError::Zones { source })?;
        let sockets = server::listen(address).await.map_err(|(transport, source)| CnsError::Listen {
            address,
            transport,
            source,
        })?;
        let address = sockets.address;
        let own = match address.ip() {
            IpAddr::V4(own) if !own.is_unspecified() => Some(own),
            _ => None,
        };
        let operator = operator_records(&zones, own, cmon);
        let database: Shared = Arc::new(RwLock::new(Database::new(&zones, &operator, data_center.now())));
        let mut follower = Follower::new(data_center, Arc::clone(&database), zones.clone(), commit_delay);
        follower.read_all().await;

        let (running, stop) = watch::channel(());
        server::serve(sockets, Arc::clone(&database), identity, &stop);
        tokio::spawn(follower.run(stop));
        Ok(Self { address, zones, database, _running: running })
    }

    /// Where it listens, with the port that the system chose if it was to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `dns_names` of an instance on GetMachine (reference 2.11): empty when CNS has none, and as late
    /// as the DNS.
    pub fn dns_names(&self, instance: InstanceId) -> Vec<String> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).dns_names(instance)
    }

    /// The `suffixes` of a network for an account (reference 2.22), which is not asked whether it has CNS
    /// on. A pool is not known here: ask with a network of it.
    pub fn suffixes(&self, network: NetworkId, owner: AccountId, login: &str) -> Vec<String> {
        suffixes(&self.zones, network, owner, login)
    }
}
