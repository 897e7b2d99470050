//! Many pods come and go while everything goes wrong at once, by a seed.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::{Instant, sleep};
use triton_sim::Settings;
use triton_sim::cloudapi::{Operation, ThrottleLimits};
use triton_sim::faults::{FaultPlan, FeedFaults, InstanceFaults, Rate, RequestFaults, Target};

use super::call::{Call, Server};
use super::cluster::{Cluster, Seen, until};
use super::exact::{is_exact, never_failed};
use super::fault::{Fault, Judge};
use super::process::Victim;
use super::virtual_node::{VirtualNode, data_center};

/// So many pods live in CI. `TRITON_CHAOS_LIVES` says otherwise.
const LIVES: usize = 80;

/// The port of the first Deployment's pods; each Deployment has one of its own, and so a firewall rule.
const FIRST_PORT: u32 = 8000;

/// So many Deployments scale up and down.
const DEPLOYMENTS: u32 = 4;

/// While so many pods are on their way to life or to their end, no more are set on it: they are to live.
const ON_THEIR_WAY: usize = 16;

/// All is as it should be within this time once nothing goes wrong any more. It takes some ten seconds; the list of rules
/// and that of instances are read every five minutes only, and must not be what mends things.
const SETTLES_WITHIN: Duration = Duration::from_secs(100);

/// An orphan goes soon: pods are deleted by force while no process looks.
const FLAGS: [&str; 3] = ["--leader-elect=false", "--firewall-grace=1s", "--orphan-grace=5s"];

/// Lets calls to Kubernetes go wrong by chance; CloudAPI has its own faults.
struct Dice {
    victim: Victim,
    rng: Mutex<Rng>,
    sound: AtomicBool,
    hits: AtomicU32,
}

impl Judge for Dice {
    fn judge(&self, call: &Call) -> Option<Fault> {
        if call.server == Server::CloudApi || self.sound.load(Ordering::Relaxed) {
            return None;
        }
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        if rng.f64() >= FAULTS {
            return None;
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        let mut faults = Fault::all_of(call);
        // When it is killed the script says.
        faults.retain(|fault| !matches!(fault, Fault::KillBefore | Fault::KillAfter));
        rng.choice(faults)
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.victim.kill())
    }
}

/// The share of calls that go wrong.
const FAULTS: f64 = 0.2;

/// Everything that goes wrong in the data centre.
fn trouble(seed: u64) -> FaultPlan {
    let rate = |rate| Rate::new(rate).unwrap();
    let part = Some(rate(FAULTS / 5.0));
    let requests = RequestFaults {
        error_rate: part,
        throttle_rate: part,
        unavailable_rate: part,
        torn_rate: part,
        missing_row_rate: part,
        // Of those that fail, every one has been done all the same: that is the worse half.
        applied: Some(true),
        jitter_ms: Some(50),
        ..RequestFaults::default()
    };
    let feed = FeedFaults {
        lose_rate: rate(0.05),
        duplicate_rate: rate(0.05),
        delay_rate: rate(0.1),
        delay_ms: 500,
        cut_rate: rate(0.02),
    };
    let instances = InstanceFaults { provision_failure_rate: rate(0.02), ..InstanceFaults::default() };
    // A rule that a list does not show is looked for with the next list, in five minutes.
    let whole = RequestFaults { missing_row_rate: Some(Rate::NEVER), ..RequestFaults::default() };
    let whole = (Target::Operation(Operation::ListFirewallRules), whole);
    FaultPlan {
        seed: Some(seed),
        requests: [(Target::All, requests), whole].into(),
        feed,
        instances,
        ..FaultPlan::default()
    }
}

struct Chaos {
    node: VirtualNode,
    victim: Victim,
    rng: Rng,
    /// The names of bare pods that are not deleted yet.
    bare: Vec<String>,
    made: usize,
}

