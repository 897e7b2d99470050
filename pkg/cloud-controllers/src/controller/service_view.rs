//! Both sides as Services see them, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::{ObjectRef, Store};
use provider::cns::{DefaultLoadBalancer, Directory, Exposure, ServiceKey, exposure, name_of};
use provider::names::tag;
use provider::owner::Owner;
use runtime::queue::Queue;
use tokio::time::Instant;
use triton::grammar::cns::{CnsService, CnsServices};
use triton::id::InstanceId;
use triton::reflector::Lookup;
use triton::types::{InstanceState, TagValue, Tags};

use super::cluster::Cluster;
use super::service_news::News;
use crate::service::board::{Board, Carried};
use crate::service::hostname::{self, service_in};
use crate::service::hosts::{Host, HostKind, Hosts};
use crate::service::instance::Fate;
use crate::service::plan::{has_finalizer, hostname_of};
use crate::service::{Carrier, Note};

/// How long after a write reads may not show it: CloudAPI's jobs take some seconds (Triton reference 2.17).
const JOB: Duration = Duration::from_secs(15);

/// How long an instance is left as it is after a decision that concerns it, and a Service after a change of an instance:
/// what is decided for other Services at that time, as for a node that is drained, is written with it.
pub(super) const GATHER: Duration = Duration::from_millis(500);

/// What is known of Services, their endpoints, and who carries their names.
pub(super) struct View {
    cluster: Arc<Cluster>,
    /// The cluster's name.
    name: String,
    default: DefaultLoadBalancer,
    services: Store<Service>,
    slices: Store<EndpointSlice>,
    news: News,
    /// Asks for looks at instances.
    instances: Queue<InstanceId>,
    state: Mutex<State>,
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

impl View {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        (name, default): (String, DefaultLoadBalancer),
        services: Store<Service>,
        slices: Store<EndpointSlice>,
        news: News,
    ) -> Self {
        let (instances, state) = (Queue::default(), Mutex::default());
        Self { cluster, name, default, services, slices, news, instances, state }
    }

    pub(super) fn news(&self) -> &News {
        &self.news
    }

    /// Which instances are to be looked at.
    pub(super) fn instances(&self) -> &Queue<InstanceId> {
        &self.instances
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

    /// Notes what all instances carry, before the first decision.
    pub(super) fn see_all(&self) {
        for entry in self.cluster.instances().entries() {
            self.see_instance(entry.id());
        }
    }

    /// Notes what an instance carries now, and asks for looks at what that concerns: the Services whose name it carries or is
    /// to carry, those that wait for it to leave, and itself.
    pub(super) fn notice(&self, id: InstanceId) {
        let (names, others) = self.see_instance(id);
        if others {
            self.names_changed();
        }
        let directory = self.directory();
        // Many instances change when many are written, and each concerns all of its Services.
        let at = Instant::now() + GATHER;
        for key in names.iter().filter_map(|name| directory.holder(name)) {
            self.news.queue.ask_at(key, at);
        }
        if names.iter().any(|name| directory.holder(name).is_none()) {
            self.ask_leaving();
        }
        let decided: Vec<ServiceKey> = self.state().board.services_of(id).cloned().collect();
        decided.iter().for_each(|key| self.news.queue.ask_at(key, at));
        if !(names.is_empty() && decided.is_empty()) {
            self.instances.ask(&id);
        }
    }

    /// Notes what an instance carries now. Gives the names of ours that this concerns, and whether others' names changed.
    /// Names that went are told this once only: whoever drops the answer leaves a Service waiting.
    fn see_instance(&self, id: InstanceId) -> (BTreeSet<String>, bool) {
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
        self.notice(id);
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
                    is_seen: !own_entries(&instance.tags, &self.name, name).is_empty(),
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
        let services = self.services.state();
        let state = self.state();
        // Who has another name now keeps the old one until it is decided who gets the new one, in the same write.
        let is_undecided = |service: &&Arc<Service>| {
            let key = ServiceKey::of(service).filter(|key| directory.name(key).is_some());
            key.is_some_and(|key| !state.board.is_decided(&key))
        };
        let undecided: HashSet<String> =
            services.iter().filter(is_undecided).flat_map(|it| self.names_of(it)).collect();
        let fate = |name: &str| match directory.holder(name) {
            Some(key) if !state.board.is_decided(key) => Fate::Undecided,
            Some(_) => Fate::Decided,
            None if undecided.contains(name) => Fate::Undecided,
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

/// The entries of this name that are recorded as the cluster's. A node has entries of all Services, and is looked at for
/// each of them: only those of the name are read.
fn own_entries(tags: &Tags, cluster: &str, name: &str) -> Vec<CnsService> {
    if tags.get(tag::CLUSTER).map(TagValue::to_string).as_deref() != Some(cluster) {
        return Vec::new();
    }
    let record = tags.get(tag::CNS).map(TagValue::to_string).unwrap_or_default();
    let named = record.split(',').filter(|entry| entry.split(':').next() == Some(name));
    named.filter_map(|entry| entry.parse::<CnsServices>().ok()).flatten().collect()
}

#[cfg(test)]
mod tests;
