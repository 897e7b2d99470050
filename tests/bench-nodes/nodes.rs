//! Nodes by the thousand: registers them as kubelets do, and sees in a watch when each has been initialised.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::TryStreamExt as _;
use kube::api::{ApiResource, ListParams, Patch, PatchParams, PostParams, Request, WatchEvent, WatchParams};
use kube::core::Object;
use kube::{Api, Client};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::cluster::{Machine, for_each};
use crate::manager::Manager;

/// The taint of a kubelet with `--cloud-provider=external`.
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// The little of a Node that is looked at: to decode all of it would take processor time from what is measured.
type Seen = Object<Spec, Unread>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Unread {}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Spec {
    #[serde(default)]
    taints: Vec<Taint>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Taint {
    key: String,
}

/// When what happened to a Node.
#[derive(Debug, Clone, Copy)]
struct Life {
    registered: Instant,
    initialised: Option<Instant>,
}

type Lives = Arc<Mutex<HashMap<String, Life>>>;

/// The Nodes of a run.
pub(crate) struct Nodes {
    client: Client,
    lives: Lives,
    initialised: watch::Receiver<usize>,
    watching: JoinHandle<()>,
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Nodes {
    /// Begins to watch.
    pub(crate) async fn watch(client: &Client) -> Result<Self> {
        let kind = ApiResource::erase::<k8s_openapi::api::core::v1::Node>(&());
        let api: Api<Seen> = Api::all_with(client.clone(), &kind);
        let version = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let lives = Lives::default();
        let (sender, initialised) = watch::channel(0);
        let seen = lives.clone();
        let watching = tokio::spawn(async move {
            if let Err(error) = follow(&api, version.unwrap_or_default(), &seen, &sender).await {
                tracing::error!(%error, "the watch broke off");
            }
        });
        Ok(Self { client: client.clone(), lives, initialised, watching })
    }

    /// Registers a Node for each machine, several at the same time.
    pub(crate) async fn register(&self, machines: &[Machine]) -> Result<()> {
        let register = async |number: usize| {
            let Some(machine) = machines.get(number) else { return Ok(()) };
            let body = serde_json::to_vec(&node(machine))?;
            let request = Request::new("/api/v1/nodes").create(&PostParams::default(), body)?;
            let life = Life { registered: Instant::now(), initialised: None };
            self.lives().insert(machine.name.clone(), life);
            self.client.request::<IgnoredAny>(request).await.context("cannot register a Node").map(drop)
        };
        for_each(machines.len(), register).await.map(drop)
    }

    /// Changes the Node of each machine, several at the same time.
    pub(crate) async fn patch(&self, machines: &[Machine], patch: &Value) -> Result<()> {
        let change = async |number: usize| {
            let Some(machine) = machines.get(number) else { return Ok(()) };
            let params = PatchParams::default();
            let request =
                Request::new("/api/v1/nodes").patch(&machine.name, &params, &Patch::Merge(patch))?;
            self.client.request::<IgnoredAny>(request).await.context("cannot change a Node").map(drop)
        };
        for_each(machines.len(), change).await.map(drop)
    }

    /// Waits until so many Nodes have been initialised; something must go on at least once in `bound`.
    pub(crate) async fn until(&self, manager: &mut Manager, count: usize, bound: Duration) -> Result<()> {
        let mut initialised = self.initialised.clone();
        loop {
            let now = *initialised.borrow_and_update();
            if now >= count {
                return Ok(());
            }
            manager.must_live()?;
            match timeout(bound, initialised.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => bail!("the watch of Nodes broke off"),
                Err(_) => bail!("nothing goes on at {now} of {count}:\n{}", manager.said()),
            }
        }
    }

    /// How long each took, from before its registration until it was seen without the taint.
    pub(crate) fn latencies(&self) -> Vec<Duration> {
        let lives = self.lives();
        lives.values().filter_map(|life| Some(life.initialised? - life.registered)).collect()
    }

    /// When the last one was seen without the taint.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.lives().values().filter_map(|life| life.initialised).max()
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<String, Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn follow(
    api: &Api<Seen>,
    mut version: String,
    lives: &Lives,
    initialised: &watch::Sender<usize>,
) -> Result<()> {
    loop {
        let params = WatchParams::default().timeout(290);
        let mut events = Box::pin(api.watch(&params, &version).await?);
        while let Some(event) = events.try_next().await? {
            let now = Instant::now();
            let node = match event {
                WatchEvent::Added(node) | WatchEvent::Modified(node) => node,
                WatchEvent::Deleted(node) => bail!("Node {:?} was deleted", node.metadata.name),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(error) => bail!("{}", error.message),
            };
            version = node.metadata.resource_version.unwrap_or(version);
            let name = node.metadata.name.unwrap_or_default();
            let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(life) = lives.get_mut(&name).filter(|life| life.initialised.is_none()) else { continue };
            if !node.spec.taints.iter().any(|taint| taint.key == UNINITIALIZED) {
                life.initialised = Some(now);
                initialised.send_modify(|count| *count += 1);
            }
        }
    }
}

/// A Node as a kubelet registers it, with what one usually says of itself: its size is the memory that it takes.
fn node(machine: &Machine) -> Value {
    let name = &machine.name;
    let labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
    });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": "2026-01-26T21:32:02Z", "lastTransitionTime": "2026-01-26T21:32:02Z",
        })
    };
    let room = |cpu: &str, memory: &str| {
        json!({
            "cpu": cpu, "ephemeral-storage": "102625208Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
            "memory": memory, "pods": "110",
        })
    };
    // A kubelet tells of up to 50 images.
    let image = |number: usize| {
        let name = format!("registry.example.com/team/application-{number}");
        json!({"names": [format!("{name}@sha256:{number:064x}"), format!("{name}:v1.{number}.0")], "sizeBytes": 83_000_000})
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "labels": labels,
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {"taints": [{"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"}]},
        "status": {
            // Without --node-ip, whoever knows the cloud says the rest.
            "addresses": [{"type": "Hostname", "address": name}],
            "capacity": room("8", "32779432Ki"), "allocatable": room("7800m", "31624360Ki"),
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": (0..50).map(image).collect::<Vec<_>>(),
            "nodeInfo": {
                "architecture": "amd64", "bootID": machine.id.to_string(), "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.8.0-45-generic", "kubeProxyVersion": "", "kubeletVersion": "v1.36.3",
                "machineID": machine.id.to_string().replace('-', ""), "operatingSystem": "linux",
                "osImage": "Ubuntu 24.04.3 LTS", "systemUUID": machine.id.to_string(),
            },
        },
    })
}
