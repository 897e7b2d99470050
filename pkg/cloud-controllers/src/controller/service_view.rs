//! Both sides as Services see them, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use provider::cns::{DefaultLoadBalancer, Directory, Exposure, ServiceKey, exposure, name_of, own_names};
use provider::names::tag;
use provider::owner::Owner;
use runtime::queue::Queue;
use tokio::sync::Notify;
use tokio::time::Instant;
use triton::grammar::cns::{CnsService, CnsServices};
use triton::id::InstanceId;
use triton::reflector::Lookup;
use triton::types::{InstanceState, TagValue, Tags};

use super::cluster::Cluster;
use crate::names::SERVICE_NAME;
use crate::service::board::{Board, Carried};
use crate::service::hostname::{self, service_in};
use crate::service::hosts::{Host, HostKind, Hosts};
use crate::service::instance::Fate;
use crate::service::plan::{has_finalizer, hostname_of};
use crate::service::{Carrier, Note};

/// As many names that were given up are kept before all are forgotten.
const RELEASED: usize = 10_000;

/// How long after a write reads may not show it: CloudAPI's jobs take some seconds (Triton reference 2.17).
const JOB: Duration = Duration::from_secs(15);

/// What is known of Services, their endpoints, and who carries their names.
pub(super) struct View {
    cluster: Arc<Cluster>,
    /// The cluster's name.
    name: String,
    default: DefaultLoadBalancer,
    services: Store<Service>,
    slices: Store<EndpointSlice>,
    news: News,
    state: Mutex<State>,
}

/// What the watches tell, from the moment on when they begin.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// Asks for looks.
    pub(super) queue: Queue<ServiceKey>,
    /// Rung when a Node changed.
    pub(super) nodes: Arc<Notify>,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    /// The names of the slices of each Service; perhaps of some more that are gone.
    slices: HashMap<ServiceKey, BTreeSet<Box<str>>>,
    /// The names in CNS of Services that were seen to be deleted, or to give up their name.
    released: HashSet<String>,
    /// Made when it is needed.
    directory: Arc<Directory>,
    /// Whether it is as the Services and the instances are.
    is_current: bool,
    /// A whole list came: whatever was missed meanwhile is in the stores.
    relisted: bool,
}

impl Told {
    fn release(&mut self, names: impl IntoIterator<Item = String>) {
        if self.released.len() >= RELEASED {
            self.released.clear();
        }
        self.released.extend(names);
    }
}

/// Names that an instance may have been given.
#[derive(Debug)]
struct Doubt {
    names: BTreeSet<String>,
    /// When the youngest write began.
    begun: Instant,
}

/// What is made of it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) board: Board,
    pub(super) carried: Carried,
    pub(super) hosts: Arc<Hosts>,
    /// Instances that may have been given names which nothing shows yet: a write is under way, or its answer was lost.
    doubts: HashMap<InstanceId, Doubt>,
    pub(super) networks: hostname::Known,
}

