//! Observes both sides, plans, acts.
//!
//! Everybody who learns something about a pod asks the [queue](Queue) for a look at it: the watch of pods, the
//! reflector of instances, the probes, the ConfigMaps and Secrets. A look takes all that is known from memory, makes
//! the [plan](crate::lifecycle), writes the status, and takes the steps. No look waits for an instance to come to life, so
//! a thousand can be on their way at once; a look that fails concerns its own pod only.
//!
//! Only the leader looks. A standby keeps the same caches, so it acts as soon as it leads.

mod act;
mod commands;
mod departed;
mod explain;
mod hold;
mod hooks;
mod look;
mod meters;
mod orphans;
mod pods;
mod pools;
mod preview;
mod probing;
mod records;
pub mod references;
mod rules;
mod services;
mod sweep;
mod watched;
mod wish;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use provider::cns::DefaultLoadBalancer;
use provider::owner::Owner;
use runtime::events::EventRecorder;
use runtime::leader::Claim;
use runtime::metrics::{Metrics, MetricsError};
use runtime::queue::Queue;
use runtime::watching::Caches;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use triton::Client;
use triton::reflector::{Lookup, Store};

use self::act::Actor;
use self::commands::Commands;
use self::departed::Departed;
use self::hooks::Hooks;
use self::meters::Meters;
use self::pods::PodWriter;
use self::pools::Pools;
use self::probing::{ATTEMPTS_AT_ONCE, Ear};
use self::records::Records;
use self::references::{MOST_WATCHES, References};
use self::rules::Rules;
use self::services::{Services, Stale};
use self::watched::Pods;
use crate::catalog::CatalogKeeper;
use crate::firewall;
use crate::pod::{PodKey, lean};
use crate::probes::Workers;
use crate::probes::run::Exec;
use crate::settings::VirtualNode;
use crate::ssh::Connector;

/// How many pods are looked at at once. A look that waits for CloudAPI waits in the request budget, whose queue has
/// priorities; so this is large enough for deletions to get there while a thousand creates wait.
const LOOKS_AT_ONCE: usize = 4096;

/// How many of these make their plan and write their status at once; the others have no memory of their own yet. More
/// than calls to the API server are under way.
const PLANS_AT_ONCE: usize = 64;

/// Which pods a controller runs, and where. Several nodes have one controller, so that they share caches, the request
/// budget and the cluster's firewall rules.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster's name, which keeps instances of several clusters in one account apart.
    pub cluster: String,
    /// What Services of type LoadBalancer without a class are exposed by.
    pub default_load_balancer: DefaultLoadBalancer,
    /// The nodes.
    pub nodes: Vec<VirtualNode>,
    /// The nodes' address, for `hostIP`.
    pub host_ip: Option<IpAddr>,
    /// How long CloudAPI may be silent before the node is not ready.
    pub cloudapi_grace: Duration,
    /// How old the list of firewall rules may become before it is read again.
    pub firewall_relist: Duration,
    /// How long a firewall rule stays that no pod needs any more.
    pub firewall_grace: Duration,
    /// How long an instance must be without its pod before it is deleted.
    pub orphan_grace: Duration,
}

/// What a controller works with.
pub struct Parts<'a> {
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
    /// The packages, images and networks.
    pub catalog: CatalogKeeper,
    /// The way to run commands in instances, if there is one.
    pub ssh: Option<Connector>,
    /// Leadership.
    pub claim: Claim,
    /// The metrics of the process.
    pub metrics: &'a Metrics,
}

/// Runs the pods of the nodes of a process.
pub struct Controller {
    settings: Settings,
    pools: Pools,
    pods: Pods,
    services: Services,
    references: References,
    catalog: CatalogKeeper,
    rules: Rules,
    ssh: Option<Connector>,
    exec: Option<Arc<dyn Exec>>,
    probes: Workers,
    hooks: Hooks,
    instances: Store,
    queue: Queue<PodKey>,
    records: Records,
    departed: Arc<Departed>,
    writer: PodWriter,
    actor: Actor,
    events: EventRecorder,
    caches: Caches,
    claim: Claim,
    meters: Meters,
    /// Places for plans in the making.
    places: Semaphore,
}

