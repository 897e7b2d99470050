//! The admin server: health and metrics, for the kubelet and for Prometheus.
//!
//! It is bounded in every direction: connections, how long one may last, how long a request may take to arrive. It
//! knows four paths and those of [`Documents`], and reads no bodies. Over plain HTTP, whoever reaches it may ask;
//! [`AdminServer::secured`] speaks TLS and has a [`Gate`] decide.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use rustls::ServerConfig;

use crate::access::{Access, Gate, Refusal};
use crate::health::{Health, Probe};
use crate::metrics::Metrics;
use crate::serving::{Bounds, Listener, Peer};

/// Connections at once; further ones wait in the system's queue. A kubelet and a few scrapers need a handful.
pub const CONNECTIONS: usize = 64;

/// A connection does not last, whatever it does: scrapers connect again.
const BOUNDS: Bounds = Bounds {
    connections: CONNECTIONS,
    head: Duration::from_secs(10),
    connection: Some(Duration::from_secs(60)),
};

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for health and metrics; choose another with {flag}")]
pub struct AdminError {
    /// The address as asked for.
    pub address: SocketAddr,
    /// The flag that says where.
    flag: &'static str,
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
    listener: Listener,
    gate: Option<Gate>,
    documents: Documents,
}

/// What the paths answer from.
#[derive(Debug, Clone)]
struct Pages {
    health: Health,
    metrics: Metrics,
    gate: Option<Gate>,
    documents: Documents,
}

impl AdminServer {
    /// Listens. Port 0 takes any that is free. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`AdminError`], such as when the port is in use.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        Self::bind_for(address, "--admin-address").await
    }

    /// Like [`AdminServer::bind`], for an address that another flag says.
    ///
    /// # Errors
    ///
    /// [`AdminError`], such as when the port is in use.
    pub async fn bind_for(address: SocketAddr, flag: &'static str) -> Result<Self, AdminError> {
        let bound = Listener::bind(address).await;
        let listener = bound.map_err(|source| AdminError { address, flag, source })?;
        Ok(Self { listener, gate: None, documents: Documents::default() })
    }

    /// Speaks TLS, and answers whom `gate` lets in.
    #[must_use]
    pub fn secured(self, tls: Arc<ServerConfig>, gate: Gate) -> Self {
        Self { listener: self.listener.secured(tls), gate: Some(gate), ..self }
    }

    /// Answers more paths.
    #[must_use]
    pub fn with_documents(self, documents: Documents) -> Self {
        Self { documents, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers until dropped. Run it beside the work, not as a part of it: while the process drains, it says so.
    pub async fn serve(self, health: Health, metrics: Metrics) {
        let pages = Pages { health, metrics, gate: self.gate, documents: self.documents };
        let answer = move |peer, request| {
            let pages = pages.clone();
            async move { pages.answer(&peer, &request).await }
        };
        self.listener.serve(BOUNDS, answer).await;
    }
}

impl Pages {
    async fn answer(&self, peer: &Peer, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match self.admit(peer, request).await {
            Ok(()) => self.show(request.method(), request.uri().path(), request.uri().query()),
            Err(refusal) => refuse(&refusal),
        }
    }

    async fn admit(&self, peer: &Peer, request: &Request<Incoming>) -> Result<(), Refusal> {
        let path = request.uri().path();
        let Some(gate) = self.gate.as_ref().filter(|gate| !gate.is_open(path)) else { return Ok(()) };
        let user = gate.authenticate(peer, request.headers()).await?;
        gate.authorize(&user, &Access::path(request.method(), path)).await
    }

    fn show(&self, method: &Method, path: &str, query: Option<&str>) -> Response<Full<Bytes>> {
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

fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let mut response = text(refusal.status(), format!("{refusal}\n"));
    if refusal.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
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
