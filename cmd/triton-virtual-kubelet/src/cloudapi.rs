//! The CloudAPI client of this process, with its metrics.

use std::sync::Arc;
use std::time::Duration;

use provider::credentials::{Keeper, Load, Parts};
use runtime::clients::Clients;
use runtime::events::EventRecorder;
use runtime::exit::Fatal;
use runtime::health::Health;
use runtime::metrics::{Metrics, MetricsError};
use tokio::time::timeout;
use triton::Client;
use triton::budget::{Budget, Limits, Priority};
use triton::client::ClientBuilder;
use triton::config::{Config, ENVIRONMENT_PROFILE};
use virtual_kubelet::settings::CloudApi;

/// Seconds. CloudAPI answers reads in tens of milliseconds and throttles or times out in tens of seconds.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

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
    let finish = |builder: ClientBuilder| finish(builder.budget(Budget::new(limits)), metrics);
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

fn finish(builder: ClientBuilder, metrics: &Metrics) -> Result<Client, Fatal> {
    let client = counted(builder, metrics).map_err(Fatal::failure)?.build().map_err(Fatal::failure)?;
    watch_budget(client.budget(), metrics).map_err(Fatal::failure)?;
    Ok(client)
}

/// Tells who waits for the request budget, who was granted a request, and who was passed over meanwhile.
fn watch_budget(budget: &Budget, metrics: &Metrics) -> Result<(), MetricsError> {
    let priorities = Priority::ALL.map(Priority::as_str);
    let label = ("priority", priorities.as_slice());
    let (waiting, granted, passed) = (budget.clone(), budget.clone(), budget.clone());
    metrics.read_gauges(
        "triton_cloudapi_waiting_requests",
        "Requests that wait for the request budget of CloudAPI.",
        label,
        move || waiting.usage().waiting.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).to_vec(),
    )?;
    metrics.read_counters(
        "triton_cloudapi_granted_total",
        "Requests that were granted by the request budget of CloudAPI.",
        label,
        move || granted.usage().granted_to.to_vec(),
    )?;
    metrics.read_counters(
        "triton_cloudapi_passed_over_total",
        "Grants to less urgent requests while one of this priority waited: at most one grant in eight.",
        label,
        move || passed.usage().passed_over.to_vec(),
    )
}

fn counted(builder: ClientBuilder, metrics: &Metrics) -> Result<ClientBuilder, MetricsError> {
    let help = "Requests to CloudAPI by operation and outcome, repeats included.";
    let requests = metrics.counters("triton_cloudapi_requests_total", help, &["operation", "outcome"])?;
    let help = "How long CloudAPI takes to answer, in seconds.";
    let took = metrics.histograms("triton_cloudapi_request_seconds", help, &BUCKETS, &["operation"])?;
    Ok(builder.observer(move |outcome| {
        let result = outcome.error.map_or("success", triton::Kind::as_str);
        requests.with_label_values(&[outcome.operation, result]).inc();
        took.with_label_values(&[outcome.operation]).observe(outcome.took.as_secs_f64());
    }))
}
