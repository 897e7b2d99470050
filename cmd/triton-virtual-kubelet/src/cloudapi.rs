//! The CloudAPI client of this process, with its metrics.

use std::sync::Arc;
use std::time::Duration;

use provider::cloudapi_metrics::measured;
use provider::credentials::{Keeper, Load, Parts};
use runtime::clients::Clients;
use runtime::events::EventRecorder;
use runtime::exit::Fatal;
use runtime::health::Health;
use runtime::metrics::Metrics;
use tokio::time::timeout;
use triton::Client;
use triton::budget::{Budget, Limits};
use triton::client::ClientBuilder;
use triton::config::{Config, ENVIRONMENT_PROFILE};
use virtual_kubelet::settings::CloudApi;

/// A person waits for a Secret not longer than this.
const LOOKING: Duration = Duration::from_secs(20);

/// There are no credentials yet.
#[derive(Debug, thiserror::Error)]
#[error("the Secret of --credentials-secret cannot be used; the sub-command doctor says why")]
struct NoSecret;

/// Makes the client: sends nothing where the settings are known, and waits for a Secret that can be used where they
/// are in one, which the client follows from then on.
pub(super) async fn connect(
    cloudapi: CloudApi,
    limits: Limits,
    clients: &Clients,
    events: &EventRecorder,
    health: &Health,
    metrics: &Metrics,
) -> Result<Client, Fatal> {
    let finish = |builder: ClientBuilder| measured(builder.budget(Budget::new(limits)), metrics);
    let name = match cloudapi {
        CloudApi::Secret(name) => name,
        CloudApi::Settings(config) => {
            return finish(Client::configured(&config).await.map_err(Fatal::failure)?);
        }
    };
    let keeper = Keeper::start(Parts { name, load: load(), clients, events: events.clone(), health });
    let (client, _) = keeper.map_err(Fatal::failure)?.connect(finish).await?;
    Ok(client)
}

/// The client of who only looks, which has proved that CloudAPI accepts its key.
pub(super) async fn look(cloudapi: CloudApi, limits: Limits, clients: &Clients) -> Result<Client, Fatal> {
    let (events, health) = (EventRecorder::muted(), Health::new());
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let connecting = connect(cloudapi, limits, clients, &events, &health, &metrics);
    let client = timeout(LOOKING, connecting).await.map_err(|_| Fatal::unknown(NoSecret))??;
    client.get_datacenter_name().await.map_err(Fatal::unknown)?;
    Ok(client)
}

/// Makes settings of a Secret.
pub(super) fn load() -> Load {
    Arc::new(|contents| Config::load(&contents.environment, Some(ENVIRONMENT_PROFILE)))
}
