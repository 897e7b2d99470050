//! Listening for DNS over UDP and TCP.
//!
//! Not hickory's own server: that one takes any number of TCP connections, and drops the messages of a
//! transfer that a client reads too slowly.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::answer::{Identity, answer, transfer, transfer_wanted};
use super::database::Database;
use super::message::{decode, encode, udp_limit};

/// TCP connections at a time. Further ones wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a connection may be silent in the middle of a request or between two, and how long a client may
/// take to read an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request, in bytes. A question has at most some 300.
const LONGEST_REQUEST: usize = 4096;
/// The wait after an error of a socket, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// How many ports are tried when the system is to choose one, because UDP's may be taken for TCP.
const PORTS_TRIED: usize = 16;

/// The database as the server and the follower of the data centre share it.
pub(super) type Shared = Arc<RwLock<Database>>;

/// Two sockets of the same address.
#[derive(Debug)]
pub(super) struct Sockets {
    /// For UDP.
    pub(super) udp: UdpSocket,
    /// For TCP.
    pub(super) tcp: TcpListener,
    /// Their address, with the port that the system chose if it was to.
    pub(super) address: SocketAddr,
}

/// A transport of DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Single packets.
    Udp,
    /// Connections.
    Tcp,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// Listens on an address; with port 0 on a port that is free for both transports.
///
/// # Errors
///
/// The transport that failed, and why.
pub(super) async fn listen(address: SocketAddr) -> Result<Sockets, (Transport, io::Error)> {
    let mut tries = if address.port() == 0 { PORTS_TRIED } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(address).await.map_err(|error| (Transport::Udp, error))?;
        let address = udp.local_addr().map_err(|error| (Transport::Udp, error))?;
        match TcpListener::bind(address).await {
            Ok(tcp) => return Ok(Sockets { udp, tcp, address }),
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err((Transport::Tcp, error)),
        }
    }
}

/// Answers requests until `stop` is dropped; then those that have begun.
pub(super) fn serve(sockets: Sockets, database: Shared, identity: Identity, stop: &watch::Receiver<()>) {
    let responder = Arc::new(Responder { database, identity, transfers: Arc::new(Semaphore::new(1)) });
    tokio::spawn(serve_udp(sockets.udp, Arc::clone(&responder), stop.clone()));
    tokio::spawn(serve_tcp(sockets.tcp, responder, stop.clone()));
}

/// Resolves when the other end is dropped.
pub(super) async fn stopped(stop: &mut watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}

struct Responder {
    database: Shared,
    identity: Identity,
    /// One transfer at a time, as it holds a whole zone.
    transfers: Arc<Semaphore>,
}

/// The messages of one answer, in order; none for what gets no answer.
#[derive(Default)]
struct Reply {
    messages: Vec<Vec<u8>>,
    _transfer: Option<OwnedSemaphorePermit>,
}

impl Responder {
    fn reply(&self, bytes: &[u8], client: SocketAddr, transport: Transport) -> Reply {
        let request = match decode(bytes) {
            Ok(Some(request)) => request,
            Ok(None) => return Reply::default(),
            Err(reply) => return Reply::one(*reply, u16::MAX),
        };
        let may_transfer = transport == Transport::Tcp && client.ip().to_canonical().is_loopback();
        if let Some(reply) = may_transfer.then(|| self.transfer(&request)).flatten() {
            return reply;
        }
        let limit = if transport == Transport::Udp { udp_limit(&request) } else { u16::MAX };
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let reply = answer(&database, &self.identity, &request, limit);
        drop(database);
        Reply::one(reply, limit)
    }

    /// The transfer that a request wants, unless there is no such zone or another one is under way.
    fn transfer(&self, request: &Message) -> Option<Reply> {
        let zone = transfer_wanted(request)?;
        let permit = Arc::clone(&self.transfers).try_acquire_owned().ok()?;
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let messages = transfer(&database, &self.identity, request, &zone)?;
        let messages = messages.map(|message| encode(message, u16::MAX)).collect::<Option<Vec<_>>>()?;
        Some(Reply { messages, _transfer: Some(permit) })
    }
}

impl Reply {
    fn one(message: Message, limit: u16) -> Self {
        Self { messages: encode(message, limit).into_iter().collect(), _transfer: None }
    }
}

async fn serve_udp(socket: UdpSocket, responder: Arc<Responder>, mut stop: watch::Receiver<()>) {
    let mut buffer = vec![0; LONGEST_REQUEST];
    loop {
        let received = tokio::select! {
            () = stopped(&mut stop) => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, client) = match received {
            Ok(received) => received,
            Err(error) => {
                debug!(%error, "cannot receive DNS requests");
                sleep(PAUSE).await;
                continue;
            }
        };
        let reply = responder.reply(buffer.get(..length).unwrap_or_default(), client, Transport::Udp);
        for message in reply.messages {
            if let Err(error) = socket.send_to(&message, client).await {
                debug!(%client, %error, "cannot send a DNS answer");
            }
        }
    }
}

async fn serve_tcp(listener: TcpListener, responder: Arc<Responder>, mut stop: watch::Receiver<()>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (permit, stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "cannot accept DNS connections");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (responder, stop) = (Arc::clone(&responder), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(stream, client, &responder, stop).await {
                debug!(%client, %error, "a DNS connection failed");
            }
            drop(permit);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, client) = listener.accept().await?;
    Ok((permit, stream, client))
}

/// Answers the requests of a connection one after another, until the client is silent or done.
async fn converse(
    mut stream: TcpStream,
    client: SocketAddr,
    responder: &Responder,
    mut stop: watch::Receiver<()>,
) -> io::Result<()> {
    loop {
        let request = tokio::select! {
            () = stopped(&mut stop) => return Ok(()),
            request = timeout(PATIENCE, read_request(&mut stream)) => request,
        };
        let Ok(Some(request)) = request.unwrap_or(Ok(None)) else { return Ok(()) };
        let reply = responder.reply(&request, client, Transport::Tcp);
        if reply.messages.is_empty() {
            return Ok(());
        }
        for message in &reply.messages {
            let length = u16::try_from(message.len()).map_err(io::Error::other)?;
            let framed = [&length.to_be_bytes(), message.as_slice()].concat();
            timeout(PATIENCE, stream.write_all(&framed)).await??;
        }
    }
}

/// One request, which its length precedes; none when it is too long.
async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_REQUEST {
        return Ok(None);
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await?;
    Ok(Some(request))
}
