//! The admin server: health and metrics over plain HTTP, for the kubelet and for Prometheus.
//!
//! It is bounded in every direction: connections, how long one may last, how long a request may take to arrive. It
//! knows four paths and those of [`Documents`], and reads no bodies.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::health::{Health, Probe};
use crate::metrics::Metrics;

/// Connections at once; further ones wait in the system's queue. A kubelet and a few scrapers need a handful.
pub const CONNECTIONS: usize = 64;

/// How long a request's head may take to arrive, and a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection may last, whatever it does. Scrapers connect again.
const CONNECTION: Duration = Duration::from_secs(60);

/// How long to wait after the system refused to accept, which it does while it has no file descriptors.
const REFUSED: Duration = Duration::from_millis(100);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for health and metrics; choose another with --admin-address")]
pub struct AdminError {
    /// The address as asked for.
    pub address: SocketAddr,
    source: io::Error,
}

/// More paths, each with JSON that is made when it is asked for. Cloning gives another handle on the same, so that a
/// path may be added while the server answers.
#[derive(Clone, Default)]
pub struct Documents(Arc<RwLock<BTreeMap<&'static str, Source>>>);

/// Makes a document; `None` while it cannot.
type Source = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Documents {
    /// Answers this path with what `source` makes, or with 503 while it makes nothing.
    pub fn add(&self, path: &'static str, source: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(path, Arc::new(source));
    }

    fn get(&self, path: &str) -> Option<Source> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Documents")
            .field(&self.0.read().unwrap_or_else(PoisonError::into_inner).keys())
            .finish()
    }
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    documents: Documents,
}

/// What the paths answer from.
#[derive(Debug, Clone)]
struct Pages {
    health: Health,
    metrics: Metrics,
    documents: Documents,
}

impl AdminServer {
    /// Listens. Port 0 takes any that is free. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`AdminError`], such as when the port is in use.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let failed = |source| AdminError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, documents: Documents::default() })
    }

    /// Answers more paths.
    #[must_use]
    pub fn with_documents(self, documents: Documents) -> Self {
        Self { documents, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until dropped. Run it beside the work, not as a part of it: while the process drains, it says so.
    pub async fn serve(self, health: Health, metrics: Metrics) {
        let pages = Pages { health, metrics, documents: self.documents };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((connection, _)) => {
                    let pages = pages.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        converse(connection, pages).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin server could not accept a connection");
                    tokio::time::sleep(REFUSED).await;
                }
            }
        }
    }
}

async fn converse(connection: TcpStream, pages: Pages) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let answer = pages.answer(request.method(), request.uri().path(), request.uri().query());
        async move { Ok::<_, Infallible>(answer) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(connection), service);
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION, conversation).await {
        tracing::debug!(%error, "an admin connection broke off");
    }
}

impl Pages {
    fn answer(&self, method: &Method, path: &str, query: Option<&str>) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        let verbose = query
            .unwrap_or_default()
            .split('&')
            .any(|name| name == "verbose" || name.starts_with("verbose="));
        match path {
            "/healthz" => self.probe(Probe::Live, "healthz", verbose),
            "/livez" => self.probe(Probe::Live, "livez", verbose),
            "/readyz" => self.probe(Probe::Ready, "readyz", verbose),
            "/metrics" => match self.metrics.text() {
                Ok(metrics) => text(StatusCode::OK, metrics),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, crate::exit::one_line(&error)),
            },
            _ => match self.documents.get(path).map(|document| document()) {
                Some(Some(document)) => json(document),
                Some(None) => text(StatusCode::SERVICE_UNAVAILABLE, "not known yet\n".to_owned()),
                None => text(StatusCode::NOT_FOUND, "try /healthz, /livez, /readyz or /metrics\n".to_owned()),
            },
        }
    }

    fn probe(&self, probe: Probe, name: &str, verbose: bool) -> Response<Full<Bytes>> {
        let report = self.health.report(probe, name, verbose);
        // 500 is what Kubernetes' own components answer.
        let status = if report.healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        text(status, report.text)
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn json(body: String) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
