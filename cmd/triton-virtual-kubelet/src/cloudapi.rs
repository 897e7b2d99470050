//! The CloudAPI client of this process, with its metrics.

use std::sync::Arc;

use provider::cloudapi_metrics::measured;
use provider::credentials::{Keeper, Load, Parts};
use runtime::clients::Clients;
use runtime::events::EventRecorder;
use runtime::exit::Fatal;
use runtime::health::Health;
use runtime::metrics::Metrics;
use triton::Client;
use triton::budget::{Budget, Limits};
use triton::client::ClientBuilder;
use triton::config::{Config, ENVIRONMENT_PROFILE};
use virtual_kubelet::settings::CloudApi;

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
    let load: Load = Arc::new(|contents| Config::load(&contents.environment, Some(ENVIRONMENT_PROFILE)));
    let keeper = Keeper::start(Parts { name, load, clients, events: events.clone(), health });
    let (client, _) = keeper.map_err(Fatal::failure)?.connect(finish).await?;
    Ok(client)
}
