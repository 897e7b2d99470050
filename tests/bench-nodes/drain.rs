//! Nodes that are drained leave the Services.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use suites::bench::audit::Requests;
use suites::bench::data_centre::Calls;
use suites::bench::process::Usage;
use tokio::time::{Instant, sleep};
use triton::types::{TagValue, Tags};

use crate::cluster::Cluster;
use crate::initialise::leads;
use crate::manager::{Kind, Manager, Programs};
use crate::nodes::Nodes;
use crate::services::{Policy, TAG, cns_name, make, until};

/// A manager that does nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// What is late still counts.
const SETTLES: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) services: usize,
    pub(crate) drained: usize,
    /// From the first change of a Node until no drained one is in a Service.
    pub(crate) took: Duration,
    pub(crate) calls: Calls,
    pub(crate) requests: Requests,
    /// Processor time of it, in seconds.
    pub(crate) processor: f64,
    pub(crate) usage: Usage,
}

/// Drains so many of twice as many Nodes, all of which are in so many Services.
pub(crate) async fn measure(
    kind: Kind,
    programs: &Programs,
    services: usize,
    drained: usize,
) -> Result<Measured> {
    // The framework would take half an hour to put them in; ours does it itself.
    let tags = match kind {
        Kind::Triton => Tags::new(),
        Kind::Default | Kind::Tuned => {
            let names: Vec<String> = (0..services).map(cns_name).collect();
            Tags::from_iter([(TAG.to_owned(), TagValue::from(names.join(",")))])
        }
    };
    let cluster = Cluster::start(kind, programs, 2 * drained, tags).await?;
    let nodes = Nodes::watch(&cluster.client).await?;
    let mut manager = Manager::start(kind, programs, &cluster.plane, &cluster.data_centre).await?;
    leads(&cluster, &mut manager).await?;
    nodes.register(&cluster.machines).await?;
    nodes.until(&mut manager, cluster.machines.len(), STUCK).await?;
    // Pods are on those that stay.
    let (leaving, staying) = cluster.machines.split_at(drained);
    make(&cluster, services, Policy::Cluster, |number| {
        staying.iter().skip(number % drained).take(1).collect()
    })
    .await?;
    until(&cluster, &mut manager, STUCK, |entries| entries.iter().all(|count| *count == services)).await?;
    sleep(SETTLES).await;
    let mut audit = cluster.audit();
    audit.take()?;
    cluster.data_centre.take_calls().await?;
    let before = manager.usage()?;

    let begun = Instant::now();
    // The framework looks at the label, which `kubectl drain` does not set, and ours at either.
    let drain = json!({
        "metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": "true"}},
        "spec": {"unschedulable": true},
    });
    nodes.patch(leaving, &drain).await?;
    let gone = |entries: &[usize]| entries.iter().take(drained).all(|count| *count == 0);
    until(&cluster, &mut manager, STUCK, gone).await?;
    let took = begun.elapsed();
    sleep(SETTLES).await;
    let usage = manager.usage()?;
    Ok(Measured {
        kind,
        services,
        drained,
        took,
        calls: cluster.data_centre.take_calls().await?,
        requests: audit.take()?,
        processor: usage.processor - before.processor,
        usage,
    })
}
