//! The gate itself, and what keeps its authorities up to date.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::authentication::{Tokens, bearer};
use super::authorities::ClientAuthorities;
use super::authorization::{ReviewError, Rights};
use super::{Access, User};
use crate::clients::{Clients, ClientsError, Priority};
use crate::exit::one_line;
use crate::serving::Peer;
use crate::watching::watch;

/// Kubernetes' own servers keep the API server's answers for so long, and wait so long for one (Kubernetes reference 2.2).
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// Where the API server says which authority signs client certificates.
const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
const CLIENT_CA: &str = "client-ca-file";

/// How often a file of authorities is read again, as in Kubernetes' own servers.
const REREAD: Duration = Duration::from_secs(60);

/// Administrators, who may do everything; not even asked for, as in Kubernetes' own servers.
const MASTERS: &str = "system:masters";

/// A path that is open to all, as `--authorization-always-allow-paths` has them: with a `*` at its end, all paths that
/// begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedPath {
    start: String,
    whole: bool,
}

impl FromStr for AllowedPath {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim().trim_start_matches('/');
        Ok(match text.strip_suffix('*') {
            Some(start) => Self { start: start.to_owned(), whole: false },
            None => Self { start: text.to_owned(), whole: true },
        })
    }
}

impl AllowedPath {
    fn covers(&self, path: &str) -> bool {
        let path = path.strip_prefix('/').unwrap_or(path);
        if self.whole { path == self.start } else { path.starts_with(&self.start) }
    }
}

/// What a gate does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Paths that are open to all. Nobody is asked who they are there, so they are answered without an API server.
    pub always_allow: Vec<AllowedPath>,
    /// A file with the authorities of client certificates, which is read again as it is renewed.
    pub client_ca_file: Option<PathBuf>,
    /// Without such a file, takes the cluster's authority from the ConfigMap
    /// `kube-system/extension-apiserver-authentication`.
    pub look_up_authority: bool,
    /// How long the API server's word on a token is kept.
    pub token_ttl: Duration,
    /// How long a permission is kept.
    pub allowed_ttl: Duration,
    /// How long a refusal is kept.
    pub denied_ttl: Duration,
}

impl Default for Settings {
    /// Those of Kubernetes' own servers.
    fn default() -> Self {
        let path = |path: &str| AllowedPath { start: path.to_owned(), whole: true };
        Self {
            always_allow: ["healthz", "readyz", "livez"].map(path).into(),
            client_ca_file: None,
            look_up_authority: true,
            token_ttl: TEN_SECONDS,
            allowed_ttl: TEN_SECONDS,
            denied_ttl: TEN_SECONDS,
        }
    }
}

/// A gate cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// There is no client of the API server.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The file of authorities cannot be read.
    #[error("cannot read {file}; check --client-ca-file")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file of authorities holds none.
    #[error("{file} cannot be used; check --client-ca-file")]
    Authorities {
        /// The file.
        file: String,
        /// Why.
        source: super::AuthoritiesError,
    },
}

/// Somebody is not let in. Prints as what they are told, which says nothing that they do not know.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// They did not say who they are.
    #[error("say who you are: by a client certificate of the cluster, or by a bearer token")]
    Anonymous,
    /// What they showed is not accepted.
    #[error("{0}")]
    Credentials(String),
    /// They may not.
    #[error("forbidden: User {user:?} cannot {access}")]
    Forbidden {
        /// Who.
        user: String,
        /// What.
        access: Access,
    },
    /// The API server could not be asked.
    #[error("the API server cannot be asked now; the log of this process says why")]
    Unanswered,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Anonymous | Self::Credentials(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::Unanswered => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Says who may ask what. Cloning gives another handle on the same; what keeps it up to date ends with the last.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    always_allow: Vec<AllowedPath>,
    authorities: ClientAuthorities,
    tokens: Tokens,
    rights: Rights,
    _tasks: Mutex<JoinSet<()>>,
}

