//! A number of pods is made and deleted again, by one virtual kubelet on a control plane of its own.

use std::time::Duration;

use anyhow::Result;
use suites::bench::audit::{self, Audit, Requests};
use suites::bench::data_centre::Calls;
use suites::bench::process::Usage;
use suites::bench::{client, percentile};
use suites::control_plane::{ControlPlane, Options};
use tokio::time::{Instant, sleep};

use crate::kubelet::{Kind, Kubelet, Programs};
use crate::load::{Pods, names};

/// A kubelet that does nothing for so long is stuck; as shipped, the first deletion takes a grace period.
const STUCK: Duration = Duration::from_secs(180);

/// Requests go on after the last pod was seen, above all those for events. After so long without one they are over.
const QUIET: Duration = Duration::from_secs(2);

/// Those of a kubelet that limits itself take minutes, which are not waited for.
const MOST_QUIET: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) pods: usize,
    pub(crate) create: Phase,
    pub(crate) delete: Phase,
    /// From creation to seen running: the median, and what 99 of 100 do not exceed.
    pub(crate) latency: [Duration; 2],
    /// Before the first pod.
    pub(crate) idle: Usage,
    /// When all run.
    pub(crate) full: Usage,
    /// At the end.
    pub(crate) end: Usage,
}

/// One half of the pods' lives.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) took: Duration,
    /// Processor time of the kubelet, in seconds.
    pub(crate) processor: f64,
    pub(crate) requests: Requests,
    pub(crate) calls: Calls,
}

/// Measures one kubelet with so many pods.
pub(crate) async fn measure(kind: Kind, programs: &Programs, pods: usize) -> Result<Measured> {
    let plane = plane(kind).await?;
    let lifted = ["--cloudapi-qps=100000", "--cloudapi-burst=100000"];
    let kubelet = Kubelet::start(kind, programs, &plane, &[], &lifted).await?;
    run(kind, kubelet, &plane, pods).await
}

/// A control plane that counts the requests of this kubelet.
pub(crate) async fn plane(kind: Kind) -> Result<ControlPlane> {
    ControlPlane::start(&Options {
        client_qps: 5000,
        audit_policy: Some(audit::policy(&[kind.user()])),
        ..Options::default()
    })
    .await
}

/// Makes and deletes the pods.
pub(crate) async fn run(
    kind: Kind,
    mut kubelet: Kubelet,
    plane: &ControlPlane,
    count: usize,
) -> Result<Measured> {
    let client = client(plane).await?;
    let pods = Pods::watch(&client).await?;
    let mut audit = Audit::of(plane);
    let names = names("bench", count);
    settle(&mut audit).await?;
    calls(&kubelet).await?;

    let idle = kubelet.usage()?;
    let begun = Instant::now();
    pods.create(&kubelet.template, &names).await?;
    pods.until(STUCK, |progress| progress.running >= count).await?;
    let took = begun.elapsed();
    let requests = settle(&mut audit).await?;
    let full = kubelet.usage()?;
    let processor = full.processor - idle.processor;
    let create = Phase { took, processor, requests, calls: calls(&kubelet).await? };

    let begun = Instant::now();
    pods.delete(&names).await?;
    pods.until(STUCK, |progress| progress.gone >= count).await?;
    let took = begun.elapsed();
    let requests = settle(&mut audit).await?;
    let end = kubelet.usage()?;
    let processor = end.processor - full.processor;
    let delete = Phase { took, processor, requests, calls: calls(&kubelet).await? };

    let lives = names.iter().filter_map(|name| pods.life(name));
    let mut latencies: Vec<Duration> = lives.filter_map(|life| Some(life.running? - life.created)).collect();
    let latency = [50, 99].map(|percent| percentile(&mut latencies, percent));
    Ok(Measured { kind, pods: count, create, delete, latency, idle, full, end })
}

/// Waits until the kubelet asks for nothing about pods any more; what it asked for.
pub(crate) async fn settle(audit: &mut Audit) -> Result<Requests> {
    let mut requests = audit.take()?;
    let deadline = Instant::now() + MOST_QUIET;
    loop {
        sleep(QUIET).await;
        let more = audit.take()?;
        let done = !more.keys().any(|what| what.contains("pods") || what.contains("events"));
        for (what, count) in more {
            *requests.entry(what).or_default() += count;
        }
        if done || Instant::now() > deadline {
            return Ok(requests);
        }
    }
}

async fn calls(kubelet: &Kubelet) -> Result<Calls> {
    match &kubelet.data_centre {
        Some(data_centre) => data_centre.take_calls().await,
        None => Ok(Calls::new()),
    }
}
