//! Accepting connections.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// How long to wait after the system refused to accept, which it does while it has no file descriptors.
const REFUSED: Duration = Duration::from_millis(100);

/// The largest head of a request, in bytes. Tokens of service accounts have about one KiB.
const LARGEST_HEAD: usize = 16 * 1024;

/// What a server gives to whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// How long a handshake and a request's head may each take to arrive, and a connection may be idle.
    pub head: Duration,
    /// How long a connection may last, whatever it does; `None` for as long as it likes.
    pub connection: Option<Duration>,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificates that it showed, its own first; none without TLS. That it holds the key of the first is
    /// proved, and nothing else.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// A server that listens and does not answer yet.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens. Port 0 takes any that is free. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// Such as when the port is in use.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address, tls: None })
    }

    /// Speaks TLS.
    #[must_use]
    pub fn secured(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(TlsAcceptor::from(config));
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Has `answer` answer all requests, until dropped. Connections may be upgraded.
    pub async fn serve<A, F, B>(self, bounds: Bounds, answer: A)
    where
        A: Fn(Peer, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let room = Arc::new(Semaphore::new(bounds.connections));
        loop {
            // The semaphore is never closed.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match self.tcp.accept().await {
                Ok((connection, address)) => {
                    let (tls, answer) = (self.tls.clone(), answer.clone());
                    tokio::spawn(async move {
                        let _place = place;
                        let conversation = converse(connection, address, tls, bounds, answer);
                        let ended = match bounds.connection {
                            Some(longest) => tokio::time::timeout(longest, conversation).await,
                            None => Ok(conversation.await),
                        };
                        if let Ok(Err(error)) = ended {
                            tracing::debug!(%address, %error, "a connection broke off");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(REFUSED).await;
                }
            }
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (address, secured) = (self.address, self.is_secured());
        f.debug_struct("Listener")
            .field("address", &address)
            .field("secured", &secured)
            .finish_non_exhaustive()
    }
}

/// Serves one connection to its end.
async fn converse<A, F, B>(
    connection: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    bounds: Bounds,
    answer: A,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    A: Fn(Peer, Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Some(tls) = tls else {
        let peer = Peer { address, certificates: Arc::from([]) };
        return exchange(connection, peer, bounds, answer).await;
    };
    let connection = tokio::time::timeout(bounds.head, tls.accept(connection)).await??;
    let certificates = connection.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().cloned().collect();
    exchange(connection, Peer { address, certificates }, bounds, answer).await
}

async fn exchange<S, A, F, B>(
    stream: S,
    peer: Peer,
    bounds: Bounds,
    answer: A,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Peer, Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let service = service_fn(move |request| {
        let answered = answer(peer.clone(), request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    Ok(conversation.await?)
}
