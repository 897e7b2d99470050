//! Clients of the Kubernetes API: one per controller, each with its own name, connections and bounds.
//!
//! kube's own client waits for ever for a server that does not answer, has no limit on requests, and repeats what
//! was refused with 429, 503 or 504 up to fifteen times out of sight. Clients made here have a deadline on every
//! call, one rate limit per process with priorities, a pace for watches that end as soon as they begin, and, for
//! those who write as a leader, a claim that is checked when the write is sent: see [`Bounds`]. They repeat nothing:
//! a repeat hides how old a write is and takes no turn at the limit. Controllers and watches try again with a
//! back-off of their own.

mod api_error;
mod body;
mod bounds;
mod limit;
mod pace;
mod source;

use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderName, HeaderValue};
use kube::Config;
use kube::client::ClientBuilder;

pub use self::api_error::ApiError;
pub use self::body::BoundedBody;
pub use self::bounds::{Bounded, Bounds};
pub use self::limit::{Limiter, Limits, Priority, Usage};
pub use self::source::Source;
use crate::leader::{Claim, ElectionClient};

/// A call with all its waiting takes at most this long. The API server itself gives up after 60 s; half
/// of that is longer than any healthy call and short enough for a controller to notice.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Why clients could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientsError {
    /// The kubeconfig file cannot be read or makes no sense.
    #[error("cannot use kubeconfig {file}; check --kubeconfig and the file's context, cluster and user")]
    Kubeconfig {
        /// The file as named.
        file: String,
        /// What is wrong.
        source: Box<kube::config::KubeconfigError>,
    },
    /// There is no service account to use.
    #[error("no --kubeconfig is given, and this is no pod with a service account")]
    InCluster {
        /// What is missing.
        source: kube::config::InClusterError,
    },
    /// The certificate authority is empty, so that no server could be trusted.
    #[error(
        "the certificate authority of {server} holds no certificate in PEM; correct it in the kubeconfig"
    )]
    Authority {
        /// The API server's address.
        server: String,
    },
    /// TLS or authentication could not be set up.
    #[error("cannot make a client for {server}; check its certificate authority and credentials")]
    Build {
        /// The API server's address.
        server: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// The name cannot be sent as a user agent.
    #[error("\"{name}\" cannot name a client: use visible ASCII characters")]
    Name {
        /// The name.
        name: String,
    },
}

/// Makes the clients of one process. All share one [`Limiter`].
#[derive(Clone)]
pub struct Clients {
    config: Config,
    /// What all of them send through, instead of connections of their own.
    through: Option<kube::Client>,
    program: String,
    limiter: Limiter,
}

impl Clients {
    /// Clients for the API server that `source` names. `program` is `name/version`, for the user agent.
    ///
    /// # Errors
    ///
    /// [`ClientsError`]; nothing is sent yet.
    pub async fn new(source: &Source, program: &str, limits: Limits) -> Result<Self, ClientsError> {
        let config = source.load().await?;
        // kube takes this for an authority that signed nothing, and every connection then fails for a reason of its own.
        if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
            return Err(ClientsError::Authority { server: config.cluster_url.to_string() });
        }
        Ok(Self::from_config(config, program, limits))
    }

    /// Clients for a configuration of one's own. Its retry setting is replaced.
    pub fn from_config(config: Config, program: &str, limits: Limits) -> Self {
        // kube takes the process's provider. It is set already when this is not the first call.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { config, through: None, program: program.to_owned(), limiter: Limiter::new(limits) }
    }

    /// Clients that all send through this one: bounds, turns and claims are as ever, connections and names are not.
    /// For an API server in the same process, such as one in memory under a paused clock.
    pub fn through(client: kube::Client, program: &str, limits: Limits) -> Self {
        let nowhere = Config::new(http::Uri::from_static("http://in-process"));
        Self { through: Some(client), ..Self::from_config(nowhere, program, limits) }
    }

    /// The same, on behalf of another user: for tools, which look at what a process may do. Needs the right to impersonate.
    ///
    /// # Errors
    ///
    /// [`ClientsError::Name`]: the name cannot be sent.
    pub fn acting_as(mut self, user: &str) -> Result<Self, ClientsError> {
        let name = HeaderValue::try_from(user).map_err(|_| ClientsError::Name { name: user.to_owned() })?;
        self.config.headers.push((HeaderName::from_static("impersonate-user"), name));
        Ok(self)
    }

    /// The process's limiter, for metrics.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The API server's address, for messages.
    pub fn server(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// A client for reading, and for writes that need no leadership. `name` is the controller's; it goes into the
    /// user agent and should also be its field manager. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ClientsError::Name`], [`ClientsError::Build`]
    pub fn client(&self, name: &str, priority: Priority) -> Result<kube::Client, ClientsError> {
        self.build(name, Some(priority), None)
    }

    /// Like [`Clients::client`], for a leader: whatever is not a read is refused when the claim is not valid at
    /// the moment of sending, and cut off when it lapses.
    ///
    /// # Errors
    ///
    /// [`ClientsError::Name`], [`ClientsError::Build`]
    pub fn leading(
        &self,
        name: &str,
        priority: Priority,
        claim: &Claim,
    ) -> Result<kube::Client, ClientsError> {
        self.build(name, Some(priority), Some(claim.clone()))
    }

    /// The client for leader election: no repeats, and no limit, because renewing a lease must not wait for others.
    ///
    /// # Errors
    ///
    /// [`ClientsError::Name`], [`ClientsError::Build`]
    pub fn election(&self) -> Result<ElectionClient, ClientsError> {
        Ok(ElectionClient::from_client_without_retries(self.build("leader-election", None, None)?))
    }

    fn build(
        &self,
        name: &str,
        priority: Option<Priority>,
        claim: Option<Claim>,
    ) -> Result<kube::Client, ClientsError> {
        let mut config = self.config.clone();
        config.default_retry = false;
        let agent = format!("{} {name}", self.program);
        let agent = HeaderValue::try_from(agent)
            .ok()
            .filter(|_| !name.is_empty())
            .ok_or_else(|| ClientsError::Name { name: name.to_owned() })?;
        config.headers.push((USER_AGENT, agent));
        let client = match &self.through {
            Some(client) => client.clone(),
            None => ClientBuilder::try_from(config)
                .map_err(|source| ClientsError::Build { server: self.server(), source: Box::new(source) })?
                .build(),
        };
        let Some(priority) = priority else { return Ok(client) };
        let bounds = Bounds { deadline: DEADLINE, turn: Some((self.limiter.clone(), priority)), claim };
        Ok(bounds.around(&client))
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let server = self.config.cluster_url.to_string();
        f.debug_struct("Clients")
            .field("server", &server)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
