//! Observes both sides, plans, acts.
//!
//! Both controllers are the same loop: whoever learns something about a Node or its instance asks the
//! [queue](runtime::queue) for a look at the Node; a look takes what is known from memory, makes the plan, and takes
//! its steps. The watch of Nodes and the reflector of instances ask; a pass over all Nodes every now and then is there
//! for safety only. A look that fails concerns its own Node.
//!
//! Only the leader looks. A standby keeps the same caches, so it acts as soon as it leads.

mod balancer_actor;
mod balancer_looks;
mod cluster;
mod explain;
mod lean;
mod lifecycle_looks;
mod matches;
mod metrics_looks;
mod node_looks;
mod records;
mod rehearsal;
mod route_looks;
mod scrape_looks;
mod service_looks;
mod service_news;
mod service_view;
mod service_writer;
mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use provider::cns::DefaultLoadBalancer;
use runtime::clients::{Clients, ClientsError, Priority};
use runtime::events::{EventRecorder, Happening, Reporter};
use runtime::leader::Claim;
use runtime::metrics::{Metrics, MetricsError};
use runtime::queue::Queue;
use runtime::watching::Caches;
use tokio::sync::Notify;
use triton::Client;
use triton::reflector::Store;

use self::balancer_looks::BalancerController;
pub use self::balancer_looks::BalancerSettings;
use self::cluster::Cluster;
pub use self::explain::ExplainError;
use self::lifecycle_looks::LifecycleController;
use self::metrics_looks::MetricsController;
pub use self::metrics_looks::{Discovery, MetricsSettings};
use self::node_looks::NodeController;
use self::rehearsal::Rehearsal;
use self::route_looks::RouteController;
pub use self::route_looks::RouteSettings;
use self::scrape_looks::ScrapeKeeper;
pub use self::scrape_looks::ScrapeSettings;
use self::service_looks::ServiceController;
use self::service_news::News;
use self::service_view::View;
use self::service_writer::ServiceWriter;
use crate::instances::InstanceCache;
use crate::names::{
    METRICS_CONTROLLER, NODE_CONTROLLER, NODE_LIFECYCLE_CONTROLLER, ROUTE_CONTROLLER, SERVICE_CONTROLLER,
};
use crate::networks::Networks;
use crate::node::Note;
use crate::node::labels::Place;
use crate::node_lifecycle::Limits;

/// The name of a Node.
type Name = Arc<str>;

/// A controller of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Initialises Nodes and keeps them true.
    Node,
    /// Deletes Nodes whose machine is gone, and taints those whose machine is shut down.
    NodeLifecycle,
    /// Keeps Services in CNS.
    Service,
    /// Keeps the routes of fabric networks to the pods of Nodes.
    Route,
    /// Keeps machines in the cluster's CMON group, and tells Prometheus of instances.
    Metrics,
}

/// How the service-lb controller works.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// The cluster's name, which keeps clusters in one account apart.
    pub cluster: String,
    /// What Services of type LoadBalancer without a class are exposed by.
    pub default_load_balancer: DefaultLoadBalancer,
    /// How many Services are looked at at once, and as many instances.
    pub looks_at_once: usize,
    /// How load balancers of class `tritondatacenter.com/moirai` are made.
    pub balancers: BalancerSettings,
}

/// How the controllers work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which controllers there are.
    pub controllers: BTreeSet<Kind>,
    /// Where the machines are.
    pub place: Place,
    /// How many Nodes may be deleted.
    pub limits: Limits,
    /// How many Nodes are looked at at once, by each controller.
    pub looks_at_once: usize,
    /// How often the node controller looks at all Nodes though nothing has happened.
    pub node_pass: Duration,
    /// How often the node lifecycle controller does.
    pub node_lifecycle_pass: Duration,
    /// How the service-lb controller works.
    pub services: ServiceSettings,
    /// How the route controller works.
    pub route: RouteSettings,
    /// How the metrics controller works.
    pub metrics: MetricsSettings,
}

/// What the controllers work with.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Makes the Kubernetes clients.
    pub clients: &'a Clients,
    /// Leadership.
    pub claim: Claim,
    /// The name of this process, for events.
    pub identity: String,
    /// The caches of the process.
    pub caches: Caches,
    /// The metrics of the process.
    pub metrics: &'a Metrics,
    /// The CloudAPI client, whose budget is the process's.
    pub triton: Client,
    /// The instances of the account.
    pub instances: Store,
}

/// Why the controllers could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A Kubernetes client could not be made.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// A metric could not be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// The controllers of a process.
pub struct Controllers {
    cluster: Arc<Cluster>,
    caches: Caches,
    claim: Claim,
    settings: Settings,
    node: Option<Arc<NodeController>>,
    lifecycle: Option<Arc<LifecycleController>>,
    service: Option<Arc<ServiceController>>,
    route: Option<RouteController>,
    metrics: Option<MetricsController>,
    scrape: Option<ScrapeKeeper>,
}

