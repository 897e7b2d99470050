//! CMON's connections.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::routes::Service;
use crate::stop::until;

/// How long a client may take for TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may be without a request. Prometheus asks each minute at most.
const IDLE: Duration = Duration::from_secs(150);
/// How long to wait when the process has no open file left.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Opens the socket.
pub(super) fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// Serves until it is dropped; connections go on until `stop` goes.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    service: Arc<Service>,
    connections: usize,
    stop: watch::Receiver<()>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let room = Arc::new(Semaphore::new(connections));
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::debug!(%error, "CMON cannot accept a connection");
                tokio::time::sleep(EXHAUSTED).await;
                continue;
            }
        };
        let Ok(room) = Arc::clone(&room).try_acquire_owned() else {
            tracing::debug!("CMON has as many connections as it may have");
            continue;
        };
        let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
        tokio::spawn(until(stop.clone(), async move {
            connection(socket, acceptor, service).await;
            drop(room);
        }));
    }
}

async fn connection(socket: TcpStream, acceptor: TlsAcceptor, service: Arc<Service>) {
    let _ = socket.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a client of CMON failed to set up TLS"),
        Err(_) => return tracing::debug!("a client of CMON took too long to set up TLS"),
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|chain| chain.first()).map(|it| it.to_vec());
    let answer = service_fn(|request| {
        let response = service.answer(&request, certificate.as_deref());
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to CMON ended");
    }
}
