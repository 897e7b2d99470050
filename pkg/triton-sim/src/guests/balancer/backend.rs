//! The servers behind one port: found by DNS, checked, connected to.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::portmap::{Designation, Kind};
use super::servers::{Answer, Servers};
use super::{BalancerSettings, proxy};

/// How long a connection to a server may take (`timeout connect`), and a check.
const CONNECT: Duration = Duration::from_secs(2);

/// The servers behind one port. It is kept up as long as somebody has it.
pub(super) struct Backend {
    designation: Designation,
    /// The addresses of the load balancer, one of which connections come from.
    addresses: Vec<Ipv4Addr>,
    servers: Mutex<Servers>,
    /// Whether DNS has answered. Clients of a new port wait for that, where the image, whose restart takes less, refuses
    /// them for a moment.
    asked: watch::Sender<bool>,
}

/// A connection to a server.
pub(super) struct Connected {
    pub(super) socket: TcpStream,
    pub(super) server: SocketAddrV4,
    pub(super) counted: Counted,
}

/// Counts a connection as long as it is there.
pub(super) struct Counted(Arc<Backend>, SocketAddrV4);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.servers().end(self.1);
    }
}

impl Backend {
    /// Begins to look for servers.
    pub(super) fn start(
        designation: &Designation,
        max_servers: usize,
        addresses: Vec<Ipv4Addr>,
        settings: &BalancerSettings,
    ) -> Arc<Self> {
        let servers = Mutex::new(Servers::new(max_servers, &designation.check));
        let (designation, asked) = (designation.clone(), watch::Sender::new(false));
        let backend = Arc::new(Self { designation, addresses, servers, asked });
        let unsupported = matches!(backend.designation.kind, Kind::Https { .. });
        match settings.resolver.and_then(resolver).filter(|_| !unsupported) {
            Some(resolver) => {
                tokio::spawn(follow(Arc::downgrade(&backend), resolver, settings.resolve));
                tokio::spawn(check(Arc::downgrade(&backend), settings.check));
            }
            None => drop(backend.asked.send_replace(true)),
        }
        backend
    }

    pub(super) fn servers(&self) -> MutexGuard<'_, Servers> {
        // Nothing panics while holding the lock; should it ever, the servers are still usable.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the server that a client had before, if it is up, or to the next one; when that does not answer, once
    /// to another (`retries 1`, `option redispatch`).
    pub(super) async fn connect(self: &Arc<Self>, preferred: Option<SocketAddrV4>) -> Option<Connected> {
        // Whoever asks has the sender, so waiting ends by an answer or the time.
        let _ = timeout(CONNECT, self.asked.subscribe().wait_for(|asked| *asked)).await;
        let mut tried = Vec::new();
        for attempt in 0..2 {
            let server = {
                let mut servers = self.servers();
                let preferred = preferred.filter(|server| attempt == 0 && servers.is_up(*server));
                let server = preferred.or_else(|| servers.choose(&tried))?;
                servers.begin(server);
                server
            };
            let counted = Counted(Arc::clone(self), server);
            match timeout(CONNECT, self.dial(server)).await {
                Ok(Ok(socket)) => return Some(Connected { socket, server, counted }),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a server does not answer"),
                Err(_) => tracing::debug!(%server, "a server does not answer in time"),
            }
            tried.push(server);
        }
        None
    }

    /// Connects from the address of the load balancer that is nearest to the server: the others are on other networks.
    async fn dial(&self, server: SocketAddrV4) -> std::io::Result<TcpStream> {
        let common = |own: &&Ipv4Addr| (own.to_bits() ^ server.ip().to_bits()).leading_zeros();
        let socket = TcpSocket::new_v4()?;
        if let Some(own) = self.addresses.iter().max_by_key(common) {
            socket.bind(SocketAddr::from((*own, 0)))?;
        }
        let stream = socket.connect(server.into()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn is_good(&self, server: SocketAddrV4) -> bool {
        let check = &self.designation.check;
        let address = SocketAddrV4::new(*server.ip(), check.port.unwrap_or(server.port()));
        let asking = async {
            let socket = self.dial(address).await.ok()?;
            match &check.path {
                None => Some(()),
                Some(path) => proxy::is_ok(socket, path, address).await.then_some(()),
            }
        };
        matches!(timeout(CONNECT, asking).await, Ok(Some(())))
    }
}

/// A resolver that asks CNS anew each time: how long answers hold is for [`Servers`] to say.
fn resolver(address: SocketAddr) -> Option<TokioResolver> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::new());
    builder.options_mut().cache_size = 0;
    match builder.build() {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            tracing::warn!(%error, "a load balancer has no resolver, and so no servers");
            None
        }
    }
}

async fn follow(backend: Weak<Backend>, resolver: TokioResolver, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(designation) = backend.upgrade().map(|backend| backend.designation.clone()) else { return };
        let answer = look_up(&resolver, &designation).await;
        let Some(backend) = backend.upgrade() else { return };
        backend.servers().resolved(&answer, Instant::now());
        backend.asked.send_replace(true);
    }
}

async fn look_up(resolver: &TokioResolver, designation: &Designation) -> Answer {
    // The whole name: nothing is to be appended to it.
    let name = format!("{}.", designation.name.trim_end_matches('.'));
    let found = match designation.port {
        Some(port) => addresses(resolver, &name, port).await,
        None => services(resolver, &name).await,
    };
    found.filter(|servers| !servers.is_empty()).map_or(Answer::None, Answer::Servers)
}

async fn addresses(resolver: &TokioResolver, name: &str, port: u16) -> Option<Vec<SocketAddrV4>> {
    let found = resolver.lookup(name, RecordType::A).await.ok()?;
    let address = |data: &RData| match data {
        RData::A(address) => Some(SocketAddrV4::new(address.0, port)),
        _ => None,
    };
    Some(found.answers().iter().filter_map(|record| address(&record.data)).collect())
}

async fn services(resolver: &TokioResolver, name: &str) -> Option<Vec<SocketAddrV4>> {
    let found = resolver.lookup(name, RecordType::SRV).await.ok()?;
    let targets = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(service) => Some((service.target.to_utf8(), service.port)),
        _ => None,
    });
    let asked = targets.map(|(target, port)| async move { addresses(resolver, &target, port).await });
    Some(join_all(asked).await.into_iter().flatten().flatten().collect())
}

async fn check(backend: Weak<Backend>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(backend) = backend.upgrade() else { return };
        let addresses = backend.servers().addresses();
        let backend = &*backend;
        let checks = addresses.into_iter().map(async |address| (address, backend.is_good(address).await));
        for (address, good) in join_all(checks).await {
            backend.servers().checked(address, good);
        }
    }
}
