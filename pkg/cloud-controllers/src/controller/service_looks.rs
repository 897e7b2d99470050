//! The looks of the service-lb controller: at Services, and at the instances of nodes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use prometheus::{IntCounter, IntCounterVec};
use provider::cns::{ServiceKey, exposure};
use provider::names::tag;
use runtime::clients::ApiError;
use runtime::events::EventRecorder;
use runtime::exit::one_line;
use runtime::leader::Claim;
use runtime::metrics::{Metrics, MetricsError};
use tokio::time::Instant;
use triton::budget::Priority;
use triton::client::Found;
use triton::id::{InstanceId, NetworkId};
use triton::reflector::{Expectation, Lookup};
use triton::types::Tags;
use triton::{Client, Kind};

use super::balancer_looks::BalancerController;
use super::records::Records;
use super::rehearsal::Rehearsal;
use super::say;
use super::service_view::{GATHER, View};
use super::service_writer::ServiceWriter;
use crate::explain::{instance_step, status_steps};
use crate::service::backends::Backends;
use crate::service::board::Members;
use crate::service::hostname::Names;
use crate::service::{Memory, Note, Observed, Plan, Publication, instance, plan};

/// How often all Services are looked at though nothing has happened. For safety only.
const PASS: Duration = Duration::from_secs(600);

/// The pause between two readings of all Nodes, which change all the time where there are many.
const APART: Duration = Duration::from_millis(100);

/// The pause between reads that are to tell what became of a write.
const DOUBT: Duration = Duration::from_secs(5);

/// Keeps Services in CNS.
pub(super) struct ServiceController {
    pub(super) view: Arc<View>,
    pub(super) balancers: Arc<BalancerController>,
    records: Records<Memory, ServiceKey>,
    instance_records: Records<instance::Memory, InstanceId>,
    writer: ServiceWriter,
    events: EventRecorder,
    triton: Client,
    claim: Claim,
    syncs: IntCounter,
    updates: IntCounterVec,
    rehearsal: Option<Rehearsal>,
}

impl ServiceController {
    pub(super) fn new(
        balancers: Arc<BalancerController>,
        writer: ServiceWriter,
        events: EventRecorder,
        triton: Client,
        claim: Claim,
        metrics: &Metrics,
        rehearsal: Option<Rehearsal>,
    ) -> Result<Self, MetricsError> {
        let syncs = metrics.counter(
            "service_controller_loadbalancer_sync_total",
            "Looks at Services that are to be in CNS.",
        )?;
        let updates = metrics.counters(
            "service_controller_instance_updates_total",
            "Writes of CNS services to the instances of nodes, by how they ended: done or failed.",
            &["outcome"],
        )?;
        let (records, instance_records) = (Records::default(), Records::default());
        Ok(Self {
            view: Arc::clone(balancers.view()),
            balancers,
            records,
            instance_records,
            writer,
            events,
            triton,
            claim,
            syncs,
            updates,
            rehearsal,
        })
    }

    /// Works for ever: looks at Services and at instances when they are due, so many at once of each.
    pub(super) async fn work(self: &Arc<Self>, at_once: usize) {
        self.see();
        let look_at_service = |key: ServiceKey| {
            let this = Arc::clone(self);
            async move { this.look_at_service(&key).await }
        };
        let look_at_instance = |id: InstanceId| {
            let this = Arc::clone(self);
            async move { this.look_at_instance(id).await }
        };
        tokio::select! {
            () = self.view.news().queue.work(at_once, look_at_service) => {}
            () = self.view.instances().work(at_once, look_at_instance) => {}
            () = self.balancers.work(at_once) => {}
            () = self.follow_nodes() => {}
            () = self.follow_instances() => {}
            () = self.pass() => {}
        }
    }

    /// Before the first decision: who carries what, and which Nodes there are.
    pub(super) fn see(&self) {
        self.view.see_all();
        self.view.read_hosts();
    }

    /// Asks for a look at every Service when what matters of the Nodes changes.
    async fn follow_nodes(&self) {
        loop {
            self.view.news().nodes.notified().await;
            if self.view.read_hosts() {
                self.view.ask_all();
            }
            tokio::time::sleep(APART).await;
        }
    }

    /// Asks for looks at what an instance that changes concerns; at first, at what each instance does.
    async fn follow_instances(&self) {
        let mut changes = self.view.cluster().instances().subscribe();
        loop {
            for id in changes.changed().await {
                self.view.notice(id);
            }
        }
    }

    /// Asks for a look at every Service, again and again; the first time at once.
    async fn pass(&self) {
        loop {
            self.view.ask_all();
            tokio::time::sleep(PASS).await;
        }
    }