impl Controllers {
    /// Controllers that keep their caches from now on, and act while they [run](Controllers::run). Needs a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing has been sent then.
    pub fn start(settings: Settings, parts: Parts<'_>) -> Result<Self, StartError> {
        let has = |kind| settings.controllers.contains(&kind);
        let (node_queue, lifecycle_queue) = (Queue::default(), Queue::default());
        let queues = [(Kind::Node, &node_queue), (Kind::NodeLifecycle, &lifecycle_queue)];
        let asked: Vec<Queue<Name>> =
            queues.into_iter().filter(|(kind, _)| has(*kind)).map(|(_, queue)| queue.clone()).collect();

        parts.caches.add(Arc::new(InstanceCache(parts.instances.clone())));
        let api: Api<Node> = Api::all(parts.clients.client("nodes", Priority::Normal)?);
        let news = News::default();
        let (route_bell, metrics_bell) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let bells = [Arc::clone(&route_bell), Arc::clone(&metrics_bell), Arc::clone(&news.nodes)];
        let seen = notice(asked, bells);
        let config = watcher::Config::default().page_size(lean::NODES_AT_ONCE);
        let nodes = parts.caches.reflect_lean("nodes", api, config, fastrand::Rng::new(), lean::node, seen);
        let networks = Networks::new(&parts.triton);
        let cluster =
            Arc::new(Cluster::new(nodes, parts.instances.clone(), networks, settings.place.clone()));

        let recorder = |name: &str| -> Result<EventRecorder, ClientsError> {
            // Who only looks tells nobody.
            if parts.claim.only_looks() {
                return Ok(EventRecorder::muted());
            }
            let client = parts.clients.client(name, Priority::Background)?;
            let reporter = Reporter { controller: name.to_owned(), instance: parts.identity.clone() };
            Ok(EventRecorder::start(client, reporter, Timestamp::now))
        };
        let writer = |name: &'static str, priority| -> Result<writer::NodeWriter, ClientsError> {
            let client = parts.clients.leading(name, priority, &parts.claim)?;
            Ok(writer::NodeWriter::new(client, name))
        };
        let rehearsal = match parts.claim.only_looks() {
            false => None,
            true => Some(Rehearsal::new(parts.metrics)?),
        };
        let node = match has(Kind::Node) {
            false => None,
            true => Some(Arc::new(NodeController::new(
                Arc::clone(&cluster),
                node_queue,
                writer(NODE_CONTROLLER, Priority::Normal)?,
                recorder(NODE_CONTROLLER)?,
                parts.metrics,
                rehearsal.clone(),
            )?)),
        };
        let service = match has(Kind::Service) {
            false => None,
            true => {
                let view = Arc::new(view(&settings.services, &parts, &cluster, news)?);
                let client = parts.clients.leading(SERVICE_CONTROLLER, Priority::Normal, &parts.claim)?;
                let (writer, events) = (ServiceWriter::new(client), recorder(SERVICE_CONTROLLER)?);
                let (triton, claim) = (parts.triton.clone(), parts.claim.clone());
                let balancers = Arc::new(BalancerController::new(
                    view,
                    writer.clone(),
                    events.clone(),
                    triton.clone(),
                    claim.clone(),
                    settings.services.balancers.clone(),
                    rehearsal.clone(),
                ));
                Some(Arc::new(ServiceController::new(
                    balancers,
                    writer,
                    events,
                    triton,
                    claim,
                    parts.metrics,
                    rehearsal.clone(),
                )?))
            }
        };
        let lifecycle = match has(Kind::NodeLifecycle) {
            false => None,
            true => Some(Arc::new(LifecycleController::new(
                Arc::clone(&cluster),
                lifecycle_queue,
                writer(NODE_LIFECYCLE_CONTROLLER, Priority::Urgent)?,
                recorder(NODE_LIFECYCLE_CONTROLLER)?,
                parts.triton.clone(),
                settings.limits,
                parts.metrics,
                rehearsal.clone(),
            )?)),
        };
        let route = match has(Kind::Route) {
            false => None,
            true => Some(RouteController::new(
                Arc::clone(&cluster),
                route_bell,
                writer(ROUTE_CONTROLLER, Priority::Normal)?,
                recorder(ROUTE_CONTROLLER)?,
                parts.triton.clone(),
                parts.claim.clone(),
                settings.route.clone(),
                parts.metrics,
                rehearsal.clone(),
            )?),
        };
        // Who only looks does not keep objects for others.
        let keeps = has(Kind::Metrics) && rehearsal.is_none();
        let scrape = match settings.metrics.scrape.clone().filter(|_| keeps) {
            None => None,
            Some(scrape) => {
                let client = parts.clients.leading(METRICS_CONTROLLER, Priority::Background, &parts.claim)?;
                Some(ScrapeKeeper::new(scrape, client, recorder(METRICS_CONTROLLER)?))
            }
        };
        let metrics = match has(Kind::Metrics) {
            false => None,
            true => Some(MetricsController::new(
                Arc::clone(&cluster),
                metrics_bell,
                recorder(METRICS_CONTROLLER)?,
                parts.triton,
                parts.claim.clone(),
                settings.metrics.clone(),
                rehearsal,
            )),
        };
        Ok(Self {
            cluster,
            caches: parts.caches,
            claim: parts.claim,
            settings,
            node,
            lifecycle,
            service,
            route,
            metrics,
            scrape,
        })
    }

    /// What Prometheus is told; `None` without the metrics controller. It answers whoever leads.
    pub fn discovery(&self) -> Option<Discovery> {
        self.metrics.as_ref().map(MetricsController::discovery)
    }

    /// Works while this process leads: begins when it does and the caches are complete, and returns when leadership
    /// ends. Dropping it stops what is under way.
    pub async fn run(self) {
        tokio::select! {
            () = self.lead() => {}
            () = work(self.metrics.as_ref().map(|it| it.learn(&self.caches))) => {}
        }
    }

    async fn lead(&self) {
        // Who only looks does so without leading, and writes nothing.
        let only_looks = self.claim.only_looks();
        if !only_looks && self.claim.held().await.is_err() {
            return;
        }
        self.caches.synced().await;
        tracing::info!(nodes = self.cluster.names().len(), "looking after nodes");
        let at_once = self.settings.looks_at_once;
        tokio::select! {
            () = self.claim.lapsed(), if !only_looks => {}
            () = work(self.node.as_ref().map(|it| it.work(at_once))) => {}
            () = work(self.lifecycle.as_ref().map(|it| it.work(at_once))) => {}
            () = work(self.service.as_ref().map(|it| it.work(self.settings.services.looks_at_once))) => {}
            () = work(self.route.as_ref().map(RouteController::work)) => {}
            () = work(self.metrics.as_ref().map(MetricsController::work)) => {}
            () = work(self.scrape.as_ref().map(ScrapeKeeper::work)) => {}
            () = self.follow_instances() => {}
            () = self.pass(self.node.as_ref().map(|it| it.queue()), self.settings.node_pass) => {}
            () = self.pass(self.lifecycle.as_ref().map(|it| it.queue()), self.settings.node_lifecycle_pass) => {}
        }
    }

    /// Asks for a look at the Node of each instance that changes.
    async fn follow_instances(&self) {
        let mut changes = self.cluster.instances().subscribe();
        loop {
            for id in changes.changed().await {
                for name in self.cluster.concerned(id) {
                    for queue in self.queues() {
                        queue.ask(&name);
                    }
                }
            }
        }
    }

    /// Asks for a look at every Node, again and again; the first time at once.
    async fn pass(&self, queue: Option<&Queue<Name>>, every: Duration) {
        let Some(queue) = queue else { return std::future::pending().await };
        loop {
            for name in self.cluster.names() {
                queue.ask(&name);
            }
            tokio::time::sleep(every).await;
        }
    }

    fn queues(&self) -> impl Iterator<Item = &Queue<Name>> {
        let node = self.node.as_ref().map(|it| it.queue());
        node.into_iter().chain(self.lifecycle.as_ref().map(|it| it.queue()))
    }
}

