//! Following the Secret.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use runtime::clients::{Clients, ClientsError, Priority};
use runtime::events::{EventRecorder, Happening, Severity};
use runtime::exit::{Fatal, one_line};
use runtime::health::{Finding, Health, Probe};
use runtime::watching::watch;
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use triton::Client;
use triton::auth::{AuthError, Authenticate, Replaceable};
use triton::client::ClientBuilder;
use triton::config::{CaSource, Config, ConfigError, KeySource};

use super::plan::{Step, step};
use super::secret::{Contents, SecretError, SecretName, read};

/// The first and the longest pause between attempts at new credentials. A key that was just added to the account may
/// not be known for some seconds (Triton reference 1.6).
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(20);

/// Makes settings of what a Secret says.
pub type Load = Arc<dyn Fn(&Contents) -> Result<Config, ConfigError> + Send + Sync>;

/// What a keeper needs.
pub struct Parts<'a> {
    /// Which Secret.
    pub name: SecretName,
    /// Makes settings of it.
    pub load: Load,
    /// Reads it.
    pub clients: &'a Clients,
    /// Tells what becomes of it.
    pub events: EventRecorder,
    /// Says that it is waited for.
    pub health: &'a Health,
}

/// Why what a Secret says cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// The Secret itself.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The settings in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no key.
    #[error("the key TRITON_KEY_MATERIAL is missing; it holds the private key")]
    NoKey,
    /// The key.
    #[error(transparent)]
    Key(#[from] AuthError),
    /// CloudAPI's word on it.
    #[error("CloudAPI does not answer requests that are signed with it")]
    Call(#[source] triton::Error),
    /// The TLS settings.
    #[error(transparent)]
    Tls(#[from] triton::client::TlsError),
    /// What cannot change while the process runs has changed.
    #[error("{} changed, which is taken up by a restart only", .0.join(", "))]
    Restart(Vec<&'static str>),
    /// There is no such Secret any more.
    #[error("it was deleted; the next start needs it")]
    Deleted,
}

/// Settings that can be used, with what signs by them.
#[derive(Debug, Clone)]
struct Loaded {
    config: Config,
    /// What signs now, and by later Secrets later.
    signer: Replaceable,
}

/// What is known of the Secret.
#[derive(Debug, Clone, Default)]
enum Seen {
    /// Nothing yet.
    #[default]
    Nothing,
    /// There is none.
    Missing,
    /// It could not be read.
    Unreadable(String),
    /// This.
    Present(Arc<Secret>),
}

/// Follows a Secret with credentials. It ends when dropped.
pub struct Keeper {
    name: SecretName,
    load: Load,
    seen: Receiver<Seen>,
    events: EventRecorder,
    waits: Arc<Mutex<Option<String>>>,
    watching: JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Begins to watch the Secret. `/readyz` fails until there is one that can be used. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ClientsError`]
    pub fn start(parts: Parts<'_>) -> Result<Self, ClientsError> {
        let Parts { name, load, clients, events, health } = parts;
        let secrets = Api::namespaced(clients.client("credentials", Priority::Normal)?, &name.namespace);
        let (tell, seen) = channel(Seen::default());
        let watching = tokio::spawn(follow(secrets, name.name.clone(), tell));
        let waits = Arc::new(Mutex::new(Some(format!("Secret {name} has not been read yet"))));
        let told = Arc::clone(&waits);
        health.add(Probe::Ready, "credentials", move || {
            match told.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                Some(why) => Finding::Failed(why),
                None => Finding::Ok,
            }
        });
        Ok(Self { name, load, seen, events, waits, watching })
    }

    /// Waits for a Secret that can be used, has `finish` make a client of it, and follows it for as long as the runtime
    /// lives. Also gives the settings that the client works by, which are others when the key has been replaced.
    ///
    /// # Errors
    ///
    /// Those of `finish`, and [`ConfigError`] as a failure.
    pub async fn connect(
        mut self,
        finish: impl FnOnce(ClientBuilder) -> Result<Client, Fatal>,
    ) -> Result<(Client, Receiver<Config>), Fatal> {
        let Loaded { config, signer } = self.first().await;
        let signs = Arc::new(signer.clone());
        let client = finish(Client::configured_with(&config, signs).map_err(Fatal::failure)?)?;
        let (configs, followed) = channel(config);
        tokio::spawn(self.run(configs, signer, client.clone()));
        Ok((client, followed))
    }

    /// Waits for a Secret that can be used, as far as that is known without a call.
    async fn first(&mut self) -> Loaded {
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let why = match seen {
                Seen::Nothing => None,
                Seen::Missing => {
                    Some("it is not there; make it with the sub-command credentials create".to_owned())
                }
                Seen::Unreadable(error) => Some(error),
                Seen::Present(secret) => match self.usable(&secret).await {
                    Ok((config, signer)) => {
                        self.say(None);
                        tracing::info!(secret = %self.name, "the credentials were read");
                        return Loaded { config, signer: Replaceable::new(signer) };
                    }
                    Err(error) => {
                        self.refuse(&error);
                        Some(one_line(&error))
                    }
                },
            };
            if let Some(why) = why {
                let why = format!("Secret {}: {why}", self.name);
                tracing::warn!("waiting for credentials: {why}");
                self.say(Some(why));
            }
            self.changed().await;
        }
    }

    /// Has `client`, which signs by `signer`, sign with another key when the Secret holds one that CloudAPI accepts, and
    /// says so to whoever follows the settings. One that it does not accept, and everything else that is wrong with a
    /// Secret, changes nothing and is told.
    async fn run(mut self, configs: Sender<Config>, signer: Replaceable, client: Client) {
        let mut pause = PAUSE.0;
        let mut told = None;
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let tried = match &seen {
                // Whatever is in use is not forgotten because a read fails; the watch goes on.
                Seen::Nothing | Seen::Unreadable(_) => Ok(None),
                Seen::Missing => Err(KeeperError::Deleted),
                Seen::Present(secret) => {
                    let used = configs.borrow().clone();
                    self.take_up(secret, &used, &signer, &client).await
                }
            };
            let again = match tried {
                Ok(next) => {
                    if let Some(next) = next {
                        configs.send_replace(next);
                        self.tell(
                            Severity::Normal,
                            "CredentialsReplaced",
                            "requests are signed with the new key".to_owned(),
                        );
                        tracing::info!(secret = %self.name, "requests are signed with the new key of the Secret");
                    }
                    (told, pause) = (None, PAUSE.0);
                    false
                }
                Err(error) => {
                    let text = one_line(&error);
                    if told.as_ref() != Some(&text) {
                        self.refuse(&error);
                    }
                    told = Some(text);
                    // A later answer may be another one; all else needs another Secret.
                    matches!(error, KeeperError::Call(_))
                }
            };
            if again {
                let _ = tokio::time::timeout(pause, self.changed()).await;
                pause = (pause * 2).min(PAUSE.1);
            } else {
                self.changed().await;
            }
        }
    }

    /// Looks at a Secret, and takes its key up when it is another one that CloudAPI accepts; gives its settings then.
    async fn take_up(
        &self,
        secret: &Secret,
        used: &Config,
        signer: &Replaceable,
        client: &Client,
    ) -> Result<Option<Config>, KeeperError> {
        let config = self.config(secret)?;
        match step(used, &config) {
            Step::Keep => return Ok(None),
            Step::Restart(what) => return Err(KeeperError::Restart(what)),
            Step::Sign => {}
        }
        let next: Arc<dyn Authenticate> = Arc::new(config.authenticator().await?);
        let attempt = Client::configured_with(&config, Arc::clone(&next))?
            .budget(client.budget().clone())
            .deadline(ATTEMPT)
            .build()?;
        attempt.get_account().await.map_err(KeeperError::Call)?;
        signer.replace(next);
        Ok(Some(config))
    }

    async fn usable(&self, secret: &Secret) -> Result<(Config, Arc<dyn Authenticate>), KeeperError> {
        let config = self.config(secret)?;
        let signer = Arc::new(config.authenticator().await?);
        // A bad authority is found now, not by the first call.
        config.tls.ca_certificates()?;
        Ok((config, signer))
    }

    fn config(&self, secret: &Secret) -> Result<Config, KeeperError> {
        let contents = read(secret)?;
        let mut config = (self.load)(&contents)?;
        if matches!(config.key, KeySource::Search { .. }) {
            return Err(KeeperError::NoKey);
        }
        if config.tls.ca.is_none() {
            config.tls.ca = contents.ca.map(CaSource::Pem);
        }
        Ok(config)
    }

    /// Waits for another sight of the Secret.
    async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn say(&self, why: Option<String>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn refuse(&self, error: &KeeperError) {
        let error = one_line(error);
        tracing::warn!(secret = %self.name, %error, "the Secret is not taken up");
        self.tell(Severity::Warning, "CredentialsRefused", format!("not taken up: {error}"));
    }

    fn tell(&self, severity: Severity, reason: &str, note: String) {
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            namespace: Some(self.name.namespace.clone()),
            name: Some(self.name.name.clone()),
            uid: match &*self.seen.borrow() {
                Seen::Present(secret) => secret.metadata.uid.clone(),
                _ => None,
            },
            ..ObjectReference::default()
        };
        let (reason, action) = (reason.to_owned(), "ReadCredentials".to_owned());
        self.events.record(Happening { regarding, severity, reason, action, note });
    }
}

/// Tells each sight of the Secret.
async fn follow(secrets: Api<Secret>, name: String, tell: Sender<Seen>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = Box::pin(watch(secrets, config, fastrand::Rng::new()));
    let mut listed = None;
    while let Some(event) = events.next().await {
        let seen = match event {
            Ok(Event::Init) => {
                listed = None;
                continue;
            }
            Ok(Event::InitApply(secret)) => {
                listed = Some(Arc::new(secret));
                continue;
            }
            Ok(Event::InitDone) => listed.take().map_or(Seen::Missing, Seen::Present),
            Ok(Event::Apply(secret)) => Seen::Present(Arc::new(secret)),
            Ok(Event::Delete(_)) => Seen::Missing,
            Err(error) => {
                let error = one_line(&error);
                tracing::warn!(secret = %name, %error, "the Secret with the credentials cannot be followed");
                Seen::Unreadable(error)
            }
        };
        tell.send_replace(seen);
    }
}