    async fn look_at_service(&self, key: &ServiceKey) {
        self.balancers.ask(key);
        let mut record = self.records.take(key);
        let Some(service) = self.view.service(key) else {
            let changed = self.view.state().board.forget(key);
            return changed.iter().for_each(|id| self.view.instances().ask(id));
        };
        let plan = self.observed(key, &service, &record.memory, plan);
        record.memory = plan.memory.clone();
        if !matches!(plan.publication, Publication::Withdrawn) {
            self.syncs.inc();
        }
        if let Some(again) = plan.again {
            self.view.news().queue.ask_at(key, again);
        }
        for note in record.news(plan.notes.clone()) {
            self.say(&service, &note);
        }
        self.publish(key, &service, plan.publication.clone());
        match self.act(key, &service, &plan).await {
            Ok(()) => {
                record.succeeded();
                // What was not written is not done.
                let done = plan.done.iter().filter(|_| self.rehearsal.is_none());
                done.for_each(|note| self.say(&service, note));
            }
            Err(error) => {
                if !plan.learn.is_empty() {
                    // Not asked, or not answered.
                    record.memory.learnt_nothing();
                }
                if !error.is_lag() {
                    let text = format!("Error syncing load balancer: {}", one_line(&error));
                    self.say(&service, &Note::warning("SyncLoadBalancerFailed", text));
                }
                self.view.news().queue.ask_at(key, record.failed(Instant::now()));
            }
        }
        self.records.put(key, record);
    }

    /// What a plan, or an explanation of it, is made of.
    pub(super) fn observed<R>(
        &self,
        key: &ServiceKey,
        service: &Service,
        memory: &Memory,
        look: impl FnOnce(&Observed<'_>) -> R,
    ) -> R {
        let directory = self.view.directory();
        let name = directory.name(key).ok_or_else(|| self.view.nameless(key, &directory));
        let carriers = name.as_ref().map(|name| self.view.carriers(name)).unwrap_or_default();
        let slices = self.view.slices(key);
        let (hosts, networks) = {
            let state = self.view.state();
            (Arc::clone(&state.hosts), state.networks.clone())
        };
        look(&Observed {
            service,
            exposure: exposure(service, self.view.default_load_balancer()),
            name,
            hosts: &hosts,
            backends: &Backends::read(slices.iter().map(|slice| &**slice)),
            stopped: &self.view.stopped(carriers.keys()),
            carriers: &carriers,
            leftovers: &self.view.leftovers(service, &directory),
            networks: &networks,
            memory,
            now: Instant::now(),
            wall: Timestamp::now(),
        })
    }

    /// Tells the instances what was decided.
    pub(super) fn publish(&self, key: &ServiceKey, service: &Service, publication: Publication) {
        let members = match publication {
            Publication::AsItIs => return,
            Publication::Members(members) => members,
            Publication::Withdrawn => Members::new(),
        };
        let directory = self.view.directory();
        let mut state = self.view.state();
        let is_new = !state.board.is_decided(key);
        let mut changed = state.board.decide(key, members);
        if let Some(name) = directory.name(key).filter(|_| is_new) {
            // What was left as it was until now.
            changed.extend(state.carried.own(name));
        }
        drop(state);
        changed.extend(self.view.leftovers(service, &directory));
        let at = Instant::now() + GATHER;
        changed.iter().for_each(|id| self.view.instances().ask_at(id, at));
    }

    async fn act(&self, key: &ServiceKey, service: &Service, plan: &Plan) -> Result<(), StepError> {
        if let Some(rehearsal) = &self.rehearsal {
            let steps = plan.status.iter().flat_map(status_steps).collect();
            rehearsal.tell("service", &key.to_string(), steps);
        } else if let Some(change) = &plan.status {
            self.writer.patch(key, service, change).await?;
        }
        if !plan.learn.is_empty() {
            self.learn(&plan.learn).await?;
            self.view.news().queue.ask(key);
        }
        if let Some(id) = plan.read {
            self.read(id).await?;
            // What it shows may be no news to the reflector, and yet be what this Service waits for.
            if let Lookup::Present(entry) = self.view.cluster().instances().get(id)
                && entry.observed().dns_names.is_some()
            {
                self.view.news().queue.ask_at(key, Instant::now());
            }
        }
        Ok(())
    }

    /// Learns the names of networks. Those that have none yet are asked again another time.
    pub(super) async fn learn(&self, ids: &[NetworkId]) -> Result<(), StepError> {
        for id in ids {
            let network = match self.triton.with_priority(Priority::Status).get_network(*id).await {
                Ok(network) => network,
                // A network that is not shown has no names that could be known.
                Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Forbidden) => continue,
                Err(error) => return Err(StepError::Network(error)),
            };
            let names = Names::of(&network);
            if names.suffix.is_some() {
                self.view.state().networks.insert(*id, names);
            }
        }
        Ok(())
    }

    pub(super) async fn read(&self, id: InstanceId) -> Result<(), StepError> {
        let begun = Instant::now();
        let found = self.triton.with_priority(Priority::Status).get_instance(id).await;
        match found.map_err(StepError::Instance)? {
            Found::Present(instance) => self.view.cluster().instances().found(instance, begun),
            Found::Gone(last) => self.view.cluster().instances().gone(last),
        }
        Ok(())
    }

