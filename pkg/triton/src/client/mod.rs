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
use http::Uri;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub(crate) use self::call::Call;
pub use self::connect::{Connect, Stream};
pub(crate) use self::connect::{Connector, Network};

pub use self::found::Found;
pub use self::instances::{Accepted, Deletion};
pub use self::nics::AddedNic;
pub use self::tls::{ClientIdentity, Tls, TlsError};
pub(crate) use self::transport::Reply;
use crate::auth::Authenticate;
use crate::budget::{Budget, Limits, Priority};
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
    observer: Option<Observer>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("origin", &self.shared.origin)
            .field("account_path", &self.shared.account_path)
            .field("authenticator", &self.shared.authenticator)
            .finish_non_exhaustive()
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL is not usable.
    #[error(
        "the CloudAPI URL {url:?} is not usable: {reason}; give one like https://cloudapi.dc1.example.com"
    )]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The TLS settings are not usable.
    #[error("the TLS settings for CloudAPI are not usable")]
    Tls(#[source] TlsError),
}

/// Settings of a [`Client`].
pub struct ClientBuilder {
    url: String,
    account: String,
    roles: Vec<String>,
    authenticator: Arc<dyn Authenticate>,
    tls: Tls,
    budget: Option<Budget>,
    deadline: Duration,
    connect: Option<Arc<dyn Connect>>,
    observer: Option<Observer>,
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("url", &self.url)
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
    pub fn tls(mut self, tls: Tls) -> Self {
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
    /// [`BuildError`] when the URL or the TLS settings are not usable.
    pub fn build(self) -> Result<Client, BuildError> {
        let (origin, prefix) = origin(&self.url)?;
        let connect = match self.connect {
            Some(connect) => connect,
            None => Arc::new(Network::new(self.tls.client_config().map_err(BuildError::Tls)?)),
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(Connector(connect));
        let shared = Shared {
            http,
            origin,
            account_path: format!("{prefix}/{}", call::account_segment(&self.account)),
            roles: self.roles.join(","),
            authenticator: self.authenticator,
            budget: self.budget.unwrap_or_else(|| Budget::new(Limits::default())),
            observer: self.observer,
        };
        Ok(Client { shared: Arc::new(shared), priority: None, deadline: self.deadline })
    }
}

impl Client {
    /// Starts a client for `account` at the CloudAPI of `url`. `account` is the login in the path of every
    /// request: the account itself, or the one that is acted for.
    pub fn builder(
        url: impl Into<String>,
        account: impl Into<String>,
        authenticator: Arc<dyn Authenticate>,
    ) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            account: account.into(),
            roles: Vec::new(),
            authenticator,
            tls: Tls::default(),
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

/// Splits the URL into `scheme://authority` and a path prefix without its last slash.
fn origin(url: &str) -> Result<(String, String), BuildError> {
    let refuse = |reason| BuildError::Url { url: without_user_info(url), reason };
    let uri: Uri = url.trim().parse().map_err(|_| refuse("it is not a URL"))?;
    let scheme = match uri.scheme_str() {
        Some(scheme @ ("http" | "https")) => scheme,
        Some(_) => return Err(refuse("its scheme is neither https nor http")),
        None => return Err(refuse("it has no scheme")),
    };
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| refuse("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refuse("it has a user in it; requests are signed with a key"));
    }
    if uri.query().is_some() {
        return Err(refuse("it has a query"));
    }
    Ok((format!("{scheme}://{authority}"), uri.path().trim_end_matches('/').to_owned()))
}

/// What may be shown of a URL that should not have had a password in it.
fn without_user_info(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_or_refused_with_the_reason() {
        let good = [
            ("https://cloudapi.dc1.example.com", "https://cloudapi.dc1.example.com", ""),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", ""),
            (" https://[::1]:443/sdc/ ", "https://[::1]:443", "/sdc"),
        ];
        for (url, expected_origin, expected_prefix) in good {
            let (origin, prefix) = origin(url).unwrap();
            assert_eq!((origin.as_str(), prefix.as_str()), (expected_origin, expected_prefix), "{url}");
        }
        let bad = [
            ("cloudapi.example.com", "scheme"),
            ("ftp://x", "scheme"),
            ("https://", "URL"),
            ("https://a?b=c", "query"),
            ("https://user:hunter2@example.com", "user"),
            ("", "URL"),
        ];
        for (url, reason) in bad {
            let error = origin(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
