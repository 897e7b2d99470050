//! The CloudAPI client of this process, with its metrics.

use runtime::exit::Fatal;
use runtime::metrics::{Metrics, MetricsError};
use triton::Client;
use triton::budget::{Budget, Limits};
use triton::client::ClientBuilder;
use triton::config::Config;

/// Seconds. CloudAPI answers reads in tens of milliseconds and throttles or times out in tens of seconds.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Finds the key and makes the client. Sends nothing.
pub(super) async fn client(config: &Config, limits: Limits, metrics: &Metrics) -> Result<Client, Fatal> {
    let builder = Client::configured(config).await.map_err(Fatal::failure)?;
    let builder = builder.budget(Budget::new(limits));
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
