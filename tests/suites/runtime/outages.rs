//! An API server that freezes, is restarted, and loses its etcd: what processes say meanwhile, who leads afterwards,
//! and that nobody writes out of turn.

use std::path::Path;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use runtime::clients::{Clients, Limits, Priority, Source};
use runtime::watching::Caches;
use suites::control_plane::{ControlPlane, Identity};

use super::running::{Running, verdict};
use super::{lease, make_counter, options, permit, until, user};

/// A leader and its standby, with times of their own.
struct Pair<'a> {
    lease: &'static str,
    kubeconfig: &'a Path,
    flags: &'static [&'static str],
    leader: Running,
    standby: Running,
    births: u32,
}

/// Loses its lease soon.
const SHORT: &[&str] = &[
    "--leader-elect-lease-duration=9s",
    "--leader-elect-renew-deadline=6s",
    "--leader-elect-retry-period=1s",
];

/// Outlasts all that happens here.
const LONG: &[&str] = &["--leader-elect-lease-duration=90s", "--leader-elect-renew-deadline=80s"];

impl<'a> Pair<'a> {
    async fn start(lease: &'static str, kubeconfig: &'a Path, flags: &'static [&'static str]) -> Self {
        let leader = Running::candidate("0", lease, kubeconfig, flags).await;
        leader.until_ready_says(200, "ok").await;
        let standby = Running::candidate("1", lease, kubeconfig, flags).await;
        standby.until_ready_says(200, "standby").await;
        Self { lease, kubeconfig, flags, leader, standby, births: 1 }
    }

    /// Waits for the leader's end, which is not asked for, and puts a new candidate in its place, as the kubelet does.
    async fn leader_is_lost(&mut self) {
        let (code, output) = self.leader.ends().await;
        assert_eq!(code, 1, "{output}");
        let line = verdict(&output);
        assert!(line.starts_with(&format!("candidate: lost lease default/{}: ", self.lease)), "{output}");
        self.births += 1;
        let name = self.births.to_string();
        let next = Running::candidate(&name, self.lease, self.kubeconfig, self.flags).await;
        self.leader = std::mem::replace(&mut self.standby, next);
    }

    /// Both have an API server again: one leads, and the other stands by.
    async fn is_well(&mut self) {
        let (one, two) = (&self.leader, &self.standby);
        until("one leads and the other stands by", async || {
            let (one, two) = (one.get("/readyz").await, two.get("/readyz").await);
            one.0 == 200 && two.0 == 200 && (one.1 == "ok") != (two.1 == "ok")
        })
        .await;
        if self.standby.get("/readyz").await.1 == "ok" {
            std::mem::swap(&mut self.leader, &mut self.standby);
        }
    }
}

/// Who counted what, in the order in which the API server took it.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<Vec<(String, u64)>>>);

impl Counted {
    /// Follows a counter as an onlooker.
    async fn follow(plane: &ControlPlane, counter: &str) -> (Self, Caches) {
        let file = plane.kubeconfig(&Identity::Admin).await.unwrap();
        let source = Source::from_flag(Some(file));
        let clients = Clients::new(&source, "onlooker/1", Limits::default()).await.unwrap();
        let client = clients.client("onlooker", Priority::Normal).unwrap();
        let api: Api<ConfigMap> = Api::namespaced(client, "default");
        let config = kube::runtime::watcher::Config::default().fields(&format!("metadata.name={counter}"));
        let (caches, counted) = (Caches::new(), Self::default());
        let seen = counted.clone();
        caches.reflect("counter", api, config, fastrand::Rng::new(), move |event| {
            use kube::runtime::watcher::Event::{Apply, InitApply};
            let (Apply(object) | InitApply(object)) = event else { return };
            let Some(data) = &object.data else { return };
            let count = (data["writer"].clone(), data["number"].parse().unwrap());
            let mut counted = seen.0.lock().unwrap();
            // A list shows again what was there before.
            if counted.last() != Some(&count) {
                counted.push(count);
            }
        });
        (counted, caches)
    }

    async fn until_counted_by(&self, writer: &str) {
        let has = || self.0.lock().unwrap().iter().any(|(by, _)| by == writer);
        until(&format!("{writer} counts"), async || has()).await;
    }
}

#[tokio::test]
async fn readyz_tells_the_truth_while_the_api_server_is_frozen_restarted_and_without_etcd() {
    let mut plane = ControlPlane::start(&options()).await.unwrap();
    permit(&plane).await;
    make_counter(&plane, "short").await;
    make_counter(&plane, "long").await;
    let kubeconfig = user(&plane, "outages").await;
    let (counted, _caches) = Counted::follow(&plane, "short").await;
    let (mut short, mut long) =
        tokio::join!(Pair::start("short", &kubeconfig, SHORT), Pair::start("long", &kubeconfig, LONG));
    counted.until_counted_by("0").await;

    // Frozen: connections stand, and nobody answers.
    plane.freeze_apiserver(true).unwrap();
    short.standby.until_ready_says(500, "did not answer").await;
    short.leader_is_lost().await;
    short.standby.until_ready_says(500, "did not answer").await;
    assert_eq!(long.leader.get("/readyz").await, (200, "ok".to_owned()), "its claim is still valid");
    plane.freeze_apiserver(false).unwrap();
    short.is_well().await;

    // Restarted: connections break, and are refused for a while.
    plane.stop_apiserver();
    short.standby.until_ready_says(500, "cannot read lease").await;
    plane.start_apiserver().await.unwrap();
    if short.leader.has_ended() {
        short.leader_is_lost().await;
    }
    short.is_well().await;

    // Without etcd: answered, but with faults.
    plane.stop_etcd();
    short.standby.until_ready_says(500, "lease default/short").await;
    short.leader_is_lost().await;
    short.standby.until_ready_says(500, "lease default/short").await;
    assert_eq!(short.standby.get("/livez").await, (200, "ok".to_owned()));
    plane.start_etcd().await.unwrap();
    short.is_well().await;

    // Who has time until then does not lose the lease to any of it.
    let renewed = lease(&plane, "long", ".spec.renewTime").await;
    until("the long lease is renewed", async || lease(&plane, "long", ".spec.renewTime").await != renewed)
        .await;
    assert!(!long.leader.has_ended(), "{}", long.leader.output());
    assert_eq!(lease(&plane, "long", ".spec.holderIdentity").await, "0");
    assert_eq!(lease(&plane, "long", ".spec.leaseTransitions").await, "0");
    long.is_well().await;

    // Nobody wrote after another had begun to.
    let last = lease(&plane, "short", ".spec.holderIdentity").await;
    counted.until_counted_by(&last).await;
    let counted = counted.0.lock().unwrap().clone();
    let mut terms: Vec<&str> = Vec::new();
    for (writer, _) in &counted {
        if terms.last() != Some(&writer.as_str()) {
            assert!(!terms.contains(&writer.as_str()), "{writer} wrote again after another: {counted:?}");
            terms.push(writer);
        }
    }
    assert!(terms.len() >= 3, "{terms:?}");
}
