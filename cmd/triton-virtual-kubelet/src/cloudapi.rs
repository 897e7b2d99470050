//! The CloudAPI client of this process, with its metrics.

use std::sync::Arc;

use provider::credentials::{Keeper, Load};
use runtime::exit::Fatal;
use runtime::metrics::{Metrics, MetricsError};
use triton::Client;
use triton::client::ClientBuilder;
use triton::config::{Config, ENVIRONMENT_PROFILE};

/// Seconds. CloudAPI answers reads in tens of milliseconds and throttles or times out in tens of seconds.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Finds the key and makes the client. Sends nothing.
pub(super) async fn client(config: &Config, metrics: &Metrics) -> Result<Client, Fatal> {
    finish(Client::configured(config).await.map_err(Fatal::failure)?, metrics)
}

/// Waits for a Secret that can be used, and makes a client that follows it.
pub(super) async fn followed(keeper: Keeper, metrics: &Metrics) -> Result<Client, Fatal> {
    keeper.connect(|builder| finish(builder, metrics)).await
}

/// How a Secret is read.
pub(super) fn load() -> Load {
    Arc::new(|contents| Config::load(&contents.environment, Some(ENVIRONMENT_PROFILE)))
}

fn finish(builder: ClientBuilder, metrics: &Metrics) -> Result<Client, Fatal> {
    counted(builder, metrics).map_err(Fatal::failure)?.build().map_err(Fatal::failure)
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
