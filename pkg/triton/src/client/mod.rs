//! The CloudAPI client.
//!
//! A [`Client`] is a cheap handle on one account at one datacenter: one connection pool, one
//! [request budget](crate::budget), one way to sign. Its methods are CloudAPI's operations, named after them
//! (reference 2.7), in one file per resource.
//!
//! Every call has a deadline (default [`DEFAULT_DEADLINE`]) that covers its whole life: the wait for the
//! budget, signing, and repeats with growing, jittered delays. What is harmless twice is repeated after any
//! failure of the way; a create only when it surely did not happen, see [`Error::may_have_taken_effect`].
//!
//! An instance that is destroyed is data, not an error: reads answer it with [`Found::Gone`].
//!
//! [`Error::may_have_taken_effect`]: crate::Error::may_have_taken_effect

// How an operation is written, in the file of its resource:
//
//     impl Client {
//         /// What it does, units, errors (reference 2.x).
//         pub async fn get_network(&self, id: NetworkId) -> Result<Network> {
//             let call = Call::get("GetNetwork", format!("network {id}")).path(["networks", &id.to_string()]);
//             self.send(call).await?.object()
//         }
//     }
//
// `Call` says whether a repeat is harmless and how urgent the call is; `send` does the rest.

mod account;
mod answer;
mod body;
mod call;
mod connect;
mod disks;
mod fabrics;
mod firewall_rules;
mod found;
mod images;
mod instances;
mod keys;
mod metadata;
mod migrations;
mod networks;
mod nics;
mod packages;
mod pages;
mod retry;
mod snapshots;
mod tags;
mod tls;
mod transport;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

pub(crate) use self::call::Call;
pub use self::connect::{Connect, Stream};
pub(crate) use self::connect::{Connector, Network};

pub use self::found::Found;
pub use self::instances::{Accepted, Deletion};
pub use self::nics::AddedNic;
pub use self::tls::{ClientIdentity, TlsError, TlsSettings};
pub(crate) use self::transport::Reply;
use crate::auth::Authenticate;
use crate::budget::{Budget, Limits, Priority};
use crate::config::{Config, ConfigError, Endpoint};
use crate::error::Kind;

/// The time that a call may take unless told otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// Idle connections are closed before CloudAPI's HAProxy does so after 55 s (reference 2.5), so that a
/// request does not meet a connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How an attempt of a call ended, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// CloudAPI's name of the operation.
    pub operation: &'static str,
    /// The kind of failure; `None` for a success.
    pub error: Option<Kind>,
    /// From the grant of the budget to the end of the answer.
    pub took: Duration,
}

type Observer = Arc<dyn Fn(&Outcome) + Send + Sync>;

/// A CloudAPI client for one account. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    priority: Option<Priority>,
    deadline: Duration,
}

struct Shared {
    http: legacy::Client<Connector, Full<Bytes>>,
    /// Scheme and authority, and a path prefix where the URL has one: `https://cloudapi.dc1.example.com`.
    origin: String,
    /// `/acme`, encoded, after the prefix of the URL.
    account_path: String,
    /// Comma list for `as-role`; empty for the user's default roles.
    roles: String,
    authenticator: Arc<dyn Authenticate>,
    budget: Budget,
    /// Places for calls that are under way at once.
    places: Semaphore,
    observer: Option<Observer>,
}

/// How many calls are under way at once. Each has a connection of its own, of some 40 kB, and a burst of a thousand would
/// open a thousand; with answers in 3 s, which is slow, this is the 10 calls a second that CloudAPI allows.
const AT_ONCE: usize = 32;

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("origin", &self.shared.origin)
            .field("account_path", &self.shared.account_path)
            .field("authenticator", &self.shared.authenticator)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Client`].
pub struct ClientBuilder {
    endpoint: Endpoint,
    account: String,
    roles: Vec<String>,
    authenticator: Arc<dyn Authenticate>,
    tls: TlsSettings,
    budget: Option<Budget>,
    deadline: Duration,
    connect: Option<Arc<dyn Connect>>,
    observer: Option<Observer>,
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Names the `as-role` roles that requests act in; without them the user's default roles are active.
    #[must_use]
    pub fn roles(mut self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the TLS settings; the default trusts the system's roots.
    #[must_use]
    pub fn tls(mut self, tls: TlsSettings) -> Self {
        self.tls = tls;
        self
    }

    /// Shares a request budget with other clients of the same account.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets the time that each call may take, waits and repeats included.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Replaces TCP and TLS by another way to reach the server.
    #[must_use]
    pub fn connect(mut self, connect: Arc<dyn Connect>) -> Self {
        self.connect = Some(connect);
        self
    }

    /// Is told how every attempt of every call ended. Called on the path of each request: keep it short.
    #[must_use]
    pub fn observer(mut self, observer: impl Fn(&Outcome) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Builds the client; sends nothing.
    ///
    /// # Errors
    /// [`TlsError`] when the TLS settings are not usable.
    pub fn build(self) -> Result<Client, TlsError> {
        let connect = match self.connect {
            Some(connect) => connect,
            None => Arc::new(Network::new(self.tls.client_config()?)),
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(Connector(connect));
        let shared = Shared {
            http,
            origin: format!("{}://{}", self.endpoint.scheme(), self.endpoint.authority()),
            account_path: format!("{}/{}", self.endpoint.base_path(), call::account_segment(&self.account)),
            roles: self.roles.join(","),
            authenticator: self.authenticator,
            budget: self.budget.unwrap_or_else(|| Budget::new(Limits::default())),
            places: Semaphore::new(AT_ONCE),
            observer: self.observer,
        };
        Ok(Client { shared: Arc::new(shared), priority: None, deadline: self.deadline })
    }
}

impl Client {
    /// Starts a client with everything that a configuration says: looks for the key and reads the CA.
    ///
    /// # Errors
    /// [`ConfigError`] when the key is not found or cannot be used, or the CA cannot be read.
    pub async fn configured(config: &Config) -> Result<ClientBuilder, ConfigError> {
        Self::configured_with(config, Arc::new(config.authenticator().await?))
    }

    /// Like [`Client::configured`], with requests signed by `authenticator` instead of the key that the configuration
    /// names: a [`Replaceable`](crate::auth::Replaceable) one, say.
    ///
    /// # Errors
    /// [`ConfigError`] when the CA cannot be read.
    pub fn configured_with(
        config: &Config,
        authenticator: Arc<dyn Authenticate>,
    ) -> Result<ClientBuilder, ConfigError> {
        let tls = TlsSettings {
            insecure: config.tls.insecure,
            ca: config.tls.ca_certificates()?,
            client_identity: None,
        };
        let builder = Self::builder(config.url.clone(), config.account_path(), authenticator);
        Ok(builder.roles(&config.roles).tls(tls))
    }

    /// Starts a client for `account` at a CloudAPI. `account` is the login in the path of every request: the
    /// account itself, or the one that is acted for.
    pub fn builder(
        endpoint: Endpoint,
        account: impl Into<String>,
        authenticator: Arc<dyn Authenticate>,
    ) -> ClientBuilder {
        ClientBuilder {
            endpoint,
            account: account.into(),
            roles: Vec::new(),
            authenticator,
            tls: TlsSettings::default(),
            budget: None,
            deadline: DEFAULT_DEADLINE,
            connect: None,
            observer: None,
        }
    }

    /// The same client whose calls all have this priority, whatever the operation's own is.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self.clone() }
    }

    /// The same client whose calls may take this long, waits and repeats included.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The request budget, for metrics.
    pub fn budget(&self) -> &Budget {
        &self.shared.budget
    }
}