    async fn look_at_instance(&self, id: InstanceId) {
        let mut record = self.instance_records.take(&id);
        if let Some(until) = self.view.in_doubt_until(id) {
            let is_there = matches!(self.view.cluster().instances().get(id), Lookup::Present(_));
            if !is_there {
                self.view.settle(id);
            } else if until > Instant::now() {
                self.view.instances().ask_at(&id, until);
            } else {
                match self.read(id).await {
                    Ok(()) => self.view.settle(id),
                    Err(error) => {
                        tracing::debug!(instance = %id, error = %one_line(&error), "a write stays in doubt");
                        self.view.instances().ask_at(&id, Instant::now() + DOUBT);
                    }
                }
            }
        }
        let Lookup::Present(entry) = self.view.cluster().instances().get(id) else { return };
        if provider::owner::Owner::of(entry.expected()).is_some() {
            // A pod's: the virtual kubelet writes it.
            return;
        }
        let plan = self.plan_instance(id, &entry.expected().tags, &record.memory);
        record.memory = plan.memory.clone();
        if let Some(again) = plan.again {
            self.view.instances().ask_at(&id, again);
        }
        for note in record.news(plan.notes.clone()) {
            self.say_of_instance(id, &note);
        }
        match self.write(id, &plan).await {
            Ok(()) => record.succeeded(),
            Err(error) => {
                self.updates.with_label_values(&["failed"]).inc();
                let text = one_line(&error);
                tracing::warn!(instance = %id, error = %text, "the CNS services of a node could not be written");
                self.view.instances().ask_at(&id, record.failed(Instant::now()));
            }
        }
        self.instance_records.put(&id, record);
    }

    /// The plan for an instance that has these tags.
    pub(super) fn plan_instance(
        &self,
        id: InstanceId,
        tags: &Tags,
        memory: &instance::Memory,
    ) -> instance::Plan {
        let fates = self.view.fates(id);
        let entries = self.view.state().board.entries_of(id);
        instance::plan(&instance::Observed {
            tags,
            cluster: self.view.cluster_name(),
            entries: &entries,
            fates: &fates,
            memory,
            now: Instant::now(),
        })
    }

    /// Writes what a plan says; each write is noted, so that the next plan does not repeat it.
    async fn write(&self, id: InstanceId, plan: &instance::Plan) -> Result<(), StepError> {
        if let Some(rehearsal) = &self.rehearsal {
            let name = id.to_string();
            rehearsal.tell("service", &name, instance_step(&name, plan).into_iter().collect());
            return Ok(());
        }
        if plan.set.is_empty() && plan.remove.is_empty() {
            return Ok(());
        }
        let priority = if plan.withdraws { Priority::Withdraw } else { Priority::Status };
        let client = self.triton.with_priority(priority);
        let store = self.view.cluster().instances();
        // A Service must not be taken to have left while this is under way.
        if !plan.names.is_empty() {
            self.view.doubt(id, plan.names.clone());
        }
        let writes = async {
            if !plan.set.is_empty() {
                client.add_tags(id, &plan.set).await?;
                store.expect(id, Expectation::Tags { set: plan.set.clone(), removed: [].into() });
            }
            for key in &plan.remove {
                // Others leave their services before the record of ours goes here, which means nothing without them.
                let record = *key != tag::CNS_SERVICES;
                let client =
                    if record { self.triton.with_priority(Priority::Status) } else { client.clone() };
                match client.delete_tag(id, key).await {
                    Err(error) if error.kind() != Kind::NotFound => return Err(error),
                    // What is not there need not be removed.
                    _ => {}
                }
                store.expect(id, Expectation::Tags { set: Tags::new(), removed: [(*key).to_owned()].into() });
            }
            Ok(())
        };
        match self.claim.run(writes).await {
            Ok(written) => written.map_err(StepError::Instance)?,
            Err(_not_leading) => return Ok(()),
        }
        self.view.settle(id);
        self.updates.with_label_values(&["done"]).inc();
        Ok(())
    }

    fn say(&self, service: &Service, note: &Note) {
        say(&self.events, service, "PublishService", note);
    }

    /// Tells users of the Node what is wrong with its instance.
    fn say_of_instance(&self, id: InstanceId, note: &Note) {
        let node = self.view.node_of(id).and_then(|name| self.view.cluster().node(&name));
        match node {
            Some(node) => say(&self.events, &*node, "PublishService", note),
            None => tracing::warn!(instance = %id, reason = note.reason, "{}", note.text),
        }
    }
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error("cannot write the Service")]
    Kube(#[from] ApiError),
    #[error("cannot learn the names that CNS has for a network")]
    Network(#[source] triton::Error),
    #[error("cannot read or write the instance")]
    Instance(#[source] triton::Error),
}

impl StepError {
    /// Whether the next look will see why, so that nobody need be told.
    fn is_lag(&self) -> bool {
        matches!(self, Self::Kube(error) if matches!(error.code(), Some(404 | 409)))
    }
}