impl std::fmt::Debug for Controllers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controllers").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The work of a controller; for ever without one.
async fn work(work: Option<impl Future<Output = ()>>) {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Begins to watch what Services are made of.
fn view(
    settings: &ServiceSettings,
    parts: &Parts<'_>,
    cluster: &Arc<Cluster>,
    news: News,
) -> Result<View, ClientsError> {
    let (config, random) = (watcher::Config::default, fastrand::Rng::new);
    let client = parts.clients.client("services", Priority::Normal)?;
    let (services, slices) = (Api::<Service>::all(client.clone()), Api::<EndpointSlice>::all(client));
    let seen = news.of_services(&settings.cluster);
    let services = parts.caches.reflect_lean("services", services, config(), random(), lean::service, seen);
    let seen = news.of_slices();
    let slices = parts.caches.reflect_lean("endpointslices", slices, config(), random(), lean::slice, seen);
    let conventions = (settings.cluster.clone(), settings.default_load_balancer);
    Ok(View::new(Arc::clone(cluster), conventions, services, slices, news))
}

/// What to do about each event of the watch of Nodes.
fn notice(queues: Vec<Queue<Name>>, bells: [Arc<Notify>; 3]) -> impl FnMut(&Event<Node>) + Send + 'static {
    move |event| {
        bells.iter().for_each(|bell| bell.notify_one());
        let (Event::Apply(node) | Event::InitApply(node) | Event::Delete(node)) = event else { return };
        let Some(name) = node.metadata.name.as_deref() else { return };
        for queue in &queues {
            queue.ask(&Name::from(name));
        }
    }
}

/// Tells users something about an object.
fn say<K: Resource<DynamicType = ()>>(events: &EventRecorder, object: &K, action: &str, note: &Note) {
    let metadata = object.meta();
    tracing::info!(
        kind = %K::kind(&()),
        namespace = metadata.namespace.as_deref(),
        name = metadata.name.as_deref().unwrap_or_default(),
        reason = note.reason,
        "{}",
        note.text
    );
    events.record(Happening {
        regarding: object.object_ref(&()),
        severity: note.severity,
        reason: note.reason.to_owned(),
        action: action.to_owned(),
        note: note.text.clone(),
    });
}
