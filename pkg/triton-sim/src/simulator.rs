//! Everything together: starting a simulator and stopping it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use http::Uri;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use triton::auth::{Fingerprint, PublicKey};
use triton::client::{Connect, Stream};
use triton::error::BoxError;
use triton::id::{AccountId, InstanceId, NetworkId};

use crate::admin::{self, Control, NoComputeNode};
use crate::cloudapi::changefeed::Hub;
use crate::cloudapi::server::{serve, serve_stream};
use crate::cloudapi::{ApiSettings, CloudApi, Names, Throttle, Tls, TlsError, tls};
use crate::cmon::{Cmon, CmonError, CmonSettings};
use crate::cns::{Cns, CnsError, CnsSettings, InvalidZones, ZoneConfig};
use crate::engine::Engine;
use crate::faults::{Counters, FaultPlan, Faults};
use crate::fixtures::{self, Ids};
use crate::guests::{BalancerSettings, GuestSettings, Guests, namespace};
use crate::keys::{KeyPair, KeyPairError};
use crate::settings::Settings;
use crate::view::DataCenter;
use crate::world::{self, Change, World, WorldError};

/// How many bytes a pipe holds.
const PIPE: usize = 64 * 1024;

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
    cns: Option<Arc<Cns>>,
    cmon: Option<Arc<Cmon>>,
    _guests: Option<Guests>,
    api: Arc<CloudApi>,
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
    /// The name of the data centre cannot be part of a DNS name.
    #[error("CNS cannot use the name of the data centre; choose another one with --datacenter")]
    Zones(#[source] InvalidZones),
    /// CNS cannot start.
    #[error("cannot start CNS, which --cns gives another address")]
    Cns(#[source] CnsError),
    /// CMON cannot start.
    #[error("cannot start CMON, which --cmon gives another address")]
    Cmon(#[source] CmonError),
    /// Guests have no addresses to answer on.
    #[error(
        "guests cannot answer on {0}, which is no address here; run clients with triton-sim exec -- COMMAND"
    )]
    Guests(Ipv4Addr),
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

impl Names for Cns {
    fn dns_names(&self, instance: InstanceId) -> Vec<String> {
        Cns::dns_names(self, instance)
    }

    fn suffixes(&self, network: NetworkId, owner: AccountId, login: &str) -> Vec<String> {
        Cns::suffixes(self, network, owner, login)
    }
}

/// A data centre with its fixtures, in which the account has these keys.
fn build(
    settings: world::Settings,
    login: &str,
    ids: &Ids,
    keys: &[&PublicKey],
) -> Result<World, StartError> {
    let lines: Vec<String> = keys.iter().map(|key| key.to_openssh()).collect();
    let now = jiff::Timestamp::now();
    let mut world = fixtures::data_center(settings, now, &lines).map_err(StartError::World)?;
    fixtures::example::add(&mut world, ids, now);
    if let Some(account) = world.account_mut(ids.acme) {
        login.clone_into(&mut account.login);
    }
    Ok(world)
}

/// Starts what is around CloudAPI: CMON, CNS and the guests.
async fn surroundings(settings: &Settings, engine: &Engine, ids: &Ids) -> Result<Surroundings, StartError> {
    let data_center: Arc<dyn DataCenter> = Arc::new(engine.clone());
    let name = &settings.world.datacenter;
    let public = std::iter::once(ids.external).chain(ids.pool_members);
    let zones = ZoneConfig::of_data_center(name, public).map_err(StartError::Zones)?;
    let mut cmon = None;
    if let Some(listen) = settings.cmon {
        let mut cmon_settings = CmonSettings::new(listen, format!("{name}.triton.zone"));
        cmon_settings.throttle = cmon_settings.throttle.filter(|_| settings.throttle.is_some());
        let started = Cmon::start(Arc::clone(&data_center), cmon_settings);
        cmon = Some(Arc::new(started.map_err(StartError::Cmon)?));
    }
    let mut cns = None;
    if let Some(address) = settings.cns {
        let cmon = cmon.as_ref().and_then(|cmon| match reachable(cmon.address()).ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        });
        let commit_delay = settings.cns_commit_delay;
        let cns_settings = CnsSettings { address, zones, commit_delay, cmon };
        let started = Cns::start(Arc::clone(&data_center), cns_settings).await;
        cns = Some(Arc::new(started.map_err(StartError::Cns)?));
    }
    let mut guests = None;
    if settings.guests {
        let network = engine.read(|world| world.network_by_id(ids.fabric).map(|it| it.provision_start));
        if let Some(ip) = network.filter(|ip| !namespace::can_bind(*ip)) {
            return Err(StartError::Guests(ip));
        }
        let host_key_seed = settings.world.seed;
        let resolver = cns.as_ref().map(|cns| reachable(cns.address()));
        let balancer = BalancerSettings { resolver, ..settings.balancers.clone() };
        let guest_settings = GuestSettings { host_key_seed, balancer, ..GuestSettings::default() };
        guests = Some(Guests::start(data_center, guest_settings));
    }
    Ok(Surroundings { cns, cmon, guests })
}