impl Controller {
    /// A controller that keeps its caches from now on, and acts while it [runs](Controller::run). Needs a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] when its metrics are registered already.
    pub fn start(settings: Settings, parts: Parts<'_>) -> Result<Arc<Self>, MetricsError> {
        let meters = Meters::new(parts.metrics)?;
        let queue = Queue::default();
        let departed = Arc::new(Departed::default());
        let pools = Pools::new(&settings.cluster, &settings.nodes);
        let watch = |node: &str| {
            let config = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
            let seen = notice(queue.clone(), Arc::clone(&departed));
            let api = Api::all(parts.kube.clone());
            parts.caches.reflect_lean(
                format!("pods of {node}"),
                api,
                config,
                fastrand::Rng::new(),
                lean,
                seen,
            )
        };
        let pods = Pods::new(pools.names().map(watch).collect());

        let stale = Stale::default();
        let seen = notice_services(queue.clone(), stale.clone(), pods.clone());
        let (api, config) = (Api::all(parts.kube.clone()), watcher::Config::default());
        let services = parts.caches.reflect("services", api, config, fastrand::Rng::new(), seen);

        let asked = queue.clone();
        let references =
            References::new(&parts.kube, MOST_WATCHES, fastrand::Rng::new(), move |key| asked.ask(key));
        let rules = firewall::Settings {
            relist: settings.firewall_relist,
            grace: settings.firewall_grace,
            ..firewall::Settings::default()
        };
        let rules = firewall::Keeper::new(parts.triton.clone(), parts.claim.clone(), rules);
        let writer = PodWriter::new(parts.kube);
        let exec = parts.ssh.clone().map(|connector| {
            let commands = Commands {
                connector,
                pods: pods.clone(),
                instances: parts.instances.clone(),
                catalog: parts.catalog.clone(),
                writer: writer.clone(),
            };
            Arc::new(commands) as Arc<dyn Exec>
        });
        let ear = Ear { queue: queue.clone(), events: parts.events.clone() };
        Ok(Arc::new(Self {
            settings,
            pools,
            pods,
            services: Services::new(services, stale),
            references,
            catalog: parts.catalog,
            rules: Rules::new(rules),
            ssh: parts.ssh,
            probes: Workers::new(Arc::new(ear), exec.clone(), ATTEMPTS_AT_ONCE),
            exec,
            hooks: Hooks::default(),
            instances: parts.instances.clone(),
            queue,
            records: Records::default(),
            departed,
            writer,
            actor: Actor::new(parts.triton, parts.instances, parts.claim.clone()),
            events: parts.events,
            caches: parts.caches,
            claim: parts.claim,
            meters,
            places: Semaphore::new(PLANS_AT_ONCE),
        }))
    }

    /// Looks after the pods while this process leads: begins when it does and the caches are complete, and returns
    /// when leadership ends. Dropping it stops what is under way.
    pub async fn run(self: Arc<Self>) {
        if self.claim.held().await.is_err() {
            return;
        }
        self.caches.synced().await;
        let nodes: Vec<&str> = self.pools.names().collect();
        tracing::info!(nodes = nodes.join(","), pods = self.pods.state().len(), "looking after pods");
        tokio::select! {
            () = self.claim.lapsed() => {}
            () = self.look_at_pods() => {}
            () = self.follow_instances() => {}
            () = self.follow_catalog() => {}
            () = self.keep_rules() => {}
            () = self.hold_pods() => {}
            () = self.sweep() => {}
        }
    }

    /// Looks at each pod when it is due.
    async fn look_at_pods(self: &Arc<Self>) {
        let look = |key| {
            let this = Arc::clone(self);
            async move {
                this.meters.waiting.set(i64::try_from(this.queue.len()).unwrap_or(i64::MAX));
                // The semaphore is never closed.
                if let Ok(place) = this.places.acquire().await {
                    // Boxed, so that those that wait for a place are small.
                    Box::pin(this.look(&key, place)).await;
                }
            }
        };
        self.queue.work(LOOKS_AT_ONCE, look).await;
    }

    /// Asks for a look at the pod of each instance that changes.
    async fn follow_instances(&self) {
        let mut changes = self.instances.subscribe();
        loop {
            let changed = changes.changed().await;
            let mut others = false;
            for id in changed {
                let instance = match self.instances.get(id) {
                    Lookup::Present(entry) => Some(Arc::clone(entry.expected())),
                    Lookup::Gone(tombstone) => Some(tombstone.instance),
                    Lookup::Unknown => None,
                };
                if instance.as_deref().is_some_and(rules::finds) {
                    self.rules.look();
                }
                let owner = instance.as_deref().and_then(Owner::of);
                match owner.filter(|owner| *owner.cluster == *self.settings.cluster) {
                    Some(owner) if self.pools.own(&owner) => {
                        self.queue.ask(&PodKey::of_owner(owner));
                    }
                    Some(_) => {}
                    None => others = true,
                }
            }
            if others && self.services.others_changed() {
                // Which pods the names are for is not known before the Services are read anew.
                self.pods
                    .state()
                    .iter()
                    .filter_map(|pod| PodKey::of(pod))
                    .for_each(|key| self.queue.ask(&key));
            }
        }
    }

    /// Asks for a look at each pod without an instance when a catalogue comes by which it may resolve.
    async fn follow_catalog(&self) {
        let mut catalogs = self.catalog.subscribe();
        // The sender lives as long as the keeper, of which this has a handle.
        while catalogs.changed().await.is_ok() {
            for key in self.pods.state().iter().filter_map(|pod| PodKey::of(pod)) {
                if self.instances_of(&key).is_empty() {
                    self.queue.ask(&key);
                }
            }
        }
    }
}

/// What to do about each event of the watch of pods.
fn notice(queue: Queue<PodKey>, departed: Arc<Departed>) -> impl FnMut(&Event<Pod>) + Send + 'static {
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

/// What to do about each event of the watch of Services: the pods of the namespace may be in others now.
fn notice_services(
    queue: Queue<PodKey>,
    stale: Stale,
    pods: Pods,
) -> impl FnMut(&Event<Service>) + Send + 'static {
    move |event| {
        stale.mark();
        if let Event::Apply(service) | Event::Delete(service) = event {
            let concerned = |pod: &&Arc<Pod>| pod.metadata.namespace == service.metadata.namespace;
            for key in pods.state().iter().filter(concerned).filter_map(|pod| PodKey::of(pod)) {
                queue.ask(&key);
            }
        }
    }
}
