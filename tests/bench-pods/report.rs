//! The tables, in Markdown.

use std::fmt::Write as _;

use suites::bench::audit::Requests;
use suites::bench::data_centre::Calls;

use crate::churn::Measured;

/// How long everything takes, and what it costs the machine.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| kubelet | pods | all running in | p50 / p99 | all gone in | CPU s create + delete | MB idle → full → peak | MB per 1,000 pods |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for run in measured {
        let thousands = f64::from(u32::try_from(run.pods).unwrap_or(u32::MAX)) / 1000.0;
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} s | {:.2} / {:.2} s | {:.1} s | {:.2} + {:.2} | {:.0} → {:.0} → {:.0} | {:.1} |",
            run.kind.title(),
            run.pods,
            run.create.took.as_secs_f64(),
            run.latency[0].as_secs_f64(),
            run.latency[1].as_secs_f64(),
            run.delete.took.as_secs_f64(),
            run.create.processor,
            run.delete.processor,
            run.idle.resident,
            run.full.resident,
            run.end.peak,
            (run.end.peak - run.idle.resident) / thousands,
        );
    }
    text
}

/// What is asked of the API server and of CloudAPI per pod.
pub(crate) fn requests(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| kubelet | pods | API server, per pod made | API server, per pod deleted | CloudAPI, per pod made | per pod deleted |\n\
         |---|---|---|---|---|---|\n",
    );
    for run in measured {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            run.kind.title(),
            run.pods,
            requests_per_pod(&run.create.requests, run.pods),
            requests_per_pod(&run.delete.requests, run.pods),
            calls_per_pod(&run.create.calls, run.pods),
            calls_per_pod(&run.delete.calls, run.pods),
        );
    }
    text
}

/// The requests about pods and their events, per pod, most first.
fn requests_per_pod(requests: &Requests, pods: usize) -> String {
    let pods = u32::try_from(pods).unwrap_or(u32::MAX);
    let about =
        |what: &&String| what.ends_with(" pods") || what.contains(" pods/") || what.ends_with(" events");
    let mut shown: Vec<(f64, &String)> = requests
        .iter()
        .filter(|(what, _)| about(what))
        .map(|(what, count)| (f64::from(*count) / f64::from(pods), what))
        .filter(|(each, _)| *each >= 0.01)
        .collect();
    shown.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let shown: Vec<String> = shown.into_iter().map(|(each, what)| format!("{each:.2} {what}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// Calls per pod, most first.
pub(crate) fn calls_per_pod(calls: &Calls, pods: usize) -> String {
    if calls.is_empty() {
        return "none".to_owned();
    }
    let mut counted: Vec<(&String, u64)> = calls.iter().map(|(name, count)| (name, *count)).collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: u64 = counted.iter().map(|(_, count)| count).sum();
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    let each = |count: u64| count as f64 / pods as f64;
    let shown: Vec<String> =
        counted.iter().map(|(name, count)| format!("{:.3} {name}", each(*count))).collect();
    format!("{:.3} ({})", each(total), shown.join(", "))
}
