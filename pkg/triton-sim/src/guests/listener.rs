//! One listening socket of a guest, and its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::balancer::{Balancer, Config};
use super::guest::Guest;
use super::ports::Service;
use super::{GuestSettings, boot, http, ssh};
use crate::stop::until;

/// How many connections wait to be accepted.
const BACKLOG: u32 = 128;
/// How long to wait when the process has no open file left.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How much the echo keeps of what it sends back.
const ECHO: usize = 16 << 10;

/// What the sockets of a guest share.
pub(super) struct Inside {
    guest: Guest,
    settings: GuestSettings,
    room: Arc<Semaphore>,
    ssh: OnceLock<Arc<russh::server::Config>>,
    balancer: Balancer,
    /// Told at each boot and at the end: connections and the script last from one to the next.
    boots: watch::Sender<()>,
}

impl Inside {
    pub(super) fn new(guest: Guest, settings: GuestSettings) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(settings.connections));
        let (ssh, balancer) = (OnceLock::new(), Balancer::default());
        Arc::new(Self { guest, settings, room, ssh, balancer, boots: watch::Sender::new(()) })
    }

    /// Ends what runs in the guest, and runs its script.
    pub(super) fn boot(&self) {
        self.end();
        let script = boot::run(self.guest.clone(), self.settings.script);
        tokio::spawn(until(self.boots.subscribe(), script));
    }

    /// Configures the guest as a load balancer.
    pub(super) fn balance(&self, config: Config, addresses: Vec<Ipv4Addr>) {
        self.balancer.configure(config, addresses, &self.settings.balancer);
    }

    /// Ends what runs in the guest.
    pub(super) fn end(&self) {
        self.boots.send_replace(());
    }
}

/// Opens a socket. Its address can be used again at once after a guest that had it has gone.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until it is dropped; they go on until the guest boots or ends.
pub(super) async fn accept(listener: TcpListener, service: Service, inside: Arc<Inside>) {
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::debug!(%error, "a guest cannot accept a connection");
                tokio::time::sleep(EXHAUSTED).await;
                continue;
            }
        };
        let Ok(room) = Arc::clone(&inside.room).try_acquire_owned() else {
            tracing::debug!("a guest has as many connections as it may have");
            continue;
        };
        let (inside, stop) = (Arc::clone(&inside), inside.boots.subscribe());
        tokio::spawn(until(stop, async move {
            serve(socket, service, &inside).await;
            drop(room);
        }));
    }
}

async fn serve(socket: TcpStream, service: Service, inside: &Inside) {
    let guest = inside.guest.clone();
    match service {
        Service::Http => http::serve(socket, guest).await,
        Service::Ssh => {
            let config = inside.ssh.get_or_init(|| ssh::config(&inside.settings, guest.id()));
            ssh::serve(socket, guest, Arc::clone(config), inside.settings.output).await;
        }
        Service::Tcp => echo(socket, inside.settings.idle).await,
        Service::Balancer => inside.balancer.serve(socket).await,
    }
}

async fn echo(mut socket: TcpStream, idle: Duration) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut buffer = vec![0; ECHO];
    let echo_once = async |socket: &mut TcpStream, buffer: &mut [u8]| {
        let length = socket.read(buffer).await?;
        socket.write_all(buffer.get(..length).unwrap_or_default()).await?;
        io::Result::Ok(length)
    };
    while let Ok(Ok(1..)) = tokio::time::timeout(idle, echo_once(&mut socket, &mut buffer)).await {}
}
