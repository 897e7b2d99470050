//! CMON, the container monitor: discovery and metrics of running instances over HTTPS with client certificates
//! (reference 4).
//!
//! [`Cmon`] answers `GET /v1/discover` and `GET /_ping` for the host `cmon.Z`, and `GET /metrics` for `U.cmon.Z`,
//! where Z is a zone and U the id of an instance. The host's first label alone decides, so a client may reach it by
//! any address. The metrics are made up: they follow from a [`Load`] per instance that can be set.
//!
//! It leaves out what is for operators: compute nodes (`/v1/gz/discover` is 403), core zones, and members of the
//! `administrator` role of an account. A client's own key may be RSA, Ed25519, or ECDSA on P-256 and P-384: rustls
//! with ring has no P-521 for TLS, while the key that issued the certificate may be on it.

mod counters;
mod exposition;
mod identity;
mod load;
mod meters;
mod routes;
mod server;
mod throttle;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use triton::id::InstanceId;

pub use self::load::Load;
use self::meters::Meters;
use self::routes::Service;
pub use self::throttle::Throttle;
use crate::stop::until;
use crate::view::DataCenter;

/// How CMON is reached.
#[derive(Debug, Clone)]
pub struct CmonSettings {
    /// Where to listen. Real ones listen on port 9163; 0 takes any free port.
    pub listen: SocketAddr,
    /// The zone below which its names are, such as `dc1.triton.zone`.
    pub zone: String,
    /// How many requests each login may make; `None` for as many as it likes.
    pub throttle: Option<Throttle>,
    /// The most connections at a time; more are closed at once.
    pub connections: usize,
}

impl CmonSettings {
    /// Listens on `listen` for names below `zone`, with the limits of a real one.
    pub fn new(listen: SocketAddr, zone: impl Into<String>) -> Self {
        Self { listen, zone: zone.into(), throttle: Some(Throttle::default()), connections: 1024 }
    }
}

/// Why there is no CMON.
#[derive(Debug, thiserror::Error)]
pub enum CmonError {
    /// The address is taken or not here.
    #[error("cannot listen on {address} for CMON: give another address, or port 0 for a free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No certificate can be made.
    #[error("cannot make a certificate for {host}: give a zone such as dc1.triton.zone")]
    Certificate {
        /// The name that it is for.
        host: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The certificate's key cannot be used.
    #[error("cannot use the key that was made for CMON's certificate")]
    Key,
    /// TLS cannot be set up.
    #[error("cannot set up TLS for CMON")]
    Tls(#[source] rustls::Error),
}

/// A running CMON. It stops when this is dropped.
pub struct Cmon {
    address: SocketAddr,
    host: String,
    ca_pem: String,
    meters: Arc<Meters>,
    _running: watch::Sender<()>,
}

impl std::fmt::Debug for Cmon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cmon")
            .field("address", &self.address)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Cmon {
    /// Starts to serve, on the Tokio runtime that this is called on. The certificate and its authority are new.
    ///
    /// # Errors
    ///
    /// [`CmonError`] when the address cannot be had or the zone is no name.
    pub fn start(data_center: Arc<dyn DataCenter>, settings: CmonSettings) -> Result<Self, CmonError> {
        let host = format!("cmon.{}", settings.zone);
        let tls = tls::new(&host)?;
        let (listener, address) = server::listen(settings.listen)
            .map_err(|source| CmonError::Listen { address: settings.listen, source })?;
        let (running, stop) = watch::channel(());
        let meters = Arc::new(Meters::new(Arc::clone(&data_center)));
        tokio::spawn(until(stop.clone(), Arc::clone(&meters).follow(data_center.changes())));
        let service = Arc::new(Service::new(data_center, Arc::clone(&meters), settings.throttle));
        let serving = server::serve(listener, tls.config, service, settings.connections, stop.clone());
        tokio::spawn(until(stop, serving));
        Ok(Self { address, host, ca_pem: tls.ca_pem, meters, _running: running })
    }

    /// The URL of this data centre's CMON, as ListServices has it.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority that issued its certificate, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Sets the load of an instance, with nothing above its limit. It shows within 10 s. The keys of [`Load`] in
    /// tags and metadata count before it. `false` when there is no such instance.
    pub fn set_load(&self, id: InstanceId, load: Load) -> bool {
        self.meters.set_load(id, load)
    }
}
