//! What both binaries measure of CloudAPI: their requests, and who waits for the request budget.

use runtime::exit::Fatal;
use runtime::metrics::{Metrics, MetricsError};
use triton::Client;
use triton::budget::{Budget, Priority};
use triton::client::ClientBuilder;

/// Seconds. CloudAPI answers reads in tens of milliseconds and throttles or times out in tens of seconds.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Makes the client of a process, whose requests and budget are metrics from then on. Sends nothing.
///
/// # Errors
///
/// Settings that no client can be made of, and metrics of these names that are there already, as a failure.
pub fn measured(builder: ClientBuilder, metrics: &Metrics) -> Result<Client, Fatal> {
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
