//! The CMON client: which instances can be measured, and their metrics (reference 4.1).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

use super::exposition::Metrics;
use crate::budget::{Budget, Limits, Priority};
use crate::client::{Connect, Connector, Network, TlsError, TlsSettings};
use crate::config::Endpoint;
use crate::error::{BoxError, Error, Kind, Result};
use crate::id::{AccountId, ComputeNodeId, ImageId, InstanceId};
use crate::types;

/// What CMON allows per login: 100 requests/s with a burst of 1000 (reference 4.1).
const LIMITS: Limits = Limits { rate: 100.0, burst: 1000 };

/// A scrape that takes longer has missed its interval anyway.
const DEADLINE: Duration = Duration::from_secs(15);

/// Texts of one instance have some ten KiB, a discovery of 10,000 instances a few MiB.
const LARGEST_BODY: usize = 32 << 20;

/// The port of CMON where its URL names none (reference 4.1).
const DEFAULT_PORT: u16 = 9163;

/// A client of one datacenter's CMON for one account. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct CmonClient {
    http: legacy::Client<Connector, Empty<Bytes>>,
    budget: Budget,
    /// The host of the datacenter's CMON, such as `cmon.dc1.example.com`.
    host: Arc<str>,
    port: u16,
}

impl std::fmt::Debug for CmonClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CmonClient")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`CmonClient`].
pub struct CmonClientBuilder {
    endpoint: Endpoint,
    tls: TlsSettings,
    connect: Option<Arc<dyn Connect>>,
}

impl std::fmt::Debug for CmonClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CmonClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// The answer to a discovery.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// The running instances of the account, of the asked groups.
    pub containers: Vec<Container>,
    /// How many elements could not be read.
    pub undecodable: usize,
}

/// An instance that can be measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Container {
    /// The instance.
    #[serde(rename = "vm_uuid")]
    pub id: InstanceId,
    /// Its name.
    #[serde(default, rename = "vm_alias", deserialize_with = "lenient")]
    pub name: Option<Box<str>>,
    /// Its brand.
    #[serde(default, rename = "vm_brand", deserialize_with = "lenient")]
    pub brand: Option<Box<str>>,
    /// Its image.
    #[serde(default, rename = "vm_image_uuid", deserialize_with = "lenient")]
    pub image: Option<ImageId>,
    /// Its account.
    #[serde(default, rename = "vm_owner_uuid", deserialize_with = "lenient")]
    pub owner: Option<AccountId>,
    /// Its compute node.
    #[serde(default, rename = "server_uuid", deserialize_with = "lenient")]
    pub compute_node: Option<ComputeNodeId>,
    /// Its CMON groups (reference 4.3).
    #[serde(default, deserialize_with = "lenient_list")]
    pub groups: Vec<Box<str>>,
}

/// A field that is left out when it makes no sense.
fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    json: D,
) -> Result<Option<T>, D::Error> {
    let raw = Box::<RawValue>::deserialize(json)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

fn lenient_list<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<Box<str>>, D::Error> {
    Ok(lenient(json)?.unwrap_or_default())
}

impl CmonClientBuilder {
    /// Replaces TCP and TLS by another way to reach the server.
    #[must_use]
    pub fn connect(mut self, connect: Arc<dyn Connect>) -> Self {
        self.connect = Some(connect);
        self
    }

    /// Builds the client; sends nothing.
    ///
    /// # Errors
    /// [`TlsError`] when the TLS settings are not usable.
    pub fn build(self) -> Result<CmonClient, TlsError> {
        let connect = match self.connect {
            Some(connect) => connect,
            None => Arc::new(Network::new(self.tls.client_config()?)),
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(Connector(connect));
        Ok(CmonClient {
            http,
            budget: Budget::new(LIMITS),
            host: self.endpoint.authority().host().into(),
            port: self.endpoint.authority().port_u16().unwrap_or(DEFAULT_PORT),
        })
    }
}

impl CmonClient {
    /// Starts a client of the CMON at `endpoint`, which is what ListServices calls `cmon`; it is reached by TLS
    /// whatever the scheme. `tls` needs the account's client identity.
    pub fn builder(endpoint: Endpoint, tls: TlsSettings) -> CmonClientBuilder {
        CmonClientBuilder { endpoint, tls, connect: None }
    }

    /// The account's running instances, all of them or those in one of these groups.
    ///
    /// # Errors
    /// [`Kind::Unauthorized`] without an accepted client certificate, [`Kind::Invalid`] for a bad group.
    pub async fn discover(&self, groups: &[&str]) -> Result<Discovery> {
        let query = match groups {
            [] => String::new(),
            groups => {
                let groups: Vec<_> = groups
                    .iter()
                    .map(|group| utf8_percent_encode(group, NON_ALPHANUMERIC).to_string())
                    .collect();
                format!("?groups={}", groups.join(","))
            }
        };
        let operation = "Discover";
        let body = self.get(operation, &self.host, &format!("/v1/discover{query}")).await?;
        let undecodable = |source: BoxError| {
            Error::new(Kind::Protocol, operation, &*self.host, "the answer cannot be understood")
                .caused_by(source)
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| undecodable(error.into()))?;
        let list = types::decode_list::<Container>(answer.containers.get().as_bytes())
            .map_err(|error| undecodable(error.into()))?;
        Ok(Discovery { undecodable: list.undecodable.len(), containers: list.items })
    }

    /// The metrics of one instance. CMON measures most of them anew every 10 s, those of ZFS every 300 s
    /// (reference 4.4).
    ///
    /// # Errors
    /// [`Kind::NotFound`] for an instance that is not running or is another account's.
    pub async fn metrics(&self, id: InstanceId) -> Result<Metrics> {
        let host = format!("{id}.{}", self.host);
        let body = self.get("GetMetrics", &host, "/metrics").await?;
        Ok(Metrics::parse(&String::from_utf8_lossy(&body)))
    }

    async fn get(&self, operation: &'static str, host: &str, target: &str) -> Result<Bytes> {
        let error = |kind, message: &str| Error::new(kind, operation, host, message);
        let exchange = async {
            self.budget.acquire(Priority::Refresh).await;
            let request = Request::get(format!("https://{host}:{}{target}", self.port))
                .header(header::ACCEPT, "*/*")
                .body(Empty::new())
                .map_err(|source| error(Kind::Invalid, "the request cannot be built").caused_by(source))?;
            let response = self.http.request(request).await.map_err(|source| match source.is_connect() {
                true => error(Kind::Unreachable, "cannot connect").caused_by(source).never_sent(),
                false => error(Kind::Interrupted, "the connection broke").caused_by(source),
            })?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST_BODY).collect().await;
            let body = body.map_err(|source| {
                error(Kind::Interrupted, "the answer broke off or is larger than 32 MiB").caused_by(source)
            })?;
            let kind = match status.as_u16() {
                200..=299 => return Ok(body.to_bytes()),
                400 => Kind::Invalid,
                401 | 403 => Kind::Unauthorized,
                404 => Kind::NotFound,
                429 => Kind::Throttled,
                502..=504 => Kind::Unavailable,
                500..=599 => Kind::Server,
                _ => Kind::Protocol,
            };
            let reason = status.canonical_reason().unwrap_or("refused");
            Err(error(kind, reason).answered(status, None, None))
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(result) => {
                match &result {
                    Ok(_) => self.budget.served(),
                    Err(error) if error.kind() == Kind::Throttled => self.budget.slow_down(None),
                    Err(_) => {}
                }
                result
            }
            Err(_) => Err(error(Kind::Timeout, "no answer within 15 s")),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    containers: Box<RawValue>,
}
