//! A control plane for many virtual nodes at once, and what an onlooker sees of their pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use runtime::clients::{Clients, Limits, Priority, Source};
use suites::control_plane::{ControlPlane, Identity, Options};
use suites::virtual_kubelet::install_for;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::proxy::Upstream;

/// A control plane with the rights of some virtual nodes.
pub(super) struct Cluster {
    pub(super) plane: ControlPlane,
    /// An administrator.
    pub(super) admin: Client,
    /// The API server as the virtual kubelet's account reaches it, and that account's token.
    pub(super) upstream: Upstream,
    pub(super) token: String,
    /// What was seen of every pod, by namespace and name.
    seen: Arc<Mutex<BTreeMap<(String, String), Seen>>>,
    /// Connections to this port are accepted: what readiness probes look at.
    pub(super) ready_port: u16,
    pub(super) folder: TempDir,
    tasks: Vec<JoinHandle<()>>,
}

/// What was seen of the pods of one name.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// As it is; `None` when there is none.
    pub(super) pod: Option<Pod>,
    /// Every phase that it had, each time that it changed.
    pub(super) phases: Vec<String>,
    /// The most restarts that it counted.
    pub(super) restarts: i32,
}

impl Cluster {
    /// A control plane on which these nodes may be.
    pub(super) async fn start(nodes: &[String]) -> anyhow::Result<Arc<Self>> {
        let options = Options { scheduler: false, ..Options::default() };
        let plane = ControlPlane::start(&options).await?;
        let kubeconfig = install_for(&plane, nodes).await?;
        let (upstream, token) = Upstream::of_kubeconfig(&kubeconfig)?;
        let admin = Source::from_flag(Some(plane.kubeconfig(&Identity::Admin).await?));
        let limits = Limits { rate: 10_000.0, burst: 10_000 };
        let admin = Clients::new(&admin, "test/1", limits).await?.client("test", Priority::Normal)?;
        let seen = Arc::default();
        let ready = TcpListener::bind("127.0.0.1:0").await?;
        let ready_port = ready.local_addr()?.port();
        let tasks = vec![
            tokio::spawn(watch(Api::all(admin.clone()), Arc::clone(&seen))),
            tokio::spawn(async move { while ready.accept().await.is_ok() {} }),
        ];
        let folder = tempfile::tempdir()?;
        Ok(Arc::new(Self { plane, admin, upstream, token, seen, ready_port, folder, tasks }))
    }

    /// What was seen of a pod.
    pub(super) fn seen(&self, namespace: &str, name: &str) -> Seen {
        let seen = lock(&self.seen);
        seen.get(&(namespace.to_owned(), name.to_owned())).cloned().unwrap_or_default()
    }

    /// What was seen of all pods of a namespace.
    pub(super) fn seen_in(&self, namespace: &str) -> Vec<Seen> {
        let seen = lock(&self.seen);
        let here = seen.iter().filter(|((of, _), _)| of == namespace);
        here.map(|(_, seen)| seen.clone()).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

type Pods = Mutex<BTreeMap<(String, String), Seen>>;

fn lock(pods: &Pods) -> MutexGuard<'_, BTreeMap<(String, String), Seen>> {
    pods.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(api: Api<Pod>, pods: Arc<Pods>) {
    let mut events = watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(pod)) => note(&pods, pod),
            Ok(Event::Delete(pod)) => {
                let key = key(&pod);
                note(&pods, pod);
                lock(&pods).entry(key).or_default().pod = None;
            }
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => {
                listed.push(key(&pod));
                note(&pods, pod);
            }
            // Those that went while nobody watched.
            Ok(Event::InitDone) => {
                let mut pods = lock(&pods);
                pods.iter_mut()
                    .filter(|(key, _)| !listed.contains(key))
                    .for_each(|(_, seen)| seen.pod = None);
            }
            Err(_) => {}
        }
    }
}

fn key(pod: &Pod) -> (String, String) {
    (pod.metadata.namespace.clone().unwrap_or_default(), pod.metadata.name.clone().unwrap_or_default())
}

fn note(pods: &Pods, pod: Pod) {
    let mut pods = lock(pods);
    let seen = pods.entry(key(&pod)).or_default();
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.clone()).unwrap_or_default();
    if seen.phases.last() != Some(&phase) {
        seen.phases.push(phase);
    }
    let containers = status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten();
    seen.restarts = containers.map(|container| container.restart_count).fold(seen.restarts, i32::max);
    seen.pod = Some(pod);
}

/// Waits for a condition, which says what is still missing. `Err` when that lasts for longer than `bound`.
pub(super) async fn until(
    bound: Duration,
    condition: impl AsyncFn() -> Result<(), String>,
) -> Result<(), String> {
    let deadline = Instant::now() + bound;
    loop {
        match condition().await {
            Ok(()) => return Ok(()),
            Err(missing) if Instant::now() > deadline => {
                return Err(format!("not within {bound:?}: {missing}"));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}
