//! The tables, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use suites::bench::audit::Requests;

use crate::drain;
use crate::initialise::Measured;

/// How long it takes until Nodes are initialised, and what it costs the machine.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| manager | nodes | registered in | p50 / p99 | last initialised after | MB idle → initialised → end, peak | \
         CPU s until initialised + until the end |\n|---|---|---|---|---|---|---|\n",
    );
    for run in measured {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} s | {:.2} / {:.2} s | {:.1} s | {:.0} → {:.0} → {:.0}, {:.0} | {:.2} + {:.2} |",
            run.kind.title(),
            run.nodes,
            run.registered.as_secs_f64(),
            run.latency[0].as_secs_f64(),
            run.latency[1].as_secs_f64(),
            run.last.as_secs_f64(),
            run.idle.resident,
            run.full.resident,
            run.end.resident,
            run.end.peak,
            run.full.processor - run.idle.processor,
            run.end.processor - run.full.processor,
        );
    }
    text
}

/// What is asked of CloudAPI and of the API server.
pub(crate) fn requests(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| manager | nodes | CloudAPI, start | CloudAPI, steady, a minute | API server, start | API server, steady, a minute |\n\
         |---|---|---|---|---|---|\n",
    );
    for run in measured {
        let (start, steady) = (&run.start, &run.steady);
        let _ = writeln!(
            text,
            "| {} | {} | in {:.0} s: {} | {:.1} ({}) | {} | {:.1} |",
            run.kind.title(),
            run.nodes,
            start.took.as_secs_f64(),
            each(&start.calls),
            a_minute(total(&steady.calls), steady.took),
            each(&steady.calls),
            each(&start.requests),
            a_minute(total(&steady.requests), steady.took),
        );
    }
    text
}

/// What it costs to drain Nodes.
pub(crate) fn drains(measured: &[drain::Measured]) -> String {
    let mut text = String::from(
        "| manager | drained | Services | out of all after | CloudAPI | API server | CPU s | MB |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for run in measured {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} s | {} | {} | {:.2} | {:.0} |",
            run.kind.title(),
            run.drained,
            run.services,
            run.took.as_secs_f64(),
            each(&run.calls),
            each(&run.requests),
            run.processor,
            run.usage.resident,
        );
    }
    text
}

/// The requests that write, but for those that renew the lease.
pub(crate) fn writes(requests: &Requests) -> Requests {
    let is_write = |what: &&String| {
        let (verb, what) = what.split_once(' ').unwrap_or_default();
        !matches!(verb, "get" | "list" | "watch") && what != "leases"
    };
    let writes = requests.iter().filter(|(what, _)| is_write(what));
    writes.map(|(what, count)| (what.clone(), *count)).collect()
}

/// Each with its count, most first.
pub(crate) fn each<C: Copy + Ord + std::fmt::Display>(counted: &BTreeMap<String, C>) -> String {
    let mut counted: Vec<(&String, C)> = counted.iter().map(|(what, count)| (what, *count)).collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> = counted.into_iter().map(|(what, count)| format!("{count} {what}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn total<C: Copy + Into<u64>>(counted: &BTreeMap<String, C>) -> u64 {
    counted.values().map(|count| (*count).into()).sum()
}

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn a_minute(count: u64, took: Duration) -> f64 {
    count as f64 * 60.0 / took.as_secs_f64()
}
