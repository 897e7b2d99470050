//! Signals to a real process: the first drains, the second stops.

use super::running::{Running, verdict};
use super::{calm_plane, lease, make_counter, user};

#[tokio::test]
async fn the_first_signal_lets_work_end_and_gives_the_lease_away() {
    let plane = calm_plane().await;
    make_counter(&plane, "drains").await;
    let kubeconfig = user(&plane, "drains").await;
    let mut running = Running::candidate("one", "drains", &kubeconfig, &["--step=4s"]).await;
    running.until_says("working").await;
    running.signal("TERM").await;
    running.until_ready_says(500, "[-]shutdown failed: stopping").await;
    assert_eq!(running.get("/livez").await, (200, "ok".to_owned()));
    let (code, output) = running.ends().await;
    assert_eq!(code, 0, "{output}");
    let counted = ["get", "configmap", "drains", "--output=jsonpath={.data}"];
    let counted = plane.kubectl(&counted).await.unwrap();
    assert_eq!(counted, r#"{"number":"1","writer":"one"}"#, "the work under way was written, and none begun");
    assert_eq!(lease(&plane, "drains", ".spec.holderIdentity").await, "");
    assert_eq!(lease(&plane, "drains", ".spec.leaseDurationSeconds").await, "1");
}

#[tokio::test]
async fn the_second_signal_stops_at_once_and_leaves_the_lease_to_run_out() {
    let plane = calm_plane().await;
    make_counter(&plane, "stops").await;
    let kubeconfig = user(&plane, "stops").await;
    let mut running = Running::candidate("one", "stops", &kubeconfig, &["--step=1h"]).await;
    running.until_says("working").await;
    running.signal("TERM").await;
    running.until_says("asked to stop").await;
    running.signal("INT").await;
    let (code, output) = running.ends().await;
    assert_eq!(code, 1, "{output}");
    let last = verdict(&output);
    assert_eq!(last, "candidate: a second signal to stop came while 1 tasks were still ending", "{output}");
    assert_eq!(lease(&plane, "stops", ".spec.holderIdentity").await, "one", "it could still have written");
}
