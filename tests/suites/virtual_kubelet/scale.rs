//! Many pods on one virtual node, with as many requests to CloudAPI as an account is allowed: 10 a second, 30 at once.
//!
//! In what order things are done is told by the data centre's own records and by the counters of the kubelet's request
//! budget; nothing depends on how fast the machine is.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use suites::control_plane::Options;
use tokio::time::{Instant, sleep};
use triton::types::{CreateFabricNetwork, Routes};
use triton_sim::{Preset, Settings};

use super::stage::{NODE, Stage};

/// So many pods, unless this variable says another number. 1,000 take some fifteen minutes.
const PODS: (&str, usize) = ("TRITON_SCALE_PODS", 60);

/// A node for all of them.
const FILE: &str = "CPU = 100000\nMemory = \"100000Gi\"\nStorage = \"1000000Gi\"\nPods = 10000\n";

/// The node and network of every pod.
const PLACED: &str = "nodeSelector: {type: virtual-kubelet}
      tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
      terminationGracePeriodSeconds: 5";

fn deployment(replicas: usize, version: &str) -> String {
    format!(
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  progressDeadlineSeconds: 7200
  strategy: {{rollingUpdate: {{maxSurge: 25%, maxUnavailable: 25%}}}}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web, version: {version}}}, annotations: {{networks: wide}}}}
    spec:
      {PLACED}
      containers: [{{name: main, image: base-64-lts}}]
"
    )
}

fn pod(name: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}, version: none}}, annotations: {{networks: wide}}}}
spec:
      {PLACED}
      containers: [{{name: main, image: base-64-lts}}]
"
    )
}

/// What the data centre knows of the instances of one kind of pod.
#[derive(Debug, Default)]
struct Made {
    count: usize,
    alive: usize,
    last_created: Option<Timestamp>,
    first_destroyed: Option<Timestamp>,
    last_destroyed: Option<Timestamp>,
}

/// By the labels `app` and `version`; no request is spent on it.
fn made(stage: &Stage) -> BTreeMap<String, Made> {
    stage.simulator.control().read(|world| {
        let mut made: BTreeMap<String, Made> = BTreeMap::new();
        for machine in world.machines() {
            let tag = |key: &str| machine.tags.get(key).and_then(|value| value.as_str()).unwrap_or_default();
            let of_kind = made.entry(format!("{}/{}", tag("app"), tag("version"))).or_default();
            of_kind.count += 1;
            of_kind.alive += usize::from(machine.is_active());
            of_kind.last_created = of_kind.last_created.max(Some(machine.created));
            if let Some(at) = machine.destroyed {
                of_kind.first_destroyed = Some(of_kind.first_destroyed.map_or(at, |first| first.min(at)));
                of_kind.last_destroyed = of_kind.last_destroyed.max(Some(at));
            }
        }
        made
    })
}

/// A metric of the kubelet by its label `priority`.
async fn by_priority(stage: &Stage, name: &str) -> BTreeMap<String, u64> {
    let metrics = stage.kubelets[0].get("/metrics").await.unwrap();
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("{priority=\""));
    let values = lines.filter_map(|line| line.split_once("\"} "));
    values.map(|(priority, value)| (priority.to_owned(), value.parse().unwrap())).collect()
}

