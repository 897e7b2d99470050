//! Services of type LoadBalancer, and which machines are in CNS for them.

use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, Machine, for_each};
use crate::manager::Manager;

/// The tag that says which services of CNS an instance is in.
pub(crate) const TAG: &str = "triton.cns.services";

/// How often the tags are looked at.
const POLL: Duration = Duration::from_millis(250);

/// Which nodes serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// All of them.
    Cluster,
    /// Those that have endpoints.
    Local,
}

/// The name of a Service.
pub(crate) fn name(number: usize) -> String {
    format!("bench-{number:05}")
}

/// What CNS calls it.
pub(crate) fn cns_name(number: usize) -> String {
    format!("{}-default", name(number))
}

/// Makes so many Services, each with an endpoint on each of the machines that `hosts` names for it.
pub(crate) async fn make<'a>(
    cluster: &'a Cluster,
    count: usize,
    policy: Policy,
    hosts: impl Fn(usize) -> Vec<&'a Machine>,
) -> Result<()> {
    let services: Api<Service> = Api::default_namespaced(cluster.client.clone());
    let slices: Api<EndpointSlice> = Api::default_namespaced(cluster.client.clone());
    let params = PostParams::default();
    for_each(count, async |number| {
        let (slice, service) = (slice(number, &hosts(number)), service(number, policy));
        slices.create(&params, &serde_json::from_value(slice)?).await?;
        services.create(&params, &serde_json::from_value(service)?).await?;
        Ok(())
    })
    .await
    .map(drop)
}

fn service(number: usize, policy: Policy) -> Value {
    let policy = match policy {
        Policy::Cluster => "Cluster",
        Policy::Local => "Local",
    };
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name(number)},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": policy, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

fn slice(number: usize, hosts: &[&Machine]) -> Value {
    let endpoints: Vec<Value> = hosts
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let address = format!("10.{}.{}.{}", 200 + number / 250, number % 250, index + 1);
            json!({"addresses": [address], "nodeName": host.name, "conditions": {"ready": true, "serving": true}})
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name(number), "labels": {"kubernetes.io/service-name": name(number)}},
        "endpoints": endpoints, "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    })
}

/// In how many services of CNS each machine is.
pub(crate) async fn entries(cluster: &Cluster) -> Result<Vec<usize>> {
    let tags = cluster.data_centre.tags().await?;
    let of = |machine: &Machine| {
        let value = tags.get(&machine.id.to_string()).and_then(|tags| tags.get(TAG)).and_then(Value::as_str);
        value.map_or(0, |value| value.split(',').filter(|entry| !entry.trim().is_empty()).count())
    };
    Ok(cluster.machines.iter().map(of).collect())
}

/// Waits until the entries are as they should be; they must change at least once in `bound`.
pub(crate) async fn until(
    cluster: &Cluster,
    manager: &mut Manager,
    bound: Duration,
    so: impl Fn(&[usize]) -> bool,
) -> Result<()> {
    let (mut before, mut changed) = (Vec::new(), Instant::now());
    loop {
        let now = entries(cluster).await?;
        if so(&now) {
            return Ok(());
        }
        manager.must_live()?;
        if now != before {
            (before, changed) = (now, Instant::now());
        } else if changed.elapsed() > bound {
            bail!("the tags stay as they are, {} entries:\n{}", now.iter().sum::<usize>(), manager.said());
        }
        sleep(POLL).await;
    }
}
