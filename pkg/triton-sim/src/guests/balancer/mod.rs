//! The guest of Triton's load balancer, the image `cloud-load-balancer`, driven by its metadata (Triton reference 9).
//!
//! - [`config`], [`portmap`]: what the metadata says. Pure.
//! - [`servers`]: who is behind one port, who of them is up, who is next. Pure.
//! - [`backend`]: keeps the servers of one port by DNS and checks.
//! - [`relay`]: TCP. [`proxy`]: HTTP, with cookies that keep a client with its server, and metrics. [`tls`]: a certificate.
//!
//! Names are asked of the data centre's CNS: A records where a designation has a port for servers, SRV records where it
//! has none. Changes of the metadata count at once, where the image looks once a minute; a port whose designation
//! stays keeps its servers and connections.
//!
//! Left out: TLS to servers (`https`, `https+insecure`: no server is ever up), certificates of Let's Encrypt (a certificate
//! signs itself), upgraded connections, timeouts and logs of one's own choice.

mod backend;
mod config;
mod portmap;
mod proxy;
mod relay;
mod servers;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use self::backend::Backend;
pub(super) use self::config::{Config, IMAGE};
use self::portmap::{Designation, Kind};

/// How a load balancer works.
#[derive(Debug, Clone)]
pub struct BalancerSettings {
    /// Where CNS answers. Without it no server is found.
    pub resolver: Option<SocketAddr>,
    /// How often names are looked up. HAProxy asks each second while it lacks something and each 15 s otherwise.
    pub resolve: Duration,
    /// How often each server is checked: HAProxy's `inter`.
    pub check: Duration,
}

impl Default for BalancerSettings {
    fn default() -> Self {
        Self { resolver: None, resolve: Duration::from_secs(1), check: Duration::from_secs(2) }
    }
}

/// The load balancer of one guest.
#[derive(Default)]
pub(super) struct Balancer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    config: Config,
    frontends: BTreeMap<u16, Arc<Frontend>>,
}

/// A port for clients, with the servers behind it.
struct Frontend {
    designation: Designation,
    max_servers: usize,
    names: Vec<String>,
    backend: Arc<Backend>,
    connections: AtomicU64,
    /// Made when the first client comes.
    tls: OnceLock<Option<TlsAcceptor>>,
}

impl Balancer {
    /// Takes up a configuration. `addresses` are the guest's.
    pub(super) fn configure(&self, config: Config, addresses: Vec<Ipv4Addr>, settings: &BalancerSettings) {
        let mut state = self.state();
        if state.config == config {
            return;
        }
        let mut before = std::mem::take(&mut state.frontends);
        for designation in &config.ports {
            let port = designation.listen;
            let same = before.remove(&port).filter(|frontend| {
                frontend.designation == *designation
                    && frontend.max_servers == config.max_servers
                    && frontend.names == config.names
            });
            let frontend = same.unwrap_or_else(|| {
                Arc::new(Frontend {
                    designation: designation.clone(),
                    max_servers: config.max_servers,
                    names: config.names.clone(),
                    backend: Backend::start(designation, config.max_servers, addresses.clone(), settings),
                    connections: AtomicU64::new(0),
                    tls: OnceLock::new(),
                })
            });
            state.frontends.insert(port, frontend);
        }
        state.config = config;
    }

    /// Serves a client.
    pub(super) async fn serve(&self, socket: TcpStream) {
        let (Ok(local), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else { return };
        let _ = socket.set_nodelay(true);
        let frontend = self.state().frontends.get(&local.port()).cloned();
        let Some(frontend) = frontend else {
            return self.serve_metrics(socket, local.port(), peer.ip()).await;
        };
        frontend.connections.fetch_add(1, Ordering::Relaxed);
        let kind = frontend.designation.kind;
        if kind.is_tls() {
            let tls = frontend.tls.get_or_init(|| tls::acceptor(&frontend.names, local.ip()));
            let Some(tls) = tls.clone() else { return };
            match tls.accept(socket).await {
                Ok(socket) => proxy::serve(socket, peer.ip(), &frontend.backend).await,
                Err(error) => tracing::debug!(%error, "a client of a load balancer does not speak TLS"),
            }
        } else if kind.is_http() {
            proxy::serve(socket, peer.ip(), &frontend.backend).await;
        } else {
            let header = (kind == Kind::TcpProxyV2).then(|| relay::header(peer, local)).flatten();
            relay::serve(socket, header, &frontend.backend).await;
        }
    }

    async fn serve_metrics(&self, socket: TcpStream, port: u16, client: IpAddr) {
        let metrics = {
            let state = self.state();
            let metrics = state.config.metrics.as_ref().filter(|metrics| metrics.port == port);
            metrics.map(|metrics| metrics.admits(client).then(|| exposition(&state.frontends)))
        };
        if let Some(text) = metrics {
            proxy::serve_metrics(socket, text).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; should it ever, the state is still usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some of HAProxy's metrics, by its names.
fn exposition(frontends: &BTreeMap<u16, Arc<Frontend>>) -> String {
    let mut text = "# TYPE haproxy_frontend_connections_total counter\n".to_owned();
    for (number, frontend) in frontends.values().enumerate() {
        let connections = frontend.connections.load(Ordering::Relaxed);
        text += &format!("haproxy_frontend_connections_total{{proxy=\"fe{number}\"}} {connections}\n");
    }
    text += "# TYPE haproxy_backend_active_servers gauge\n";
    for (number, frontend) in frontends.values().enumerate() {
        let up = frontend.backend.servers().up();
        text += &format!("haproxy_backend_active_servers{{proxy=\"be{number}\"}} {up}\n");
    }
    text
}
