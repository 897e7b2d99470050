//! What operators are shown: one look at one object, made of what the controllers' looks are made of, that writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::Explanation;
use provider::cns::ServiceKey;
use runtime::exit::one_line;
use triton::id::InstanceId;
use triton::reflector::Lookup;

use super::records::Record;
use super::service_looks::{ServiceController, StepError};
use super::{Controllers, Name};
use crate::explain::{explain_node, explain_service};
use crate::instances::Known;
use crate::node::{Memory, Plan as NodePlan, Step, plan as plan_node};
use crate::node_lifecycle::{Absence, Census, Step as LifeStep};
use crate::service::{self, Memory as ServiceMemory, Plan, Publication, instance};

/// A plan may ask for a read before it can decide. Networks and one instance are all that there is to read.
const READS: usize = 4;

/// What keeps an object from being explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such object.
    #[error("there is no {kind} {name} in the cluster")]
    Missing {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The controller that looks after such objects is not there.
    #[error("the controller of {kind}s is not on")]
    Off {
        /// The kind of object.
        kind: &'static str,
    },
    /// CloudAPI did not answer what the plan has to know.
    #[error("what decides about {name} cannot be read: {why}")]
    Read {
        /// The object.
        name: String,
        /// One line.
        why: String,
    },
}

impl Controllers {
    /// What would be done about a Service now. The caches must be complete.
    ///
    /// # Errors
    ///
    /// [`ExplainError`]
    pub async fn explain_service(&self, key: &ServiceKey) -> Result<Explanation, ExplainError> {
        let controller = self.service.as_ref().ok_or(ExplainError::Off { kind: "service" })?;
        controller.explain(key).await
    }

    /// What would be done about a Node now. The caches must be complete.
    ///
    /// # Errors
    ///
    /// [`ExplainError`]
    pub async fn explain_node(&self, name: &str) -> Result<Explanation, ExplainError> {
        let (Some(initialises), Some(deletes)) = (&self.node, &self.lifecycle) else {
            return Err(ExplainError::Off { kind: "node" });
        };
        let missing = || ExplainError::Missing { kind: "node", name: name.to_owned() };
        let key = Name::from(name);
        let mut record = Record::<Absence>::default();
        for look in 0..READS {
            let (node, identity, known) = self.cluster.observe(&key).ok_or_else(missing)?;
            let census = match &known {
                Known::Present(_) => Census::default(),
                Known::Gone { .. } | Known::Unknown => self.cluster.census(name),
            };
            let life = deletes.plan(&node, &identity, &known, record.memory, census);
            // Who has just begun to look does not know what is gone: one read says it, as one does in the process.
            if let (Some(LifeStep::Read(id)), 0) = (&life.step, look) {
                deletes.read(&key, *id, &mut record).await;
                continue;
            }
            let look = |observed: &crate::node::Observed<'_>| {
                let plan = plan_node(observed);
                let shown = explain_node(name, observed, &plan, &life);
                (plan, shown)
            };
            let (plan, shown) = initialises.observed(&node, &identity, &known, Memory::default(), look);
            let Some(networks) = unknown_networks(&plan) else { return Ok(shown) };
            let learnt = self.cluster.networks().learn(networks).await;
            learnt.map_err(|error| ExplainError::Read { name: name.to_owned(), why: one_line(&error) })?;
        }
        let why = "CloudAPI does not say which networks are public".to_owned();
        Err(ExplainError::Read { name: name.to_owned(), why })
    }
}

fn unknown_networks(plan: &NodePlan) -> Option<&[triton::id::NetworkId]> {
    plan.steps.iter().find_map(|step| match step {
        Step::LearnNetworks(ids) => Some(ids.as_slice()),
        Step::Recheck(_) | Step::PatchStatus { .. } | Step::PatchNode { .. } => None,
    })
}

impl ServiceController {
    async fn explain(&self, key: &ServiceKey) -> Result<Explanation, ExplainError> {
        let missing = || ExplainError::Missing { kind: "service", name: key.to_string() };
        self.see();
        let service = self.view.service(key).ok_or_else(missing)?;
        // An instance is written for all its Services at once.
        for other in self.view.services() {
            if let Some(key) = ServiceKey::of(&other) {
                let plan = self.observed(&key, &other, &ServiceMemory::default(), service::plan);
                self.publish(&key, &other, plan.publication);
            }
        }
        // What a plan has to read, it is given; what cannot be read, the next one does without.
        let (mut memory, mut seen) = (ServiceMemory::default(), BTreeSet::new());
        for _ in 0..READS {
            let plan = self.observed(key, &service, &memory, service::plan);
            let wanted = plan.read.filter(|id| seen.insert(*id));
            if plan.learn.is_empty() && wanted.is_none() {
                break;
            }
            let reads = async {
                self.learn(&plan.learn).await?;
                match wanted {
                    Some(id) => self.read(id).await,
                    None => Ok(()),
                }
            };
            let failed =
                |error: StepError| ExplainError::Read { name: key.to_string(), why: one_line(&error) };
            reads.await.map_err(failed)?;
            memory = plan.memory;
        }
        let plan_and_show = |observed: &service::Observed<'_>| {
            let plan = service::plan(observed);
            let instances = self.plan_instances(observed, &plan);
            explain_service(key, observed, &plan, &instances)
        };
        let mut shown = self.observed(key, &service, &memory, plan_and_show);
        self.balancers.explain(key, &service, &mut shown).await;
        Ok(shown)
    }

    /// The plans of the machines that the Service concerns: those that are in, and those that are to be.
    fn plan_instances(
        &self,
        observed: &service::Observed<'_>,
        plan: &Plan,
    ) -> BTreeMap<InstanceId, instance::Plan> {
        let mut ids: BTreeSet<InstanceId> =
            observed.carriers.keys().chain(observed.leftovers).copied().collect();
        if let Publication::Members(members) = &plan.publication {
            ids.extend(members.keys());
        }
        let plan = |id: InstanceId| {
            let Lookup::Present(entry) = self.view.cluster().instances().get(id) else { return None };
            if provider::owner::Owner::of(entry.expected()).is_some() {
                // A pod's: the virtual kubelet writes it.
                return None;
            }
            Some((id, self.plan_instance(id, &entry.expected().tags, &instance::Memory::default())))
        };
        ids.into_iter().filter_map(plan).collect()
    }
}
