//! Looks at Services that load-balancer instances serve.
//!
//! Whoever looks at a Service for CNS asks for a look here as well, so that both see the same events; instances that change
//! ask for their Service.

use std::sync::{Arc, Mutex, PoisonError};

use diagnostics::Explanation;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use provider::cns::{Exposure, ServiceKey, exposure};
use provider::names::tag;
use runtime::events::EventRecorder;
use runtime::exit::one_line;
use runtime::leader::Claim;
use runtime::queue::Queue;
use tokio::time::Instant;
use triton::Client;
use triton::reflector::{Entry, Lookup, Writes};
use triton::types::TagValue;

use super::balancer_actor::Actor;
use super::records::{Record, Records};
use super::rehearsal::Rehearsal;
use super::say;
use super::service_view::View;
use super::service_writer::ServiceWriter;
use crate::explain::{balancer_steps, explain_balancers};
use crate::moirai::balancer::{balancer_name, is_own, service_of};
use crate::moirai::portmap::Behind;
use crate::moirai::status::{Change, has_finalizer};
use crate::moirai::supplies::Catalog;
use crate::moirai::{Defaults, Memory, Note, Observed, Outcome, Plan, Rules, Step, plan};

/// How load balancers are made and replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BalancerSettings {
    /// What they are made of where a Service does not say.
    pub defaults: Defaults,
    /// How long things take.
    pub rules: Rules,
}

/// Keeps the load-balancer instances of Services.
pub(super) struct BalancerController {
    view: Arc<View>,
    queue: Queue<ServiceKey>,
    records: Records<Memory, ServiceKey>,
    writer: ServiceWriter,
    events: EventRecorder,
    actor: Actor,
    settings: BalancerSettings,
    catalog: Mutex<Option<(Arc<Catalog>, Instant)>>,
    rehearsal: Option<Rehearsal>,
}

impl BalancerController {
    pub(super) fn new(
        view: Arc<View>,
        writer: ServiceWriter,
        events: EventRecorder,
        triton: Client,
        claim: Claim,
        settings: BalancerSettings,
        rehearsal: Option<Rehearsal>,
    ) -> Self {
        let writes = Writes::new(triton.clone(), view.cluster().instances().clone());
        let actor = Actor::new(triton, writes, claim, view.cluster_name().to_owned());
        let (queue, records, catalog) = (Queue::default(), Records::default(), Mutex::default());
        Self { view, queue, records, writer, events, actor, settings, catalog, rehearsal }
    }

    /// What both kinds of looks at Services are made of.
    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Asks for a look at a Service.
    pub(super) fn ask(&self, key: &ServiceKey) {
        self.queue.ask(key);
    }

    /// Works for ever: looks at Services when they are due, so many at once.
    pub(super) async fn work(self: &Arc<Self>, at_once: usize) {
        let look = |key: ServiceKey| {
            let this = Arc::clone(self);
            async move { this.look(&key).await }
        };
        tokio::select! {
            () = self.queue.work(at_once, look) => {}
            () = self.follow_instances() => {}
        }
    }

    async fn follow_instances(&self) {
        let store = self.view.cluster().instances();
        let mut changes = store.subscribe();
        loop {
            for id in changes.changed().await {
                let instance = match store.get(id) {
                    Lookup::Present(entry) => Some(Arc::clone(entry.expected())),
                    Lookup::Gone(tombstone) => Some(tombstone.instance),
                    Lookup::Unknown => None,
                };
                let cluster = self.view.cluster_name();
                if let Some(key) = instance.and_then(|instance| service_of(&instance, cluster)) {
                    self.queue.ask(&key);
                }
            }
        }
    }

