//! The life of one pod: made, ready, changed, deleted; and what must be true of it whatever happens meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, until};
use super::fault::{Fault, Point, Script};
use super::process::Victim;
use super::virtual_node::{BOUND, Truth, VirtualNode, data_center};

/// How long a fault is waited for when all is as it should be at the end of a life.
const LINGER: Duration = Duration::from_secs(3);

/// A single replica, which acts as soon as it is started, and lets rules go soon. Orphans are left to their default of
/// five minutes: no life may need their collector.
const FLAGS: [&str; 2] = ["--leader-elect=false", "--firewall-grace=500ms"];

const POD: &str = "web";

/// How a life went.
pub(super) struct Lived {
    /// The calls of the first process, and after its end of the others.
    pub(super) points: Vec<Point>,
    /// Whether the fault came to pass.
    pub(super) reached: bool,
    /// How long it took.
    pub(super) took: Duration,
    /// What is wrong, with all that the processes said.
    pub(super) wrong: Option<String>,
}

/// Lets a pod live on a node of its own, with one fault at most.
pub(super) async fn live(cluster: &Arc<Cluster>, node: &str, fault: Option<(Point, Fault)>) -> Lived {
    let begun = Instant::now();
    let victim = Victim::new();
    let script = Arc::new(Script::new(victim.clone(), fault));
    let outcome = async {
        let mut node = VirtualNode::new(cluster, node, data_center(), script.clone()).await?;
        node.start_kubelet(victim, &FLAGS)?;
        anyhow::Ok(node)
    };
    let node = match outcome.await {
        Ok(node) => node,
        Err(error) => {
            return Lived {
                points: vec![],
                reached: false,
                took: begun.elapsed(),
                wrong: Some(format!("{error:#}")),
            };
        }
    };
    let life = Life { node };
    let lived = life.whole(&script).await;
    let seen = cluster.seen(&life.node.name, POD);
    let truth = life.node.truth();
    let record = life.node.end().await;
    let mut wrong: Vec<String> = lived.err().map(|error| format!("{error:#}")).into_iter().collect();
    wrong.extend(record.unasked.iter().map(|how| format!("a process ended by itself: {how}")));
    let wrong = (!wrong.is_empty()).then(|| {
        let logs = record.logs.join("\n--- the next process\n");
        format!("{}\nthe pod: {seen:#?}\nits instances: {truth:#?}\n{logs}", wrong.join("\n"))
    });
    Lived { points: script.points(), reached: script.is_over(), took: begun.elapsed(), wrong }
}

struct Life {
    node: VirtualNode,
}

impl Life {
    async fn whole(&self, script: &Script) -> anyhow::Result<()> {
        self.begin().await?;
        until(BOUND, async || self.is_ready()).await.map_err(anyhow::Error::msg)?;
        let labels = Patch::Merge(json!({"metadata": {"labels": {"tier": "back"}}}));
        self.node.pods().patch(POD, &PatchParams::default(), &labels).await?;
        until(BOUND, async || self.is_labelled()).await.map_err(anyhow::Error::msg)?;
        self.node.delete_pod(POD).await?;
        until(BOUND, async || self.is_over()).await.map_err(anyhow::Error::msg)?;
        let end = Instant::now() + LINGER;
        while !script.is_over() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
        until(BOUND, async || self.is_over()).await.map_err(anyhow::Error::msg)?;
        self.was_one()
    }

    async fn begin(&self) -> anyhow::Result<()> {
        self.node.make_config_map("settings", json!({"COLOUR": "red"})).await?;
        let metadata = json!({"labels": {"tier": "front"}, "annotations": {"fwenabled": "true"}});
        let container = json!({
            "ports": [{"containerPort": 8081}],
            "env": [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}}],
            // Guests have no addresses here; what matters is that readiness comes later than the instance.
            "readinessProbe": {
                "tcpSocket": {"host": "127.0.0.1", "port": self.node.cluster.ready_port}, "periodSeconds": 1,
            },
        });
        self.node.make_pod(POD, metadata, container, json!({})).await
    }

    /// The instances of the pod that are there, which are one at most.
    fn instance(&self) -> Result<Option<Truth>, String> {
        let mut active = self.node.truth().into_iter().filter(|truth| truth.is_active);
        match (active.next(), active.count()) {
            (first, 0) => Ok(first),
            (_, more) => Err(format!("{} instances", more + 1)),
        }
    }

    fn is_ready(&self) -> Result<(), String> {
        let seen = self.node.cluster.seen(&self.node.name, POD);
        let pod = seen.pod.ok_or("no pod")?;
        let status = pod.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        if !conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
            return Err(format!("the pod is not ready, phase {:?}", status.phase));
        }
        let instance = self.instance()?.ok_or("no instance")?;
        if instance.cns_status.as_deref().is_some_and(|status| status != "up") {
            return Err("the instance is not in DNS".to_owned());
        }
        match self.node.rules().len() {
            1 => Ok(()),
            rules => Err(format!("{rules} rules")),
        }
    }

    fn is_labelled(&self) -> Result<(), String> {
        let instance = self.instance()?.ok_or("no instance")?;
        match instance.tags.get("tier").and_then(Value::as_str) {
            Some("back") => Ok(()),
            tier => Err(format!("the tag is {tier:?}")),
        }
    }

    fn is_over(&self) -> Result<(), String> {
        if self.node.cluster.seen(&self.node.name, POD).pod.is_some() {
            return Err("the pod is there".to_owned());
        }
        match (self.instance()?, self.node.rules().len()) {
            (None, 0) => Ok(()),
            (instance, rules) => Err(format!("{instance:?} and {rules} rules are there")),
        }
    }

    /// What must hold of the whole life: one instance and no other, no failure, no restart.
    fn was_one(&self) -> anyhow::Result<()> {
        let truth = self.node.truth();
        ensure!(truth.len() == 1, "{} instances were made", truth.len());
        let seen = self.node.cluster.seen(&self.node.name, POD);
        let phases: Vec<&str> = seen.phases.iter().map(String::as_str).collect();
        ensure!(phases == ["Pending", "Running"], "the phases were {phases:?}");
        ensure!(seen.restarts == 0, "{} restarts", seen.restarts);
        truth.first().context("no instance").map(drop)
    }
}