impl Chaos {
    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.node.cluster.admin.clone(), &self.node.name)
    }

    fn seen(&self) -> Vec<Seen> {
        self.node.cluster.seen_in(&self.node.name)
    }

    fn pods(&self) -> Vec<Pod> {
        self.node.pods_now()
    }

    /// How many pods do not run, or not any more.
    fn on_their_way(&self) -> usize {
        let runs =
            |pod: &Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
        self.pods().iter().filter(|pod| !runs(pod) || pod.metadata.deletion_timestamp.is_some()).count()
    }

    async fn make_deployments(&self) {
        for n in 0..DEPLOYMENTS {
            let name = format!("web-{n}");
            let deployment = json!({
                "metadata": {"name": name},
                "spec": {
                    "replicas": 1, "selector": {"matchLabels": {"app": name}},
                    "template": {
                        "metadata": {"labels": {"app": name}, "annotations": {"fwenabled": "true"}},
                        "spec": {
                            "nodeName": self.node.name, "terminationGracePeriodSeconds": 1,
                            "containers": [{
                                "name": "main", "image": "base-64-lts", "ports": [{"containerPort": FIRST_PORT + n}],
                            }],
                        },
                    },
                },
            });
            let deployment = serde_json::from_value(deployment).unwrap();
            self.deployments().create(&PostParams::default(), &deployment).await.unwrap();
        }
    }

    async fn scale(&self, n: u32, replicas: u32) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments().patch(&format!("web-{n}"), &PatchParams::default(), &patch).await.unwrap();
    }

    async fn delete(&self, name: &str, params: &DeleteParams) {
        match self.node.pods().delete(name, params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            deleted => drop(deleted.unwrap()),
        }
    }

    /// Does one thing that users, or bad luck, do.
    async fn act(&mut self) {
        match self.rng.u32(0..16) {
            0..6 => {
                let (n, replicas) = (self.rng.u32(0..DEPLOYMENTS), self.rng.u32(0..5));
                self.scale(n, replicas).await;
            }
            6..11 => {
                self.made += 1;
                let name = format!("bare-{}", self.made);
                let spec = json!({"terminationGracePeriodSeconds": self.rng.u32(0..3)});
                self.node.make_pod(&name, json!({}), json!({}), spec).await.unwrap();
                self.bare.push(name);
            }
            11..15 if !self.bare.is_empty() => {
                let name = self.bare.swap_remove(self.rng.usize(0..self.bare.len()));
                let force = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
                let params = if self.rng.bool() { force } else { DeleteParams::default() };
                self.delete(&name, &params).await;
            }
            15 => {
                if let Some(pod) = self.rng.choice(self.pods()) {
                    let name = pod.metadata.name.unwrap_or_default();
                    self.bare.retain(|bare| *bare != name);
                    self.delete(&name, &DeleteParams::default()).await;
                }
            }
            _ => {}
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// A fifth of all calls go wrong, the changefeed loses events and is cut, instances fail, the process is killed; and when
/// that is over there is exactly what there should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_chaos_there_is_exactly_what_there_should_be() {
    let seed = number("TRITON_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let lives = number("TRITON_CHAOS_LIVES").map_or(LIVES, |lives| usize::try_from(lives).unwrap());
    eprintln!("TRITON_CHAOS_SEED={seed} TRITON_CHAOS_LIVES={lives}");
    let begun = Instant::now();
    let cluster = Cluster::start(&["chaos".to_owned()]).await.unwrap();
    let victim = Victim::new();
    let dice = Arc::new(Dice {
        victim: victim.clone(),
        rng: Mutex::new(Rng::with_seed(seed)),
        sound: AtomicBool::new(false),
        hits: AtomicU32::new(0),
    });
    let mut settings = Settings { throttle: Some(ThrottleLimits::default()), ..data_center() };
    settings.world.seed = seed;
    settings.world.timing.provision_zone = Duration::from_millis(500);
    settings.world.timing.jitter = 1.0;
    settings.faults = trouble(seed);
    let mut node = VirtualNode::new(&cluster, "chaos", settings, dice.clone()).await.unwrap();
    node.start_kubelet(victim.clone(), &FLAGS).unwrap();
    let mut chaos = Chaos { node, victim, rng: Rng::with_seed(seed), bare: Vec::new(), made: 0 };
    chaos.make_deployments().await;

    while chaos.seen().len() < lives {
        let pause = Duration::from_millis(chaos.rng.u64(50..250));
        sleep(pause).await;
        match chaos.rng.u32(0..30) {
            0 => chaos.victim.kill().await,
            1 => chaos.node.simulator.control().cut_feeds(),
            _ if chaos.on_their_way() < ON_THEIR_WAY => chaos.act().await,
            _ => {}
        }
    }
    let troubled = begun.elapsed();
    chaos.node.simulator.control().set_faults(FaultPlan::default()).unwrap();
    chaos.node.simulator.control().cut_feeds();
    dice.sound.store(true, Ordering::Relaxed);

    for n in 0..DEPLOYMENTS {
        chaos.scale(n, n).await;
    }
    let pods = chaos.bare.len() + usize::try_from((0..DEPLOYMENTS).sum::<u32>()).unwrap();
    let mut result = until(SETTLES_WITHIN, async || is_exact(&chaos.node, pods)).await;
    let settled = begun.elapsed() - troubled;
    if result.is_ok() {
        let all = (DeleteParams::default(), ListParams::default());
        chaos.deployments().delete_collection(&all.0, &all.1).await.unwrap();
        chaos.node.pods().delete_collection(&all.0, &all.1).await.unwrap();
        result = until(SETTLES_WITHIN, async || is_exact(&chaos.node, 0)).await;
    }
    let result = result.and_then(|()| never_failed(&chaos.node));
    let (kills, hits) = (chaos.victim.ended(), dice.hits.load(Ordering::Relaxed));
    let (lived, made) = (chaos.seen().len(), chaos.node.truth().len());
    eprintln!(
        "{lived} pods, {made} instances, {kills} kills, {hits} calls to Kubernetes and {} to CloudAPI; {troubled:.1?} of \
         trouble, {settled:.1?} to settle, {:.1?} in all",
        chaos.node.simulator.control().requests().read().total,
        begun.elapsed()
    );
    let left: Vec<_> = chaos.node.truth().into_iter().filter(|truth| truth.is_active).collect();
    let there = chaos.pods();
    let record = chaos.node.end().await;
    assert!(record.unasked.is_empty(), "processes ended by themselves: {:?}", record.unasked);
    if let Err(error) = result {
        panic!(
            "{error}\npods: {there:#?}\ninstances: {left:#?}\n{}",
            record.logs.join("\n--- the next process\n")
        );
    }
}
