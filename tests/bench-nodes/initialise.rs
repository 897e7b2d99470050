//! A number of Nodes is registered, initialised by one cloud controller manager, and left alone.

use std::time::Duration;

use anyhow::{Context as _, Result};
use suites::bench::audit::{Audit, Requests};
use suites::bench::data_centre::Calls;
use suites::bench::percentile;
use suites::bench::process::Usage;
use tokio::time::{Instant, sleep};
use triton::types::Tags;

use crate::cluster::Cluster;
use crate::manager::{Kind, Manager, Programs};
use crate::nodes::Nodes;

/// A manager that does nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// What is late belongs to the start: events, above all.
const SETTLES: Duration = Duration::from_secs(15);

/// A manager that takes longer to lead has failed.
const LEADS_WITHIN: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) nodes: usize,
    /// How long it took to register all of them.
    pub(crate) registered: Duration,
    /// From registration to seen without the taint: the median, and what 99 of 100 do not exceed.
    pub(crate) latency: [Duration; 2],
    /// From the first registration until the last one was seen without the taint.
    pub(crate) last: Duration,
    /// Before the first Node.
    pub(crate) idle: Usage,
    /// When all have been initialised.
    pub(crate) full: Usage,
    /// At the end.
    pub(crate) end: Usage,
    /// From the first registration until nothing is late any more.
    pub(crate) start: Phase,
    /// A time in which nothing happens.
    pub(crate) steady: Phase,
}

/// What was asked for in some time.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) took: Duration,
    pub(crate) requests: Requests,
    pub(crate) calls: Calls,
}

/// Measures one manager with so many Nodes.
pub(crate) async fn measure(
    kind: Kind,
    programs: &Programs,
    count: usize,
    steady: Duration,
) -> Result<Measured> {
    let cluster = Cluster::start(kind, programs, count, Tags::new()).await?;
    let nodes = Nodes::watch(&cluster.client).await?;
    let mut manager = Manager::start(kind, programs, &cluster.plane, &cluster.data_centre).await?;
    leads(&cluster, &mut manager).await?;
    let mut audit = cluster.audit();
    let idle = manager.usage()?;
    audit.take()?;
    cluster.data_centre.take_calls().await?;

    let begun = Instant::now();
    nodes.register(&cluster.machines).await?;
    let registered = begun.elapsed();
    nodes.until(&mut manager, count, STUCK).await?;
    let last = nodes.last().context("no Node was initialised")? - begun;
    let full = manager.usage()?;
    sleep(SETTLES).await;
    let phase = async |begun: Instant, audit: &mut Audit| -> Result<Phase> {
        let calls = cluster.data_centre.take_calls().await?;
        Ok(Phase { took: begun.elapsed(), requests: audit.take()?, calls })
    };
    let start = phase(begun, &mut audit).await?;
    let begun = Instant::now();
    sleep(steady).await;
    let steady = phase(begun, &mut audit).await?;
    let end = manager.usage()?;
    let mut latencies = nodes.latencies();
    let latency = [50, 99].map(|percent| percentile(&mut latencies, percent));
    Ok(Measured { kind, nodes: count, registered, latency, last, idle, full, end, start, steady })
}

/// Waits until the manager leads, and has read what is there.
pub(crate) async fn leads(cluster: &Cluster, manager: &mut Manager) -> Result<()> {
    let deadline = Instant::now() + LEADS_WITHIN;
    let lease = [
        "get",
        "lease",
        "cloud-controller-manager",
        "--namespace=kube-system",
        "--ignore-not-found",
        "--output=jsonpath={.spec.holderIdentity}",
    ];
    while cluster.plane.kubectl(&lease).await?.is_empty() {
        manager.must_live()?;
        anyhow::ensure!(Instant::now() < deadline, "it does not lead:\n{}", manager.said());
        sleep(Duration::from_millis(100)).await;
    }
    sleep(SETTLES).await;
    Ok(())
}
