//! The tables, in Markdown.

use std::fmt::Write as _;

use crate::audit;
use crate::churn::Measured;
use crate::data_centre;

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
            audit::per_pod(&run.create.requests, run.pods),
            audit::per_pod(&run.delete.requests, run.pods),
            data_centre::per_pod(&run.create.calls, run.pods),
            data_centre::per_pod(&run.delete.calls, run.pods),
        );
    }
    text
}
