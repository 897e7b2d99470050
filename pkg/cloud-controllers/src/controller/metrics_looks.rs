//! The looks of the metrics controller. There is one look at all: it reads memory, and writes little.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use provider::cmon::{Change, NoChange, group};
use provider::names::DEFAULT_CLUSTER;
use provider::names::tag::CMON_GROUPS;
use runtime::events::{EventRecorder, Severity};
use runtime::exit::one_line;
use runtime::leader::Claim;
use runtime::watching::Caches;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use triton::budget::Priority;
use triton::id::InstanceId;
use triton::reflector::Expectation;
use triton::types::Tags;
use triton::{Client, Kind};

use super::cluster::Cluster;
use super::records::Record;
use super::rehearsal::Rehearsal;
use super::say;
use super::scrape_looks::ScrapeSettings;
use crate::metrics::discovery::{Cmon, targets};
use crate::metrics::groups::{Refusal, Write, plan};
use crate::node::Note;

/// How often it looks though nothing has happened: metrics are not urgent.
const PERIOD: Duration = Duration::from_secs(60);

/// Looks are at least so far apart.
const APART: Duration = Duration::from_secs(1);

/// The pauses between attempts to learn where CMON is, and how long what was learnt is believed.
const LEARN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));

/// How the metrics controller works.
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// The name of the cluster: `--cluster-name`.
    pub cluster: String,
    /// What Prometheus' operator is given, if anything: `--cmon-scrape-config`.
    pub scrape: Option<ScrapeSettings>,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { cluster: DEFAULT_CLUSTER.to_owned(), scrape: None }
    }
}

/// What Prometheus is told of the cluster's instances. Cloning gives another handle on the same.
#[derive(Clone)]
pub struct Discovery {
    cluster: Arc<Cluster>,
    name: Arc<str>,
    /// Known once all caches are complete.
    cmon: Arc<RwLock<Option<Cmon>>>,
}

impl Discovery {
    /// The JSON of Prometheus' HTTP service discovery; `None` until everything is known, for an empty list would be
    /// believed.
    pub fn json(&self) -> Option<String> {
        let cmon = self.cmon.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let nodes: HashMap<InstanceId, String> = self
            .cluster
            .machines()
            .into_iter()
            .filter_map(|(node, id, _)| Some((id, node.metadata.name.clone()?)))
            .collect();
        let entries = self.cluster.instances().entries();
        let instances = entries.iter().map(|entry| &**entry.observed());
        serde_json::to_string(&targets(instances, &nodes, &self.name, &cmon)).ok()
    }
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery")
            .field("cluster", &self.name)
            .field("cmon", &self.cmon)
            .finish_non_exhaustive()
    }
}

/// Some group could not be written.
#[derive(Debug)]
struct Unwritten;

/// Keeps machines in the cluster's CMON group.
pub(super) struct MetricsController {
    discovery: Discovery,
    changed: Arc<Notify>,
    events: EventRecorder,
    triton: Client,
    claim: Claim,
    group: String,
    /// What has been said of each instance.
    said: Mutex<BTreeMap<InstanceId, NoChange>>,
    rehearsal: Option<Rehearsal>,
}

