//! How long it takes from a change of an instance until the API server has the pod's new status.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use suites::bench::{client, percentile};
use tokio::time::{Instant, sleep};
use triton::types::{ListInstances, TagValue};

use crate::churn::plane;
use crate::kubelet::{Kind, Kubelet, Programs};
use crate::load::{Pods, names};

/// Nothing takes so long.
const STUCK: Duration = Duration::from_secs(120);

/// The pause between two changes: a stream of them, not a heap.
const PACE: Duration = Duration::from_millis(20);

/// Stops so many instances of as many pods, one after another, behind the kubelet's back. The time is from before the
/// request to CloudAPI until the pod is seen not ready.
pub(crate) async fn measure(programs: &Programs, count: usize) -> Result<String> {
    let plane = plane(Kind::Triton).await?;
    let lifted = ["--cloudapi-qps=100000", "--cloudapi-burst=100000"];
    let kubelet = Kubelet::start(Kind::Triton, programs, &plane, &[], &lifted).await?;
    let data_centre = kubelet.data_centre.as_ref().context("no data centre")?;
    let client = client(&plane).await?;
    let pods = Pods::watch(&client).await?;
    let names = names("bench", count);
    pods.create(&kubelet.template, &names).await?;
    pods.until(STUCK, |progress| progress.running >= count).await?;

    let instances = data_centre.account.list_all_instances(&ListInstances::default()).await?.items;
    let of_pods: HashMap<&str, _> = instances
        .iter()
        .filter_map(|instance| Some((instance.tags.get("k8s.pod").and_then(TagValue::as_str)?, instance.id)))
        .collect();
    // The events about the start are over.
    sleep(Duration::from_secs(3)).await;
    let mut begun = Vec::new();
    for name in &names {
        let id = of_pods.get(name.as_str()).with_context(|| format!("{name} has no instance"))?;
        begun.push((name, Instant::now()));
        data_centre.account.stop_instance(*id).await?;
        sleep(PACE).await;
    }
    pods.until(STUCK, |progress| progress.changed >= count).await?;
    let took = begun.iter().filter_map(|(name, begun)| Some(pods.life(name)?.changed? - *begun));
    let mut took: Vec<Duration> = took.collect();
    let [median, most] = [50, 99].map(|percent| percentile(&mut took, percent).as_secs_f64() * 1000.0);
    let longest = percentile(&mut took, 100).as_secs_f64() * 1000.0;
    Ok(format!(
        "| {count} instances stopped, to the pod's status | p50 | p99 | longest |\n|---|---|---|---|\n| | {median:.0} ms | {most:.0} ms | {longest:.0} ms |\n"
    ))
}