/// What is around CloudAPI.
struct Surroundings {
    cns: Option<Arc<Cns>>,
    cmon: Option<Arc<Cmon>>,
    guests: Option<Guests>,
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

        let seed = settings.world.seed;
        let ids = Ids::new(seed);
        let world = build(settings.world.clone(), &settings.account, &ids, &keys)?;
        let nodes = world.compute_nodes().map(|node| (node.id, node.memory_mib, node.disk_mib)).collect();
        let engine = Engine::start(world);
        let Surroundings { cns, cmon, guests } = surroundings(&settings, &engine, &ids).await?;

        let faults = Arc::new(Faults::new(seed, FaultPlan::default()));
        let feed = Arc::new(Hub::new(Arc::clone(&faults)));
        let counters = Arc::new(Counters::default());
        let throttle = Arc::new(Throttle::new(settings.throttle));
        let control = Control {
            engine: engine.clone(),
            faults: Arc::clone(&faults),
            counters: Arc::clone(&counters),
            throttle: Arc::clone(&throttle),
            feed: Arc::clone(&feed),
            cmon: cmon.clone(),
            sound: Arc::new(settings.world),
            nodes: Arc::new(nodes),
        };
        control.set_faults(settings.faults)?;

        let (stop, stopped) = watch::channel(false);
        let mut services = settings.services;
        services.insert("cloudapi".to_owned(), url.clone());
        services.extend(cmon.as_ref().map(|cmon| ("cmon".to_owned(), cmon.url())));
        let api_settings = ApiSettings {
            url: url.clone(),
            services,
            datacenters: settings.datacenters,
            clock_skew: settings.clock_skew,
            clock_ahead: settings.clock_ahead,
        };
        let changes = engine.feed();
        let names = cns.clone().map(|cns| cns as Arc<dyn Names>);
        let api = CloudApi::new(engine, api_settings, faults, counters, throttle, Arc::clone(&feed), names);
        let api = Arc::new(api);
        let mut tasks = vec![
            tokio::spawn(serve(listener, acceptor, Arc::clone(&api), stopped)),
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
            cns,
            cmon,
            _guests: guests,
            api,
            stop,
            tasks,
        })
    }

    /// The URL of CloudAPI.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A way to CloudAPI without sockets, for clients in this process: with a paused clock, hours of simulated time
    /// take as long as the work in them.
    #[must_use]
    pub fn connect(&self) -> Arc<dyn Connect> {
        Arc::new(Pipes { api: Arc::clone(&self.api), stop: self.stop.subscribe() })
    }

    /// The URL of the admin API, if it is on.
    #[must_use]
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }

    /// Where CNS answers, if it is on.
    #[must_use]
    pub fn cns_address(&self) -> Option<SocketAddr> {
        self.cns.as_ref().map(|cns| cns.address())
    }

    /// CMON, if it is on.
    #[must_use]
    pub fn cmon(&self) -> Option<&Cmon> {
        self.cmon.as_deref()
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
    /// them. `TRITON_SIM_ADMIN_URL`, `TRITON_SIM_CNS_ADDRESS` and `TRITON_SIM_CMON_ADDRESS` say where the rest is.
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
        variables.extend(self.admin_url.clone().map(|url| ("TRITON_SIM_ADMIN_URL", url)));
        let cns = self.cns_address().map(|address| reachable(address).to_string());
        variables.extend(cns.map(|address| ("TRITON_SIM_CNS_ADDRESS", address)));
        let cmon = self.cmon().map(|cmon| reachable(cmon.address()).to_string());
        variables.extend(cmon.map(|address| ("TRITON_SIM_CMON_ADDRESS", address)));
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

/// Connects clients with CloudAPI in memory.
struct Pipes {
    api: Arc<CloudApi>,
    stop: watch::Receiver<bool>,
}

impl Connect for Pipes {
    fn connect(&self, _: Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, BoxError>> {
        let (api, stop) = (Arc::clone(&self.api), self.stop.clone());
        Box::pin(async move {
            let (client, server) = tokio::io::duplex(PIPE);
            tokio::spawn(serve_stream(server, api, stop));
            Ok(Box::new(client) as Box<dyn Stream>)
        })
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