impl Gate {
    /// Sets up a gate that asks `authentication` who somebody is, and `authorization` what they may do. Sends nothing
    /// before somebody asks, but for the look at the cluster's authority.
    ///
    /// Both should have a limit of their own: whoever knocks must not use up what controllers live on.
    ///
    /// # Errors
    ///
    /// [`GateError`]
    pub fn start(
        settings: Settings,
        authentication: &Clients,
        authorization: &Clients,
    ) -> Result<Self, GateError> {
        let reviewer = authentication.client("authentication", Priority::Normal)?;
        let tokens = Tokens::new(reviewer.clone(), settings.token_ttl, TEN_SECONDS);
        let judge = authorization.client("authorization", Priority::Normal)?;
        let rights = Rights::new(judge, settings.allowed_ttl, settings.denied_ttl, TEN_SECONDS);
        let authorities = ClientAuthorities::default();
        let mut tasks = JoinSet::new();
        match settings.client_ca_file {
            Some(file) => {
                read(&file, &authorities)?;
                tasks.spawn(follow_file(file, authorities.clone()));
            }
            None if settings.look_up_authority => {
                let maps = Api::namespaced(reviewer, NAMESPACE);
                tasks.spawn(follow_cluster(maps, authorities.clone()));
            }
            None => {}
        }
        let always_allow = settings.always_allow;
        Ok(Self(Arc::new(Inner { always_allow, authorities, tokens, rights, _tasks: Mutex::new(tasks) })))
    }

    /// Whether a path is open to all.
    pub fn is_open(&self, path: &str) -> bool {
        self.0.always_allow.iter().any(|allowed| allowed.covers(path))
    }

    /// Who asks.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: they do not say, or are not believed.
    pub async fn authenticate(&self, peer: &Peer, headers: &HeaderMap) -> Result<User, Refusal> {
        let refused = match self.0.authorities.user(&peer.certificates) {
            Ok(Some(user)) => return Ok(user),
            Ok(None) => Refusal::Anonymous,
            // A token may still say who it is.
            Err(error) => Refusal::Credentials(one_line(&error)),
        };
        let Some(token) = bearer(headers) else { return Err(refused) };
        match self.0.tokens.user(token).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(Refusal::Credentials("the API server does not accept the token".to_owned())),
            Err(error) => Err(unanswered(&error)),
        }
    }

    /// Whether they may.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: they may not, or it is not known.
    pub async fn authorize(&self, user: &User, access: &Access) -> Result<(), Refusal> {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Ok(());
        }
        match self.0.rights.allow(user, access).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Forbidden { user: user.name.clone(), access: access.clone() }),
            Err(error) => Err(unanswered(&error)),
        }
    }
}

fn unanswered(error: &ReviewError) -> Refusal {
    tracing::warn!(error = %one_line(error), "a request is refused because the API server cannot be asked");
    Refusal::Unanswered
}

fn read(file: &Path, authorities: &ClientAuthorities) -> Result<(), GateError> {
    let name = || file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|source| GateError::Read { file: name(), source })?;
    authorities.replace(&text).map_err(|source| GateError::Authorities { file: name(), source })
}

async fn follow_file(file: PathBuf, authorities: ClientAuthorities) {
    loop {
        tokio::time::sleep(REREAD).await;
        let (file, authorities) = (file.clone(), authorities.clone());
        match tokio::task::spawn_blocking(move || read(&file, &authorities)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %one_line(&error), "the old authorities of client certificates are kept");
            }
            Err(_) => return,
        }
    }
}

/// Takes the cluster's authority over whenever it changes. Without the right to read it, client certificates say
/// nothing, and tokens still do.
async fn follow_cluster(maps: Api<ConfigMap>, authorities: ClientAuthorities) {
    let config = watcher::Config::default().fields(&format!("metadata.name={CONFIG_MAP}"));
    let mut events = Box::pin(watch(maps, config, fastrand::Rng::new()));
    while let Some(event) = events.next().await {
        let map = match event {
            Ok(Event::Apply(map) | Event::InitApply(map)) => map,
            // One that is deleted is made again by the API server; the authority does not change by that.
            Ok(_) => continue,
            Err(error) => {
                let error = one_line(&error);
                tracing::warn!(%error, "the authority of client certificates cannot be read from {CONFIG_MAP}");
                continue;
            }
        };
        let Some(text) = map.data.and_then(|mut data| data.remove(CLIENT_CA)) else { continue };
        match authorities.replace(&text) {
            Ok(()) => tracing::debug!("the authority of client certificates is known"),
            Err(error) => {
                let error = one_line(&error);
                tracing::warn!(%error, "{CLIENT_CA} in {NAMESPACE}/{CONFIG_MAP} cannot be used; the old one is kept");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_open_as_in_the_framework() {
        for (allowed, path, open) in [
            ("/healthz", "/healthz", true),
            ("healthz", "/healthz", true),
            ("/healthz", "/healthz/ping", false),
            ("/healthz", "/healthzz", false),
            ("/healthz/*", "/healthz/ping", true),
            ("/healthz/*", "/healthz", false),
            ("*", "/metrics", true),
            ("/", "/metrics", false),
            ("", "/metrics", false),
        ] {
            let allowed: AllowedPath = allowed.parse().unwrap();
            assert_eq!(allowed.covers(path), open, "{allowed:?} {path}");
        }
    }
}
