//! The CloudAPI client of this process: by settings that are known at the start, or by a Secret that is followed.

use std::sync::Arc;

use jiff::Timestamp;
use provider::cloudapi_metrics::measured;
use provider::credentials::{Keeper, Load, Parts, SecretName};
use runtime::clients::{Clients, Priority};
use runtime::events::{EventRecorder, Reporter};
use runtime::exit::Fatal;
use runtime::health::Health;
use runtime::metrics::Metrics;
use tokio::sync::watch;
use triton::Client;
use triton::client::ClientBuilder;
use triton::config::{Config, ConfigError};

use crate::PROGRAM;
use crate::cloud_config::CloudConfig;

/// Where the credentials come from.
pub(super) enum Credentials {
    /// The cloud-config and the environment.
    Settings(Box<Config>),
    /// The cloud-config and a Secret.
    Secret(SecretName),
}

/// The file of `--cloud-config` and `--credentials-secret` contradict each other.
#[derive(Debug, thiserror::Error)]
#[error(
    "a profile in the file of --cloud-config and --credentials-secret cannot be used together; leave one out"
)]
pub(super) struct Contradiction;

/// The client, when there is one to be had: at once, or when the Secret is there.
pub(super) enum Connection {
    /// At once.
    Client(Box<ClientBuilder>, Box<Config>),
    /// When the Secret is there.
    Awaited(Box<Keeper>),
}

impl Connection {
    /// Prepares the client. Sends nothing to CloudAPI.
    pub(super) async fn prepare(
        credentials: Credentials,
        cloud: &Arc<CloudConfig>,
        clients: &Clients,
        health: &Health,
        identity: &str,
    ) -> Result<Self, Fatal> {
        let recorder = clients.client("credentials", Priority::Background).map_err(Fatal::failure)?;
        let reporter = Reporter { controller: PROGRAM.to_owned(), instance: identity.to_owned() };
        let events = EventRecorder::start(recorder, reporter, Timestamp::now);
        Self::with(credentials, cloud, clients, health, events).await
    }

    /// The same for who only looks, and tells nobody.
    pub(super) async fn look(
        credentials: Credentials,
        cloud: &Arc<CloudConfig>,
        clients: &Clients,
        health: &Health,
    ) -> Result<Self, Fatal> {
        Self::with(credentials, cloud, clients, health, EventRecorder::muted()).await
    }

    async fn with(
        credentials: Credentials,
        cloud: &Arc<CloudConfig>,
        clients: &Clients,
        health: &Health,
        events: EventRecorder,
    ) -> Result<Self, Fatal> {
        let name = match credentials {
            Credentials::Settings(config) => {
                let builder = Client::configured(&config).await.map_err(Fatal::failure)?;
                return Ok(Self::Client(Box::new(builder), config));
            }
            Credentials::Secret(name) => name,
        };
        let parts = Parts { name, load: load(cloud), clients, events, health };
        Ok(Self::Awaited(Box::new(Keeper::start(parts).map_err(Fatal::failure)?)))
    }

    /// The client, which is measured, and the settings that it works by. Waits for a Secret that can be used, and follows
    /// it from then on.
    pub(super) async fn client(self, metrics: &Metrics) -> Result<(Client, watch::Receiver<Config>), Fatal> {
        match self {
            // Nobody will send others.
            Self::Client(builder, config) => Ok((measured(*builder, metrics)?, watch::channel(*config).1)),
            Self::Awaited(keeper) => keeper.connect(|builder| measured(builder, metrics)).await,
        }
    }
}

/// What the cloud-config says goes before the Secret.
pub(super) fn load(cloud: &Arc<CloudConfig>) -> Load {
    let cloud = Arc::clone(cloud);
    Arc::new(move |contents| -> Result<Config, ConfigError> {
        Config::load(&cloud.environment(&contents.environment), None)
    })
}
