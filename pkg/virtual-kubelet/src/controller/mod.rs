//! Observes both sides, plans, acts.
//!
//! Everybody who learns something about a pod asks the [queue](queue) for a look at it: the watch of pods, the
//! reflector of instances, the probes, the ConfigMaps and Secrets. A look takes all that is known from memory, makes
//! the [plan](crate::lifecycle), writes the status, and takes the steps. No look waits for an instance to come to life, so
//! a thousand can be on their way at once; a look that fails concerns its own pod only.
//!
//! Only the leader looks. A standby keeps the same caches, so it acts as soon as it leads.

mod act;
mod departed;
mod look;
mod orphans;
mod pods;
mod queue;
mod records;
pub mod references;
mod schedule;
mod sweep;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use provider::owner::Owner;
use runtime::events::EventRecorder;
use runtime::leader::Claim;
use runtime::watching::Caches;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use triton::Client;
use triton::reflector::{Lookup, Store};

use self::act::Actor;
use self::departed::Departed;
use self::pods::PodWriter;
use self::queue::Queue;
use self::records::Records;
use crate::pod::PodKey;

/// How many pods are looked at at once. A look that waits for CloudAPI waits in the request budget, whose queue has
/// priorities; so this is large enough for deletions to get there while a thousand creates wait.
const LOOKS_AT_ONCE: usize = 4096;

/// The pause after a look that broke off.
const BROKEN: Duration = Duration::from_secs(30);

/// Which pods a controller runs, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster's name, which keeps instances of several clusters in one account apart.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// The data centre's name.
    pub datacenter: String,
    /// The node's address, for `hostIP`.
    pub host_ip: Option<String>,
}

/// What a controller works with.
pub struct Parts {
    /// A Kubernetes client that writes only while leading.
    pub kube: kube::Client,
    /// Where events go.
    pub events: EventRecorder,
    /// The caches of the process.
    pub caches: Caches,
    /// The CloudAPI client, whose budget is the process's.
    pub triton: Client,
    /// The instances of the account.
    pub instances: Store,
    /// Leadership.
    pub claim: Claim,
}

/// Runs the pods of one node.
pub struct Controller {
    settings: Settings,
    pods: kube::runtime::reflector::Store<Pod>,
    instances: Store,
    queue: Queue,
    records: Records,
    departed: Arc<Departed>,
    writer: PodWriter,
    actor: Actor,
    events: EventRecorder,
    caches: Caches,
    claim: Claim,
}

impl Controller {
    /// A controller that keeps its caches from now on, and acts while it [runs](Controller::run). Needs a tokio
    /// runtime.
    pub fn start(settings: Settings, parts: Parts) -> Arc<Self> {
        let queue = Queue::default();
        let departed = Arc::new(Departed::default());
        let config = watcher::Config::default().fields(&format!("spec.nodeName={}", settings.node));
        let seen = notice(queue.clone(), Arc::clone(&departed));
        let api = Api::all(parts.kube.clone());
        let pods = parts.caches.reflect("pods", api, config, fastrand::Rng::new(), seen);
        Arc::new(Self {
            settings,
            pods,
            instances: parts.instances.clone(),
            queue,
            records: Records::default(),
            departed,
            writer: PodWriter::new(parts.kube),
            actor: Actor::new(parts.triton, parts.instances, parts.claim.clone()),
            events: parts.events,
            caches: parts.caches,
            claim: parts.claim,
        })
    }

    /// Looks after the pods while this process leads: begins when it does and the caches are complete, and returns
    /// when leadership ends. Dropping it stops what is under way.
    pub async fn run(self: Arc<Self>) {
        if self.claim.held().await.is_err() {
            return;
        }
        self.caches.synced().await;
        tracing::info!(node = %self.settings.node, pods = self.pods.state().len(), "looking after pods");
        tokio::select! {
            () = self.claim.lapsed() => {}
            () = self.look_at_pods() => {}
            () = self.follow_instances() => {}
            () = self.sweep() => {}
        }
    }

    /// Looks at each pod when it is due.
    async fn look_at_pods(self: &Arc<Self>) {
        let mut looks = JoinSet::new();
        let mut keys: HashMap<Id, PodKey> = HashMap::new();
        loop {
            tokio::select! {
                key = self.queue.next(), if looks.len() < LOOKS_AT_ONCE => {
                    let (this, pod) = (Arc::clone(self), key.clone());
                    let look = looks.spawn(async move { this.look(&pod).await });
                    keys.insert(look.id(), key);
                }
                Some(ended) = looks.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, ())) => *id,
                        Err(broken) => broken.id(),
                    };
                    let Some(key) = keys.remove(&id) else { continue };
                    if let Err(broken) = ended {
                        // A fault of this program, which must not concern other pods.
                        tracing::error!(pod = %key, error = %broken, "the look at a pod broke off");
                        self.queue.ask_at(&key, Instant::now() + BROKEN);
                    }
                    self.queue.done(&key);
                }
            }
        }
    }

    /// Asks for a look at the pod of each instance that changes.
    async fn follow_instances(&self) {
        let mut changes = self.instances.subscribe();
        loop {
            for id in changes.changed().await {
                let owner = match self.instances.get(id) {
                    Lookup::Present(entry) => Owner::of(entry.expected()),
                    Lookup::Gone(tombstone) => Owner::of(&tombstone.instance),
                    Lookup::Unknown => None,
                };
                if let Some(owner) = owner.filter(|owner| self.owns(owner)) {
                    self.queue.ask(&PodKey { namespace: owner.namespace, name: owner.pod, uid: owner.uid });
                }
            }
        }
    }

    /// Whether an instance is one of this node's.
    fn owns(&self, owner: &Owner) -> bool {
        *owner.cluster == *self.settings.cluster && *owner.node == *self.settings.node
    }
}

/// What to do about each event of the watch of pods.
fn notice(queue: Queue, departed: Arc<Departed>) -> impl FnMut(&Event<Pod>) + Send + 'static {
    move |event| match event {
        Event::Apply(pod) | Event::InitApply(pod) => {
            if let Some(key) = PodKey::of(pod) {
                queue.ask(&key);
            }
        }
        Event::Delete(pod) => {
            if let Some(key) = PodKey::of(pod) {
                departed.note(&key, Instant::now());
                queue.ask(&key);
            }
        }
        Event::Init | Event::InitDone => {}
    }
}
