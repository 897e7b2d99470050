//! A cloud controller manager that starts with hundreds of Services.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;
use triton::types::Tags;

use crate::cluster::Cluster;
use crate::initialise::leads;
use crate::manager::{Kind, Manager, Programs};
use crate::nodes::Nodes;
use crate::report::{each, writes};
use crate::services::{Policy, make, until};

/// A manager that does nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// So many Nodes.
const NODES: usize = 100;

/// So many of them have endpoints of a Service.
const HOSTS: usize = 3;

/// What is late is over.
const SETTLES: Duration = Duration::from_secs(30);

/// For how long the new process is watched: longer than it takes to find that anything should be written.
const WATCHED: Duration = Duration::from_secs(60);

/// Makes so many Services, stops the manager in good order when all are in CNS, and starts it again: what it then asks
/// for, as a table.
pub(crate) async fn measure(programs: &Programs, services: usize) -> Result<String> {
    let kind = Kind::Triton;
    let cluster = Cluster::start(kind, programs, NODES, Tags::new()).await?;
    let nodes = Nodes::watch(&cluster.client).await?;
    let mut manager = Manager::start(kind, programs, &cluster.plane, &cluster.data_centre).await?;
    leads(&cluster, &mut manager).await?;
    nodes.register(&cluster.machines).await?;
    nodes.until(&mut manager, NODES, STUCK).await?;
    make(&cluster, services, Policy::Local, |number| {
        (0..HOSTS).filter_map(|host| cluster.machines.get((number + host * 7) % NODES)).collect()
    })
    .await?;
    let all = |entries: &[usize]| entries.iter().sum::<usize>() == services * HOSTS;
    until(&cluster, &mut manager, STUCK, all).await?;
    sleep(SETTLES).await;
    let full = manager.usage()?;
    let made = cluster.data_centre.take_calls().await?;

    let mut audit = cluster.audit();
    audit.take()?;
    manager.restart().await?;
    sleep(WATCHED).await;
    let (calls, requests) = (cluster.data_centre.take_calls().await?, audit.take()?);
    let again = manager.usage()?;
    Ok(format!(
        "| {services} Services on {NODES} nodes | |\n|---|---|\n| CloudAPI calls until all were in CNS | {} |\n\
         | memory then | {:.1} MB |\n| started again, CloudAPI calls in {} s | {} |\n\
         | started again, writes to the API server but those for its lease | {} |\n\
         | started again, all requests to it | {} |\n| started again, memory and CPU | {:.1} MB, {:.2} s |\n",
        each(&made),
        full.resident,
        WATCHED.as_secs(),
        each(&calls),
        each(&writes(&requests)),
        each(&requests),
        again.resident,
        again.processor,
    ))
}