impl News {
    /// What to do about each event of the watch of Services.
    pub(super) fn of_services(&self, cluster: &str) -> impl FnMut(&Event<Service>) + Send + 'static {
        let (news, cluster) = (self.clone(), cluster.to_owned());
        move |event| {
            let mut told = news.told();
            match event {
                Event::Apply(service) | Event::InitApply(service) | Event::Delete(service) => {
                    let Some(key) = ServiceKey::of(service) else { return };
                    told.is_current = false;
                    if matches!(event, Event::Delete(_)) {
                        told.release(name_of(service, &cluster).ok());
                    }
                    drop(told);
                    news.queue.ask(&key);
                }
                Event::InitDone => {
                    told.is_current = false;
                    told.relisted = true;
                    drop(told);
                    news.nodes.notify_one();
                }
                Event::Init => {}
            }
        }
    }

    /// What to do about each event of the watch of EndpointSlices.
    pub(super) fn of_slices(&self) -> impl FnMut(&Event<EndpointSlice>) + Send + 'static {
        let news = self.clone();
        move |event| {
            let mut told = news.told();
            match event {
                Event::Apply(slice) | Event::InitApply(slice) | Event::Delete(slice) => {
                    let Some((key, name)) = owner_of(slice) else { return };
                    let names = told.slices.entry(key.clone()).or_default();
                    if matches!(event, Event::Delete(_)) {
                        names.remove(&name);
                    } else {
                        names.insert(name);
                    }
                    if names.is_empty() {
                        told.slices.remove(&key);
                    }
                    drop(told);
                    news.queue.ask(&key);
                }
                Event::InitDone => {
                    told.relisted = true;
                    drop(told);
                    news.nodes.notify_one();
                }
                Event::Init => {}
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics while holding the lock; should it ever, what was told is still usable.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owner_of(slice: &EndpointSlice) -> Option<(ServiceKey, Box<str>)> {
    let metadata = &slice.metadata;
    let service = metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    let key = ServiceKey { namespace: metadata.namespace.as_deref()?.into(), name: service.as_str().into() };
    Some((key, metadata.name.as_deref()?.into()))
}

impl View {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        (name, default): (String, DefaultLoadBalancer),
        services: Store<Service>,
        slices: Store<EndpointSlice>,
        news: News,
    ) -> Self {
        Self { cluster, name, default, services, slices, news, state: Mutex::default() }
    }

    pub(super) fn news(&self) -> &News {
        &self.news
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The cluster's name.
    pub(super) fn cluster_name(&self) -> &str {
        &self.name
    }

    pub(super) fn default_load_balancer(&self) -> DefaultLoadBalancer {
        self.default
    }

    pub(super) fn service(&self, key: &ServiceKey) -> Option<Arc<Service>> {
        self.services.get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// All Services.
    pub(super) fn services(&self) -> Vec<Arc<Service>> {
        self.services.state()
    }

    /// The slices of a Service.
    pub(super) fn slices(&self, key: &ServiceKey) -> Vec<Arc<EndpointSlice>> {
        let names = self.news.told().slices.get(key).cloned().unwrap_or_default();
        let slice = |name: Box<str>| self.slices.get(&ObjectRef::new(&name).within(&key.namespace));
        names.into_iter().filter_map(slice).collect()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; should it ever, the state is still usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which Services have which names. Asks for looks at those whose name came or went.
    pub(super) fn directory(&self) -> Arc<Directory> {
        let mut told = self.news.told();
        if told.is_current {
            return Arc::clone(&told.directory);
        }
        let services = self.services.state();
        let state = self.state();
        let is_foreign = |name: &str| state.carried.is_foreign(name);
        let services = services.iter().map(|service| &**service);
        let directory = Arc::new(Directory::read(services, &self.name, self.default, is_foreign));
        drop(state);
        let before = std::mem::replace(&mut told.directory, Arc::clone(&directory));
        told.is_current = true;
        // A Service that is still there and has another name now, or none, has given up its own.
        let given_up = before
            .names()
            .filter(|(key, name)| directory.holder(name).is_none() && self.service(key).is_some());
        told.release(given_up.map(|(_, name)| name.to_owned()));
        drop(told);
        let named = before.names().map(|(key, name)| (key, Some(name)));
        let nameless = before.notes().iter().map(|note| (&note.service, None));
        for (key, name) in named.chain(nameless) {
            if directory.name(key) != name {
                self.news.queue.ask(key);
            }
        }
        directory
    }

    /// Others' names changed: Services that wait for one may get it.
    pub(super) fn names_changed(&self) {
        self.news.told().is_current = false;
        self.directory();
    }

    /// Asks for a look at every Service that there is or was.
    pub(super) fn ask_all(&self) {
        let decided: Vec<ServiceKey> = self.state().board.services().cloned().collect();
        let present = self.services.state();
        for key in present.iter().filter_map(|service| ServiceKey::of(service)).chain(decided) {
            self.news.queue.ask(&key);
        }
    }

    /// Asks for a look at every Service whose finalizer waits for instances to leave.
    pub(super) fn ask_leaving(&self) {
        let leaving = |service: &&Arc<Service>| {
            let is_wanted = service.metadata.deletion_timestamp.is_none()
                && exposure(service, self.default) == Some(Exposure::LoadBalancer);
            has_finalizer(service) && !is_wanted
        };
        let services = self.services.state();
        for key in services.iter().filter(leaving).filter_map(|service| ServiceKey::of(service)) {
            self.news.queue.ask(&key);
        }
    }

    /// Reads the Nodes anew; says whether Services should be looked at for what changed, or for a list that came.
    pub(super) fn read_hosts(&self) -> bool {
        let datacenter = &self.cluster.place().datacenter;
        let nodes = self.cluster.nodes();
        let named = nodes.iter().filter_map(|node| Some((node.metadata.name.as_deref()?, node)));
        let hosts: Hosts = named.map(|(name, node)| (name.into(), Host::of(node, datacenter))).collect();
        let relisted = std::mem::take(&mut self.news.told().relisted);
        let mut state = self.state();
        if *state.hosts == hosts {
            return relisted;
        }
        state.hosts = Arc::new(hosts);
        true
    }

    /// Notes what an instance carries now. Gives the names of ours that this concerns, and whether others' names changed.
    pub(super) fn see_instance(&self, id: InstanceId) -> (BTreeSet<String>, bool) {
        let lookup = self.cluster.instances().get(id);
        let mut state = self.state();
        let change = match lookup {
            Lookup::Present(entry) => state.carried.see(entry.observed(), entry.expected(), &self.name),
            Lookup::Gone(_) | Lookup::Unknown => state.carried.forget(id),
        };
        let mut names = change.own;
        names.extend(state.carried.names_of(id).map(str::to_owned));
        (names, change.foreign)
    }

    /// A write that gives an instance these names begins.
    pub(super) fn doubt(&self, id: InstanceId, names: BTreeSet<String>) {
        let begun = Instant::now();
        let mut state = self.state();
        let doubt = state.doubts.entry(id).or_insert(Doubt { names: BTreeSet::new(), begun });
        doubt.names.extend(names);
        doubt.begun = begun;
    }

    /// From when on a read tells which names an instance was given, where that is not known.
    pub(super) fn in_doubt_until(&self, id: InstanceId) -> Option<Instant> {
        self.state().doubts.get(&id).map(|doubt| doubt.begun + JOB)
    }

    /// The store shows what was written, or that it was not.
    pub(super) fn settle(&self, id: InstanceId) {
        self.see_instance(id);
        if self.state().doubts.remove(&id).is_some() {
            self.ask_leaving();
        }
    }

    /// The instances that carry a name by us.
    pub(super) fn carriers(&self, name: &str) -> BTreeMap<InstanceId, Carrier> {
        let ids: Vec<InstanceId> = self.state().carried.own(name).collect();
        let carrier = |id: InstanceId| {
            let Lookup::Present(entry) = self.cluster.instances().get(id) else { return None };
            let instance = Arc::clone(entry.observed());
            Some((
                id,
                Carrier {
                    entries: own_entries(&entry.expected().tags, &self.name, name),
                    is_seen: own_names(&instance.tags, &self.name).contains(name),
                    is_pod: Owner::of(&instance).is_some(),
                    instance,
                },
            ))
        };
        ids.into_iter().filter_map(carrier).collect()
    }

    /// The instances that carry, or may carry, one of the names that a Service had, unless the name is another Service's now.
    pub(super) fn leftovers(&self, service: &Service, directory: &Directory) -> BTreeSet<InstanceId> {
        let mut names = self.names_of(service);
        names.retain(|name| directory.holder(name).is_none());
        let state = self.state();
        let doubted =
            state.doubts.iter().filter(|(_, doubt)| !doubt.names.is_disjoint(&names)).map(|(id, _)| *id);
        names.iter().flat_map(|name| state.carried.own(name)).chain(doubted).collect()
    }

    /// The names that a Service has or had: what it asks for, and what its status says.
    fn names_of(&self, service: &Service) -> BTreeSet<String> {
        let published = hostname_of(service).and_then(service_in).map(str::to_owned);
        name_of(service, &self.name).ok().into_iter().chain(published).collect()
    }

    /// Which of the machines and of these instances Triton says are not running.
    pub(super) fn stopped<'a>(
        &self,
        carriers: impl IntoIterator<Item = &'a InstanceId>,
    ) -> BTreeSet<InstanceId> {
        let hosts = Arc::clone(&self.state().hosts);
        let machines = hosts.values().filter_map(|host| match host.kind {
            HostKind::Machine(id) => Some(id),
            HostKind::Virtual | HostKind::Other => None,
        });
        let is_stopped = |id: &InstanceId| match self.cluster.instances().get(*id) {
            Lookup::Present(entry) => is_stopped(&entry.observed().state),
            Lookup::Gone(_) => true,
            // Nothing follows from not knowing.
            Lookup::Unknown => false,
        };
        machines.chain(carriers.into_iter().copied()).filter(is_stopped).collect()
    }

    /// What becomes of the names that an instance carries by us.
    pub(super) fn fates(&self, id: InstanceId) -> BTreeMap<String, Fate> {
        let directory = self.directory();
        let names: Vec<String> = self.state().carried.names_of(id).map(str::to_owned).collect();
        if names.iter().all(|name| directory.holder(name).is_some()) {
            let state = self.state();
            let fate = |name: &str| match directory.holder(name) {
                Some(key) if !state.board.is_decided(key) => Fate::Undecided,
                _ => Fate::Decided,
            };
            return names.into_iter().map(|name| (name.clone(), fate(&name))).collect();
        }
        let released: HashSet<String> = self
            .services
            .state()
            .iter()
            .filter(|it| self.may_release(it))
            .flat_map(|it| self.names_of(it))
            .collect();
        let given_up = self.news.told().released.clone();
        let state = self.state();
        let fate = |name: &str| match directory.holder(name) {
            Some(key) if !state.board.is_decided(key) => Fate::Undecided,
            Some(_) => Fate::Decided,
            None if released.contains(name) || given_up.contains(name) => Fate::Released,
            None => Fate::Orphaned,
        };
        names.into_iter().map(|name| (name.clone(), fate(&name))).collect()
    }

    /// Whether a Service may have given up a name: it is or was ours.
    fn may_release(&self, service: &Service) -> bool {
        exposure(service, self.default).is_some() || hostname_of(service).is_some()
    }

    /// Why a Service has no name.
    pub(super) fn nameless(&self, key: &ServiceKey, directory: &Directory) -> Note {
        let note = directory.notes().iter().find(|note| note.service == *key);
        note.map_or_else(
            || Note::warning("CNSNameless", "the Service has no name in CNS yet".to_owned()),
            |note| Note::warning(note.reason.as_str(), note.message.clone()),
        )
    }

    /// The Node of a machine.
    pub(super) fn node_of(&self, id: InstanceId) -> Option<Arc<str>> {
        let hosts = Arc::clone(&self.state().hosts);
        let mut named = hosts.iter().filter(|(_, host)| host.kind == HostKind::Machine(id));
        named.next().map(|(name, _)| Arc::clone(name))
    }
}

fn is_stopped(state: &InstanceState) -> bool {
    use InstanceState::{Deleted, Failed, Stopped, Stopping};
    matches!(state, Stopped | Stopping | Deleted | Failed)
}

/// The entries of this name that are recorded as the cluster's.
fn own_entries(tags: &Tags, cluster: &str, name: &str) -> Vec<CnsService> {
    let text = |key: &str| tags.get(key).map(TagValue::to_string);
    let own = text(tag::CNS).filter(|_| text(tag::CLUSTER).as_deref() == Some(cluster));
    let own = own.and_then(|own| own.parse::<CnsServices>().ok());
    own.into_iter().flatten().filter(|entry| entry.name() == name).collect()
}
