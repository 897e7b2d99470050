//! What pods cost at CloudAPI where it allows ten requests a second, as a data centre does.

use std::time::Duration;

use anyhow::{Context as _, Result};
use suites::bench::audit::Audit;
use suites::bench::client;
use suites::bench::data_centre::Calls;
use tokio::time::{Instant, sleep};

use crate::churn::{plane, settle};
use crate::kubelet::{Kind, Kubelet, Programs};
use crate::load::{Pods, names};
use crate::report::calls_per_pod;

/// CloudAPI's own default: so many requests at once, and so many a second.
const THROTTLE: &str = "--throttle=30:10";

/// A kubelet that does nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// How long nothing happens: the reflector's relist falls into it at most once.
const QUIET: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pods: usize,
    create: (Duration, Calls),
    steady: Calls,
    delete: (Duration, Calls),
}

/// Makes and deletes so many pods under the throttle.
pub(crate) async fn measure(programs: &Programs, count: usize) -> Result<Measured> {
    let plane = plane(Kind::Triton).await?;
    let kubelet = Kubelet::start(Kind::Triton, programs, &plane, &[THROTTLE], &[]).await?;
    let data_centre = kubelet.data_centre.as_ref().context("no data centre")?;
    let client = client(&plane).await?;
    let pods = Pods::watch(&client).await?;
    let mut audit = Audit::of(&plane);
    let names = names("bench", count);
    data_centre.take_calls().await?;

    let begun = Instant::now();
    pods.create(&kubelet.template, &names).await?;
    pods.until(STUCK, |progress| progress.running >= count).await?;
    let took = begun.elapsed();
    settle(&mut audit).await?;
    // What is read late belongs to the making, too.
    sleep(Duration::from_secs(20)).await;
    let create = (took, data_centre.take_calls().await?);
    sleep(QUIET).await;
    let steady = data_centre.take_calls().await?;

    let begun = Instant::now();
    pods.delete(&names).await?;
    pods.until(STUCK, |progress| progress.gone >= count).await?;
    let took = begun.elapsed();
    sleep(Duration::from_secs(20)).await;
    let delete = (took, data_centre.take_calls().await?);
    Ok(Measured { pods: count, create, steady, delete })
}

/// A table of it.
pub(crate) fn table(measured: &Measured) -> String {
    let pods = measured.pods;
    let line = |what: &str, took: Option<Duration>, calls: &Calls| {
        let took = took.map_or("-".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
        format!("| {what} | {took} | {} |\n", calls_per_pod(calls, pods))
    };
    let title = format!("| {pods} pods, 10 requests/s, burst 30 | time | calls per pod |\n|---|---|---|\n");
    let lines = [
        line("made", Some(measured.create.0), &measured.create.1),
        line("a quiet minute", None, &measured.steady),
        line("deleted", Some(measured.delete.0), &measured.delete.1),
    ];
    title + &lines.concat()
}