impl MetricsController {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        changed: Arc<Notify>,
        events: EventRecorder,
        triton: Client,
        claim: Claim,
        settings: MetricsSettings,
        rehearsal: Option<Rehearsal>,
    ) -> Self {
        let group = group(&settings.cluster);
        let discovery = Discovery { cluster, name: settings.cluster.into(), cmon: Arc::default() };
        let triton = triton.with_priority(Priority::Refresh);
        Self { discovery, changed, events, triton, claim, group, said: Mutex::default(), rehearsal }
    }

    pub(super) fn discovery(&self) -> Discovery {
        self.discovery.clone()
    }

    /// Learns where CMON is, for ever. Does not need leadership.
    pub(super) async fn learn(&self, caches: &Caches) {
        caches.synced().await;
        loop {
            let pause = match self.triton.list_services().await {
                Ok(services) => match services.get("cmon").map(Cmon::at) {
                    Some(Some(cmon)) => {
                        *self.discovery.cmon.write().unwrap_or_else(PoisonError::into_inner) = Some(cmon);
                        LEARN.1
                    }
                    Some(None) => {
                        tracing::warn!(
                            "what ListServices calls \"cmon\" is no URL; Prometheus is told nothing"
                        );
                        LEARN.1
                    }
                    None => {
                        tracing::warn!("this data centre has no CMON; Prometheus is told nothing");
                        LEARN.1
                    }
                },
                Err(error) => {
                    tracing::warn!(error = %one_line(&error), "where CMON is cannot be learnt; trying again");
                    LEARN.0
                }
            };
            sleep(pause).await;
        }
    }

    /// Looks when a Node has changed, and again and again, for ever; soon when something could not be written.
    pub(super) async fn work(&self) {
        let mut record = Record::<()>::default();
        loop {
            let now = Instant::now();
            let next = match self.look().await {
                Ok(()) => {
                    record.succeeded();
                    now + PERIOD
                }
                Err(Unwritten) => record.failed(Instant::now()),
            };
            sleep(APART).await;
            let _ = timeout_at(next, self.changed.notified()).await;
        }
    }

    async fn look(&self) -> Result<(), Unwritten> {
        let cluster = &self.discovery.cluster;
        let machines: HashMap<InstanceId, Arc<Node>> =
            cluster.machines().into_iter().map(|(node, id, _)| (id, node)).collect();
        let nodes: BTreeSet<InstanceId> = machines.keys().copied().collect();
        let entries = cluster.instances().entries();
        let instances = entries.iter().map(|entry| &**entry.expected());
        let (writes, refusals) = plan(instances, &nodes, &self.group);
        self.tell(&machines, &refusals);
        let mut all = Ok(());
        for write in writes {
            if let Some(rehearsal) = &self.rehearsal {
                let id = write.id.to_string();
                let step = match &write.change {
                    Change::Same => None,
                    Change::Set(groups) => Some(format!("tag instance {id}: {CMON_GROUPS}={groups}")),
                    Change::Remove => Some(format!("tag instance {id}: no {CMON_GROUPS}")),
                };
                rehearsal.tell("metrics", &id, step.into_iter().collect());
                continue;
            }
            if self.claim.check().is_err() {
                break;
            }
            if let Err(error) = self.write(&write).await {
                tracing::warn!(instance = %write.id, error = %one_line(&error), "its CMON group could not be written");
                all = Err(Unwritten);
            }
        }
        all
    }

    async fn write(&self, write: &Write) -> Result<(), triton::Error> {
        let Write { id, change } = write;
        let (set, removed) = match change {
            Change::Same => return Ok(()),
            Change::Set(groups) => {
                let set: Tags = [(CMON_GROUPS.to_owned(), groups.as_str().into())].into();
                // Other tags stay, also those that others write at this time.
                self.triton.add_tags(*id, &set).await?;
                (set, BTreeSet::new())
            }
            Change::Remove => match self.triton.delete_tag(*id, CMON_GROUPS).await {
                Err(error) if error.kind() != Kind::NotFound => return Err(error),
                _ => (Tags::new(), BTreeSet::from([CMON_GROUPS.to_owned()])),
            },
        };
        self.discovery.cluster.instances().expect(*id, Expectation::Tags { set, removed });
        Ok(())
    }

    /// Says once of each Node why it is not in the group.
    fn tell(&self, machines: &HashMap<InstanceId, Arc<Node>>, refusals: &[Refusal]) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for Refusal { id, why } in refusals {
            if said.get(id) == Some(why) {
                continue;
            }
            if let Some(node) = machines.get(id) {
                let text = format!("Instance {id} is not in CMON group {}: {why}", self.group);
                let note = Note { severity: Severity::Warning, reason: "CMONGroupNotSet", text };
                say(&self.events, &**node, "SetCMONGroup", &note);
            }
        }
        *said = refusals.iter().map(|refusal| (refusal.id, refusal.why.clone())).collect();
    }
}