/// Waits for a condition as long as the quota may take for so many calls, and then as long again.
async fn until(stage: &Stage, what: &str, calls: usize, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now()
        + Duration::from_secs(120)
        + 2 * Duration::from_millis(100) * u32::try_from(calls).unwrap();
    while !condition().await {
        assert!(Instant::now() < deadline, "not: {what}\n{:#?}\n{}", made(stage), stage.kubelets[0].log());
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_rollout_under_the_throttle_deletes_first_and_starves_nobody() {
    let pods = std::env::var(PODS.0).map_or(PODS.1, |count| count.parse().unwrap());
    let mut settings = Settings::preset(Preset::Production);
    settings.world.timing = Preset::Development.timing();
    let mut stage = Stage::empty(settings, &Options::default(), &[NODE]).await;
    let wide = CreateFabricNetwork {
        name: "wide".to_owned(),
        subnet: "10.64.0.0/16".parse().unwrap(),
        provision_start_ip: "10.64.0.10".parse().unwrap(),
        provision_end_ip: "10.64.255.250".parse().unwrap(),
        gateway: None,
        resolvers: Vec::new(),
        routes: Routes::new(),
        internet_nat: Some(false),
        description: None,
    };
    stage.account.create_fabric_network(2, &wide).await.unwrap();
    let file = stage.file("triton.toml", FILE);
    stage.start_kubelet(&["--provider-config", &file]).await;
    stage.until_ready(NODE).await;

    stage.apply(&pod("leaving")).await;
    stage.apply(&deployment(pods, "one")).await;
    let is = async |path: &str, value: usize| stage.field("deployment/web", path).await == value.to_string();
    let calls = 8 * pods;
    until(&stage, "all are ready", calls, async || is("{.status.readyReplicas}", pods).await).await;
    stage.until_field("pod/leaving", "{.status.phase}", "Running").await;
    until_idle(&stage, calls).await;
    assert_eq!(made(&stage)["web/one"].count, pods, "one instance for each pod");
    // At most three calls for a pod, and what the process reads at its start.
    let control = stage.simulator.control();
    let creating = control.requests().take();
    assert!(creating.total <= 3 * pods as u64 + 60, "{creating:?}");
    let (granted, passed) = counters(&stage).await;

    // A rollout; and in the midst of it, somebody else's pod comes and another one goes.
    stage.apply(&deployment(pods, "two")).await;
    until(&stage, "the rollout has begun", calls, async || {
        made(&stage).get("web/two").is_some_and(|made| made.count > pods / 10)
    })
    .await;
    stage.apply(&pod("coming")).await;
    stage.kubectl(&["delete", "pod", "leaving", "--wait=false"]).await;
    until(&stage, "the rollout is over", 2 * calls, async || {
        let old = made(&stage)["web/one"].alive;
        old == 0 && is("{.status.updatedReplicas}", pods).await && is("{.status.readyReplicas}", pods).await
    })
    .await;
    stage.until_field("pod/coming", "{.status.phase}", "Running").await;
    until_idle(&stage, calls).await;

    // Exactly the instances that should be: none twice, none lost, none left.
    let made = made(&stage);
    let counts = ["web/one", "web/two", "coming/none", "leaving/none"]
        .map(|kind| made.get(kind).map(|made| (made.count, made.alive)));
    assert_eq!(counts, [Some((pods, 0)), Some((pods, pods)), Some((1, 1)), Some((1, 0))]);

    // Nobody starves: who came or went in the midst of it was served before its end, although all of it was asked for
    // at the same time.
    let end = made["web/two"].last_created;
    assert!(made["coming/none"].last_created < end, "{made:#?}");
    assert!(made["leaving/none"].last_destroyed < end, "{made:#?}");
    // Deletions were not left for the end: the first old ones were gone before the last new ones were made.
    assert!(made["web/one"].first_destroyed < end, "{made:#?}");

    // Deletions go first: of the grants that were made while one of them waited, only those of fairness went to others,
    // which is one in eight.
    let (granted, passed) = difference(counters(&stage).await, (granted, passed));
    let total: u64 = granted.values().sum();
    assert!(granted["withdraw"] >= 2 * pods as u64, "a stop and a delete for each: {granted:?}");
    assert!(granted["lifecycle"] > pods as u64, "{granted:?}");
    for urgent in ["safety", "withdraw"] {
        assert!(passed[urgent] * 8 <= total + 8, "{urgent} was passed over: {passed:?} of {granted:?}");
    }
    // The quota was kept to: the data centre had next to nothing to refuse.
    let rollout = stage.simulator.control().requests().take();
    let refused: u64 = rollout.operations.values().filter_map(|by_status| by_status.get(&429)).sum();
    assert!(refused * 100 <= rollout.total, "{rollout:?}");
    assert!(rollout.total <= 6 * (pods as u64 + 1) + 60, "{rollout:?}");
    // A deletion costs a stop and a delete. That they are gone is proved for many at once, not by a read of each.
    let calls = |operation: &str| rollout.operations.get(operation).map_or(0, |by| by.values().sum::<u64>());
    let deleted = pods as u64 + 1;
    for once in ["UpdateMachine", "DeleteMachine"] {
        assert!(calls(once) <= deleted + 2 + deleted / 50, "{once}: {rollout:?}");
    }
    let reads = rollout.operations.get("GetMachine").and_then(|by_status| by_status.get(&410));
    let proofs = reads.copied().unwrap_or_default() + calls("ListMachines");
    assert!(proofs <= 8 + deleted / 5, "{rollout:?}");
    eprintln!("{pods} pods: {creating:?}\n{rollout:?}\n{granted:?}\npassed over {passed:?}");
}

type Counters = (BTreeMap<String, u64>, BTreeMap<String, u64>);

/// Who was granted requests, and who was passed over, so far.
async fn counters(stage: &Stage) -> Counters {
    let granted = by_priority(stage, "triton_cloudapi_granted_total").await;
    let passed = by_priority(stage, "triton_cloudapi_passed_over_total").await;
    assert_eq!((granted.len(), passed.len()), (5, 5));
    (granted, passed)
}

fn difference(now: Counters, before: Counters) -> Counters {
    let less = |now: BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
        now.into_iter().map(|(key, count)| (key.clone(), count - before[&key])).collect()
    };
    (less(now.0, &before.0), less(now.1, &before.1))
}

/// Waits until no instance is kept out of DNS, whose end is the last that is done for one, and no request waits.
async fn until_idle(stage: &Stage, calls: usize) {
    until(stage, "all is done", calls, async || {
        let waiting = by_priority(stage, "triton_cloudapi_waiting_requests").await;
        let is_in = stage.simulator.control().read(|world| {
            let mut alive = world.machines().filter(|machine| machine.is_active());
            alive.all(|machine| {
                machine.metadata.get("triton.cns.status").and_then(|value| value.as_str()) != Some("down")
            })
        });
        is_in && waiting.values().all(|waiting| *waiting == 0)
    })
    .await;
}
