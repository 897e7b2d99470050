//! A virtual kubelet that starts with thousands of pods and instances.

use std::time::Duration;

use anyhow::Result;
use suites::bench::client;
use tokio::time::{Instant, sleep};

use crate::churn::plane;
use crate::kubelet::{Kind, Kubelet, Programs};
use crate::load::{Pods, names};

/// Nothing takes so long.
const STUCK: Duration = Duration::from_secs(180);

/// Makes so many pods, stops the kubelet in good order, makes one pod more and deletes one, and starts it again: how
/// long after the start of the process the one runs and the other is gone. Leader election is on, as it ships.
pub(crate) async fn measure(programs: &Programs, count: usize) -> Result<String> {
    let plane = plane(Kind::Triton).await?;
    let lifted = ["--cloudapi-qps=100000", "--cloudapi-burst=100000"];
    let mut kubelet = Kubelet::start(Kind::Triton, programs, &plane, &[], &lifted).await?;
    let client = client(&plane).await?;
    let pods = Pods::watch(&client).await?;
    let old = names("old", count);
    let begun = Instant::now();
    pods.create(&kubelet.template, &old).await?;
    pods.until(STUCK, |progress| progress.running >= count).await?;
    let made = begun.elapsed();
    sleep(Duration::from_secs(20)).await;
    let full = kubelet.usage()?;

    let new = names("new", 1);
    let template = kubelet.template.clone();
    let (mut kubelet, begun) = {
        // Both wait for the process that is about to start.
        let restarted = kubelet.restart_after(async || {
            pods.create(&template, &new).await?;
            pods.delete(&old[..1]).await
        });
        restarted.await?
    };
    pods.until(STUCK, |progress| progress.running > count).await?;
    let acts = begun.elapsed();
    pods.until(STUCK, |progress| progress.gone >= 1).await?;
    let deletes = begun.elapsed();
    sleep(Duration::from_secs(5)).await;
    let again = kubelet.usage()?;
    Ok(format!(
        "| {count} pods | |\n|---|---|\n| made in | {:.1} s |\n| memory then, and its peak | {:.0} MB, {:.0} MB |\n\
         | started again: a new pod runs after | {:.2} s |\n| started again: a deleted pod is gone after | {:.2} s |\n\
         | memory after the restart, and its peak | {:.0} MB, {:.0} MB |\n| CPU of the first 5 s and the start | {:.1} s |\n",
        made.as_secs_f64(),
        full.resident,
        full.peak,
        acts.as_secs_f64(),
        deletes.as_secs_f64(),
        again.resident,
        again.peak,
        again.processor,
    ))
}
