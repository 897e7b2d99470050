//! Everything together: starting a simulator and stopping it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use triton::auth::Fingerprint;

use crate::admin::{self, Control, NoComputeNode};
use crate::cloudapi::changefeed::Hub;
use crate::cloudapi::server::serve;
use crate::cloudapi::{ApiSettings, CloudApi, Tls, TlsError, tls};
use crate::engine::Engine;
use crate::faults::{Counters, Faults};
use crate::fixtures::{self, Ids};
use crate::keys::{KeyPair, KeyPairError};
use crate::settings::Settings;
use crate::world::{Change, WorldError};

/// A running simulated data centre. It stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    admin_url: Option<String>,
    account: String,
    fingerprint: Fingerprint,
    private_key: Option<SecretString>,
    insecure: bool,
    ids: Ids,
    control: Control,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {service}: {}", listen_remedy(source, flag))]
    Listen {
        /// What for.
        service: &'static str,
        /// Where.
        address: SocketAddr,
        /// The flag that says where.
        flag: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No key could be made for the account.
    #[error(transparent)]
    Key(#[from] KeyPairError),
    /// The data centre could not be built.
    #[error("cannot build the data centre")]
    World(#[source] WorldError),
    /// The faults name a compute node that there is not.
    #[error("the faults take down a compute node that there is not")]
    Faults(#[from] NoComputeNode),
}

fn listen_remedy(error: &io::Error, flag: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("the port is in use; choose another one with {flag}"),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine does not have the address; choose another one with {flag}")
        }
        io::ErrorKind::PermissionDenied => format!("not permitted; choose a port above 1023 with {flag}"),
        _ => format!("choose another address with {flag}"),
    }
}

async fn listen(
    service: &'static str,
    address: SocketAddr,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { service, address, flag, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Where clients on this machine reach a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Simulator {
    /// Starts a data centre with its fixtures. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let (listener, address) = listen("CloudAPI", settings.cloudapi, "--cloudapi").await?;
        let acceptor =
            settings.tls.as_ref().map(|it| tls::acceptor(it, reachable(address).ip())).transpose()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(address));
        let made = if settings.keys.is_empty() { Some(KeyPair::generate()?) } else { None };
        let keys: Vec<_> = settings.keys.iter().chain(made.iter().map(|made| &made.public)).collect();
        let fingerprint = keys.first().map_or(Fingerprint::Md5([0; 16]), |key| key.fingerprint());

        let lines: Vec<String> = keys.iter().map(|key| key.to_openssh()).collect();
        let (seed, sound) = (settings.world.seed, settings.world.clone());
        let ids = Ids::new(seed);
        let mut world = fixtures::data_center(settings.world, jiff::Timestamp::now(), &lines)
            .map_err(StartError::World)?;
        if let Some(account) = world.account_mut(ids.acme) {
            account.login.clone_from(&settings.account);
        }
        let nodes = world.compute_nodes().map(|node| (node.id, node.memory_mib, node.disk_mib)).collect();
        let engine = Engine::start(world);

        let faults = Arc::new(Faults::new(seed, crate::faults::FaultPlan::default()));
        let feed = Arc::new(Hub::new(Arc::clone(&faults)));
        let counters = Arc::new(Counters::default());
        let control = Control {
            engine: engine.clone(),
            faults: Arc::clone(&faults),
            counters: Arc::clone(&counters),
            feed: Arc::clone(&feed),
            sound: Arc::new(sound),
            nodes: Arc::new(nodes),
        };
        control.set_faults(settings.faults)?;

        let (stop, stopped) = watch::channel(false);
        let mut services = settings.services;
        services.insert("cloudapi".to_owned(), url.clone());
        let api_settings = ApiSettings {
            url: url.clone(),
            services,
            throttle: settings.throttle,
            clock_skew: settings.clock_skew,
        };
        let changes = engine.feed();
        let api = CloudApi::new(engine, api_settings, faults, counters, Arc::clone(&feed), None);
        let mut tasks = vec![
            tokio::spawn(serve(listener, acceptor, Arc::new(api), stopped.clone())),
            tokio::spawn(follow(changes, feed)),
        ];
        let mut admin_url = None;
        if let Some(address) = settings.admin {
            let (listener, bound) = listen("the admin API", address, "--admin").await?;
            admin_url = Some(format!("http://{}", reachable(bound)));
            let router = admin::router(control.clone());
            tasks.push(tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, router).await {
                    tracing::error!(%error, "the admin API ended");
                }
            }));
        }
        Ok(Self {
            url,
            admin_url,
            account: settings.account,
            fingerprint,
            private_key: made.map(|made| made.private),
            insecure: settings.tls == Some(Tls::SelfSigned),
            ids,
            control,
            stop,
            tasks,
        })
    }

    /// The URL of CloudAPI.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the admin API, if it is on.
    #[must_use]
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }

    /// The ids of the objects that are there at the start.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Steers it: faults, counters, the truth.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The environment variables with which clients find it (reference 1.9). When the key was made here, it is among
    /// them.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("TRITON_URL", self.url.clone()),
            ("TRITON_ACCOUNT", self.account.clone()),
            ("TRITON_KEY_ID", self.fingerprint.to_string()),
        ];
        if let Some(key) = &self.private_key {
            variables.push(("TRITON_KEY_MATERIAL", key.expose_secret().to_owned()));
        }
        if self.insecure {
            variables.push(("TRITON_TLS_INSECURE", "1".to_owned()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Stops in good order: requests that are under way are answered first, for two seconds at most.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.control.cut_feeds();
        if !self.tasks.is_empty() {
            let _ = self.tasks.remove(0).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        self.control.cut_feeds();
    }
}

/// Hands changes to the changefeed. Where changes were missed, the feed is cut, as the real one is when it reconnects.
async fn follow(mut changes: broadcast::Receiver<Arc<Change>>, feed: Arc<Hub>) {
    loop {
        match changes.recv().await {
            Ok(change) => feed.publish(&change),
            Err(broadcast::error::RecvError::Lagged(_)) => feed.cut(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
