//! Writes of the metrics controller that fail.

use std::time::Duration;

use cloud_controllers::controller::Kind;
use tokio::time::{Instant, sleep};
use triton_sim::faults::FaultPlan;

use crate::cluster::Cluster;

/// A call is repeated for a minute before it is given up.
const GIVEN_UP: Duration = Duration::from_secs(75);

/// A look that failed is followed by another one within seconds, and a call in which repeats are far apart.
const SOON: Duration = Duration::from_secs(40);

#[tokio::test(start_paused = true)]
async fn a_group_that_could_not_be_written_is_written_soon_after_cloudapi_does_it_again() {
    let mut cluster = Cluster::with(1, [Kind::Node, Kind::Metrics]).await;
    let id = cluster.machines[0].id;
    let group = |cluster: &Cluster| {
        let control = cluster.simulator.control();
        control.read(|world| world.machine_by_id(id).unwrap().tags.get("triton.cmon.groups").cloned())
    };
    let written = async |cluster: &Cluster, within: Duration| {
        let deadline = Instant::now() + within;
        while group(cluster).is_none() && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
        }
        group(cluster).is_some()
    };
    assert!(written(&cluster, SOON).await);

    // Another process finds it taken away, and cannot write it for a while.
    cluster.remove_tag(id, "triton.cmon.groups");
    let faults = ["requests.AddMachineTags.error_rate=1.0".to_owned()];
    cluster.set(FaultPlan::load(None, &faults).unwrap());
    cluster.restart().await;
    sleep(GIVEN_UP).await;
    assert!(group(&cluster).is_none());
    cluster.set(FaultPlan::default());
    assert!(written(&cluster, SOON).await);
}
