//! Listening: HTTP/1.1 over plain TCP or TLS, with keep-alive, bounds, upgrades and an orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::respond::ReplyBody;

/// How many connections are served at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 8192;
/// How many bytes a request's line and headers may have.
const MAX_HEAD: usize = 64 * 1024;
/// How many headers a request may have.
const MAX_HEADERS: usize = 128;
/// How long the head of a request, or a TLS handshake, may take; also how long a connection may be idle
/// between requests, which at the real service is 55 seconds (reference 2.5).
const HEAD_TIMEOUT: Duration = Duration::from_secs(55);
/// How long requests may go on once the server ends.
const GRACE: Duration = Duration::from_secs(2);

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        self: Arc<Self>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ReplyBody>> + Send;
}

/// Serves until `stop` is true, and lets requests that are under way come to their end.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: Arc<H>,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            Some(_) = connections.join_next() => continue,
            // A sender that is gone means the same.
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let (tls, handler, stop) = (tls.clone(), Arc::clone(&handler), stop.clone());
        connections.spawn(async move {
            let _slot = slot;
            if let Err(error) = connection(stream, peer, tls, handler, stop).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
    let drain = async { while connections.join_next().await.is_some() {} };
    // Whatever is left is aborted when the set is dropped.
    let _ = tokio::time::timeout(GRACE, drain).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Without it, small answers wait for the client's delayed acknowledgements.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, slot))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Such as too many open files, which does not go away at once.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    handler: Arc<H>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    match tls {
        None => requests(stream, peer, handler, stop).await,
        Some(acceptor) => {
            let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
            let stream =
                tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await.map_err(timed_out)??;
            requests(stream, peer, handler, stop).await
        }
    }
}

/// Serves one connection that is no socket, until `stop` is true.
pub(crate) async fn serve_stream<S, H: Handler>(stream: S, handler: Arc<H>, stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let peer = SocketAddr::from(([127, 0, 0, 1], 0));
    if let Err(error) = requests(stream, peer, handler, stop).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn requests<S, H: Handler>(
    stream: S,
    peer: SocketAddr,
    handler: Arc<H>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.handle(peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        served = &mut connection => return served.map_err(io::Error::other),
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(io::Error::other)
}