    async fn look(&self, key: &ServiceKey) {
        let Some(service) = self.view.service(key) else { return };
        if !self.concerns(&service) {
            return;
        }
        let mut record = self.records.take(key);
        let mut plan = self.plan(key, &service, &record.memory);
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.tell("service", &format!("{key} (load balancers)"), balancer_steps(&plan));
            // What only reads goes on.
            plan.steps.retain(|step| *step == Step::Learn);
            (plan.status, plan.done) = (Change::default(), Vec::new());
        }
        record.memory = plan.memory.clone();
        if let Some(again) = plan.again {
            self.queue.ask_at(key, again);
        }
        for note in record.news(plan.notes.clone()) {
            self.say(&service, &note);
        }
        match self.act(key, &service, &plan, &mut record).await {
            Ok(()) => {
                record.succeeded();
                plan.done.iter().for_each(|note| self.say(&service, note));
                if !plan.steps.is_empty() {
                    self.queue.ask(key);
                }
            }
            Err(text) => {
                if let Some(text) = text {
                    let text = format!("Error syncing load balancer: {text}");
                    self.say(&service, &Note::warning("SyncLoadBalancerFailed", text));
                }
                self.queue.ask_at(key, record.failed(Instant::now()));
            }
        }
        self.records.put(key, record);
    }

    /// Adds what would be done about a Service's load balancers to an explanation, if it has them.
    pub(super) async fn explain(&self, key: &ServiceKey, service: &Service, shown: &mut Explanation) {
        if !self.concerns(service) {
            return;
        }
        let memory = Memory::default();
        if self.plan(key, service, &memory).steps.contains(&Step::Learn) {
            // What cannot be read, the plan does without.
            let _ = self.learn().await;
        }
        explain_balancers(shown, &self.plan(key, service, &memory), Instant::now());
    }

    /// Whether a Service is to have load balancers.
    fn is_wanted(&self, service: &Service) -> bool {
        service.metadata.deletion_timestamp.is_none()
            && exposure(service, self.view.default_load_balancer()) == Some(Exposure::Balanced)
    }

    /// Whether a Service has load balancers, or is to have them.
    fn concerns(&self, service: &Service) -> bool {
        self.is_wanted(service) || has_finalizer(service)
    }

    fn plan(&self, key: &ServiceKey, service: &Service, memory: &Memory) -> Plan {
        let directory = self.view.directory();
        let name = directory.name(key).ok_or_else(|| self.view.nameless(key, &directory));
        let hosts = Arc::clone(&self.view.state().hosts);
        let slices = self.view.slices(key);
        let instances = self.instances(service);
        let is_taken = name.as_ref().is_ok_and(|name| {
            let cns = balancer_name(name);
            let state = self.view.state();
            let is_ours = |id| instances.iter().any(|entry| entry.id() == id);
            directory.holder(&cns).is_some() || state.carried.foreign(&cns).any(|id| !is_ours(id))
        });
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plan(&Observed {
            service,
            key,
            cluster: self.view.cluster_name(),
            is_wanted: self.is_wanted(service),
            name,
            is_taken,
            behind: &Behind::read(slices.iter().map(|slice| &**slice), &hosts),
            defaults: &self.settings.defaults,
            rules: self.settings.rules,
            catalog: catalog.as_ref().map(|(catalog, read)| (&**catalog, *read)),
            instances: &instances,
            memory,
            now: Instant::now(),
            wall: Timestamp::now(),
        })
    }

    /// The instances that are tagged as the Service's.
    fn instances(&self, service: &Service) -> Vec<Arc<Entry>> {
        let uid = service.metadata.uid.as_deref().unwrap_or_default();
        let mut tagged = self.view.cluster().instances().by_tag(tag::UID, &TagValue::from(uid));
        tagged.retain(|entry| is_own(entry.expected(), self.view.cluster_name(), service));
        tagged
    }

    /// Writes the status and takes the steps. Of what fails, what users should know.
    async fn act(
        &self,
        key: &ServiceKey,
        service: &Service,
        plan: &Plan,
        record: &mut Record<Memory>,
    ) -> Result<(), Option<String>> {
        if !plan.status.is_empty() {
            let written = self.writer.write(key, plan.status.patch(service)).await;
            // Of a Service that has changed meanwhile the next look knows more.
            written.map_err(|error| (!matches!(error.code(), Some(404 | 409))).then(|| one_line(&error)))?;
        }
        let mut failure = None;
        for step in &plan.steps {
            let outcome = match step {
                Step::Learn => self.learn().await,
                step => self.actor.perform(step, service).await,
            };
            record.memory.tell(step, &outcome, Instant::now());
            if let Outcome::Failed { message, .. } = outcome {
                failure = failure.or(Some(message));
            }
        }
        failure.map_or(Ok(()), |message| Err(Some(message)))
    }

    async fn learn(&self) -> Outcome {
        match self.actor.learn().await {
            Ok(catalog) => {
                let learnt = Some((Arc::new(catalog), Instant::now()));
                *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) = learnt;
                Outcome::Done
            }
            Err(outcome) => outcome,
        }
    }

    fn say(&self, service: &Service, note: &Note) {
        say(&self.events, service, "BalanceService", note);
    }
}
