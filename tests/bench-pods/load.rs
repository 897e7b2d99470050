//! Pods by the thousand: makes them, deletes them, and sees in a watch what becomes of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use kube::api::{ApiResource, DeleteParams, ListParams, PostParams, Request, WatchEvent, WatchParams};
use kube::core::Object;
use kube::{Api, Client};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// So many make and delete pods at the same time.
const AT_ONCE: usize = 8;

/// Where the pods are.
pub(crate) const NAMESPACE: &str = "default";

/// The little of a pod that is looked at: to decode all of it would take processor time from what is measured.
type Seen = Object<Unread, Status>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Unread {}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Status {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Status {
    fn is_running(&self) -> bool {
        let ready = |condition: &Condition| condition.r#type == "Ready" && condition.status == "True";
        self.phase == "Running" && self.conditions.iter().any(ready)
    }
}

/// When what happened to a pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// Its creation was asked for.
    pub(crate) created: Instant,
    /// It was seen running and ready.
    pub(crate) running: Option<Instant>,
    /// It was seen not running or not ready any more, for the first time since.
    pub(crate) changed: Option<Instant>,
    /// It was seen to be gone.
    pub(crate) gone: Option<Instant>,
}

/// How many pods are seen running now, and how many are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) running: usize,
    pub(crate) changed: usize,
    pub(crate) gone: usize,
}

/// What the pods of a run ask for.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// The virtual node, which is named outright: the scheduler would only take time from both sides.
    pub(crate) node: String,
    /// The network of the data centre, for those that are instances.
    pub(crate) network: Option<String>,
}

impl Template {
    fn pod(&self, name: &str) -> serde_json::Value {
        let annotations: BTreeMap<&str, &String> =
            self.network.iter().map(|id| ("tritondatacenter.com/networks", id)).collect();
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {
                "nodeName": self.node,
                "automountServiceAccountToken": false,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{
                    "name": "main",
                    "image": "base-64-lts",
                    "env": [{"name": "GREETING", "value": "hello"}],
                }],
            },
        })
    }
}

type Lives = Arc<Mutex<HashMap<String, Life>>>;

/// The pods of a run.
pub(crate) struct Pods {
    client: Client,
    lives: Lives,
    progress: watch::Receiver<Progress>,
    watching: JoinHandle<()>,
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Pods {
    /// Begins to watch.
    pub(crate) async fn watch(client: &Client) -> Result<Self> {
        let kind = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
        let api: Api<Seen> = Api::namespaced_with(client.clone(), NAMESPACE, &kind);
        let version = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let lives = Lives::default();
        let (sender, progress) = watch::channel(Progress::default());
        let seen = lives.clone();
        let watching = tokio::spawn(async move {
            if let Err(error) = follow(&api, version.unwrap_or_default(), &seen, &sender).await {
                tracing::error!(%error, "the watch broke off");
            }
        });
        Ok(Self { client: client.clone(), lives, progress, watching })
    }

    /// Makes these pods, several at the same time.
    pub(crate) async fn create(&self, template: &Template, names: &[String]) -> Result<()> {
        self.for_each(names, async |name: &str| {
            let body = serde_json::to_vec(&template.pod(name))?;
            let request = Request::new(format!("/api/v1/namespaces/{NAMESPACE}/pods"))
                .create(&PostParams::default(), body)?;
            self.lives().insert(
                name.to_owned(),
                Life { created: Instant::now(), running: None, changed: None, gone: None },
            );
            self.client.request::<IgnoredAny>(request).await.context("cannot create a pod").map(drop)
        })
        .await
    }

    /// Deletes these pods with their own grace periods, several at the same time.
    pub(crate) async fn delete(&self, names: &[String]) -> Result<()> {
        self.for_each(names, async |name: &str| {
            let request = Request::new(format!("/api/v1/namespaces/{NAMESPACE}/pods"))
                .delete(name, &DeleteParams::default())?;
            self.client.request::<IgnoredAny>(request).await.context("cannot delete a pod").map(drop)
        })
        .await
    }

    async fn for_each(&self, names: &[String], each: impl AsyncFn(&str) -> Result<()>) -> Result<()> {
        let next = AtomicUsize::new(0);
        let one = async || -> Result<()> {
            while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                each(name).await?;
            }
            Ok(())
        };
        try_join_all((0..AT_ONCE).map(|_| one())).await.map(drop)
    }

    /// Waits for progress, which must go on at least once in `bound`.
    pub(crate) async fn until(&self, bound: Duration, reached: impl Fn(&Progress) -> bool) -> Result<()> {
        let mut progress = self.progress.clone();
        loop {
            let now = *progress.borrow_and_update();
            if reached(&now) {
                return Ok(());
            }
            match timeout(bound, progress.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => bail!("the watch of pods broke off"),
                Err(_) => bail!("nothing goes on at {now:?}"),
            }
        }
    }

    /// The life of a pod.
    pub(crate) fn life(&self, name: &str) -> Option<Life> {
        self.lives().get(name).copied()
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<String, Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn follow(
    api: &Api<Seen>,
    mut version: String,
    lives: &Lives,
    progress: &watch::Sender<Progress>,
) -> Result<()> {
    loop {
        let params = WatchParams::default().timeout(290);
        let mut events = Box::pin(api.watch(&params, &version).await?);
        while let Some(event) = events.try_next().await? {
            let now = Instant::now();
            let (pod, gone) = match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
                WatchEvent::Deleted(pod) => (pod, true),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(error) => bail!("{}", error.message),
            };
            version = pod.metadata.resource_version.unwrap_or(version);
            let name = pod.metadata.name.unwrap_or_default();
            let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(life) = lives.get_mut(&name) else { continue };
            let runs = pod.status.is_some_and(|status| status.is_running());
            progress.send_modify(|progress| note(life, now, runs, gone, progress));
        }
    }
}

fn note(life: &mut Life, now: Instant, runs: bool, gone: bool, progress: &mut Progress) {
    if runs && life.running.is_none() {
        life.running = Some(now);
        progress.running += 1;
    }
    if !runs && life.running.is_some() && life.changed.is_none() {
        life.changed = Some(now);
        progress.changed += 1;
    }
    if gone && life.gone.is_none() {
        life.gone = Some(now);
        progress.gone += 1;
    }
}

/// Names of pods.
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:05}")).collect()
}
