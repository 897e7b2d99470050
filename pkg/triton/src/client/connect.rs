//! How the client reaches the server: a seam, so that tests give it in-memory pipes.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use crate::error::BoxError;

/// A name must resolve and a connection with TLS stand within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A byte stream to a server.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens byte streams to a server. The client uses TCP and TLS unless it is given another one.
pub trait Connect: Send + Sync {
    /// Opens a stream to the host of `uri`, with TLS when its scheme asks for it.
    fn connect(&self, uri: Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, BoxError>>;
}

/// TCP, and TLS for `https` URLs.
pub(crate) struct Network(HttpsConnector<HttpConnector>);

impl Network {
    pub(crate) fn new(tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self(connector)
    }
}

impl Connect for Network {
    fn connect(&self, uri: Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, BoxError>> {
        let connecting = self.0.clone().call(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(stream)) => Ok(Box::new(TokioIo::new(stream)) as Box<dyn Stream>),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within 10 s").into()),
            }
        })
    }
}

/// Any [`Connect`] in the shape that hyper asks for.
#[derive(Clone)]
pub(super) struct Connector(pub(super) Arc<dyn Connect>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Pipe>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut connecting = self.0.connect(uri);
        Box::pin(std::future::poll_fn(move |cx| {
            Pin::new(&mut connecting).poll(cx).map_ok(|stream| TokioIo::new(Pipe(stream)))
        }))
    }
}

/// A stream that tells hyper about itself.
pub(super) struct Pipe(Box<dyn Stream>);

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
