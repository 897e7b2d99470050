//! The task that keeps one node and its lease, on the leader. A standby has the same caches, and writes nothing.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::reflector;
use kube::runtime::watcher;
use kube::{Api, Resource as _};
use runtime::clients::{ApiError, Clients, ClientsError, Priority};
use runtime::events::{EventRecorder, Happening, Severity};
use runtime::exit::one_line;
use runtime::leader::Claim;
use runtime::shutdown::Shutdown;
use runtime::watching::Caches;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use triton::reflector::Store;

use super::account::Facts;
use super::capacity::Foreign;
use super::contact::{Contact, Voice};
use super::desired::{Desired, Readiness};
use super::lease;
use super::metrics::NodeMetrics;
use super::plan::{Plan, Step, plan, refusal};
use crate::lifecycle::Note;
use crate::settings::{Flags, PROGRAM, VirtualNode};

/// How often to look even if nothing happens. A look costs no call, and notices when CloudAPI falls silent.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between a write and the next look, so that a fight with another writer over one field does not become a storm.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// The longest pauses after failures: of the node, and of the lease, where 7 s leave four attempts within its 40 s.
const LONGEST_PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(7));

/// What a keeper works with.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The command line.
    pub flags: Flags,
    /// The node.
    pub node: VirtualNode,
    /// Makes the keeper's client.
    pub clients: &'a Clients,
    /// The process's caches; the node becomes one of them.
    pub caches: &'a Caches,
    /// Leadership.
    pub claim: Claim,
    /// The account's instances.
    pub instances: Store,
    /// What is known of the account; see [`account::follow`](super::account::follow).
    pub facts: watch::Receiver<Facts>,
    /// Where events go.
    pub events: EventRecorder,
    /// Where writes are counted.
    pub metrics: NodeMetrics,
}

/// Keeps the node. It does nothing but watch before it is [`run`](Keeper::run).
pub struct Keeper {
    flags: Flags,
    node: VirtualNode,
    nodes: Api<Node>,
    leases: Api<Lease>,
    cache: reflector::Store<Node>,
    /// Told of each event of the cache.
    changes: watch::Receiver<u64>,
    claim: Claim,
    instances: Store,
    facts: watch::Receiver<Facts>,
    events: EventRecorder,
    metrics: NodeMetrics,
    started: Instant,
}

impl Keeper {
    /// Begins to watch the node. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ClientsError`]; nothing is sent yet.
    pub fn new(parts: Parts<'_>) -> Result<Self, ClientsError> {
        let Parts { flags, node, clients, caches, claim, instances, facts, events, metrics } = parts;
        let client = clients.leading("node", Priority::Urgent, &claim)?;
        let nodes: Api<Node> = Api::all(client.clone());
        let only = watcher::Config::default().fields(&format!("metadata.name={}", node.name));
        let (changed, changes) = watch::channel(0);
        let cache = caches.reflect(
            format!("node {}", node.name),
            nodes.clone(),
            only,
            fastrand::Rng::new(),
            move |_| {
                changed.send_modify(|count| *count += 1);
            },
        );
        Ok(Self {
            flags,
            node,
            nodes,
            leases: Api::namespaced(client, lease::NAMESPACE),
            cache,
            changes,
            claim,
            instances,
            facts,
            events,
            metrics,
            started: Instant::now(),
        })
    }

    /// The node as the cache has it: none or one.
    pub fn cache(&self) -> reflector::Store<Node> {
        self.cache.clone()
    }

    /// What would be written to the node now. Waits until it is known whether there is one; writes nothing.
    pub async fn preview(&self) -> Plan {
        if self.cache.wait_until_ready().await.is_err() {
            return Plan::default();
        }
        let now = Instant::now();
        let contact = Contact::new(self.started).observe(&self.instances.health(), now);
        plan(&self.desired(&contact), self.observed().as_ref(), Timestamp::now())
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.node.name.as_str()
    }

    /// Waits to lead, then keeps the node and its lease until the process stops.
    pub async fn run(self, shutdown: Shutdown) {
        let work = async {
            if self.claim.held().await.is_err() || self.cache.wait_until_ready().await.is_err() {
                return;
            }
            tokio::join!(self.keep_node(), self.keep_lease());
        };
        tokio::select! {
            biased;
            // What is cut off here is harmless: whoever leads next writes the same.
            () = shutdown.begun() => {}
            () = work => {}
        }
    }

    async fn keep_node(&self) {
        let (mut changes, mut facts) = (self.changes.clone(), self.facts.clone());
        let mut contact = Contact::new(self.started);
        let mut pauses = pauses(LONGEST_PAUSES.0);
        let mut refused = None;
        loop {
            changes.mark_unchanged();
            facts.mark_unchanged();
            contact = contact.observe(&self.instances.health(), Instant::now());
            let desired = self.desired(&contact);
            self.metrics.ready(self.name(), desired.readiness == Readiness::Ready);
            let observed = self.observed();
            let plan = plan(&desired, observed.as_ref(), Timestamp::now());
            self.report_refusal(&plan, observed.as_ref(), &mut refused);
            if !plan.steps.is_empty() {
                match self.act(&plan, observed).await {
                    Ok(()) => {
                        pauses = self::pauses(LONGEST_PAUSES.0);
                        sleep(LEAST_GAP).await;
                    }
                    Err(error) => {
                        tracing::warn!(node = %self.node.name, %error, "the node could not be written");
                        sleep(pauses.next().unwrap_or(LONGEST_PAUSES.0)).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                Ok(()) = changes.changed() => {}
                Ok(()) = facts.changed() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn observed(&self) -> Option<Node> {
        self.cache.state().first().map(|node| Node::clone(node))
    }

    fn desired(&self, contact: &Contact) -> Desired {
        let facts = self.facts.borrow().clone();
        let (cluster, node) = (self.flags.cluster_name.as_str(), self.name());
        let foreign = match facts.limits {
            Some(limits) if limits != Default::default() => {
                let entries = self.instances.entries();
                Foreign::of(entries.iter().map(|entry| &**entry.observed()), cluster, node)
            }
            _ => Foreign::default(),
        };
        let readiness = readiness(contact.voice(self.flags.cloudapi_grace, Instant::now()), Timestamp::now());
        Desired::new(&self.flags, &self.node, &facts, &foreign, readiness)
    }

    /// Says once that the node is somebody else's.
    fn report_refusal(&self, plan: &Plan, observed: Option<&Node>, refused: &mut Option<String>) {
        if plan.refusal == *refused {
            return;
        }
        refused.clone_from(&plan.refusal);
        if let (Some(message), Some(node)) = (&plan.refusal, observed) {
            tracing::error!(%message, "the node is somebody else's; nothing is written");
            let note =
                Note { severity: Severity::Warning, reason: "NodeNameConflict", message: message.clone() };
            self.tell(node, note);
        }
    }

    /// Takes all steps, and tells the notes when all are done. The error has all failures.
    async fn act(&self, plan: &Plan, observed: Option<Node>) -> Result<(), String> {
        let mut node = observed;
        let mut failures = Vec::new();
        for step in &plan.steps {
            match self.take(step).await {
                Ok(written) => node = written.or(node),
                Err(error) => failures.push(one_line(&error)),
            }
        }
        if !failures.is_empty() {
            return Err(failures.join("; "));
        }
        for note in plan.notes.iter().cloned() {
            tracing::info!(node = %self.node.name, reason = note.reason, "{}", note.message);
            if let Some(node) = &node {
                self.tell(node, note);
            }
        }
        Ok(())
    }

    async fn take(&self, step: &Step) -> Result<Option<Node>, ApiError> {
        let name = self.name();
        let params = PatchParams { field_manager: Some(PROGRAM.to_owned()), ..PatchParams::default() };
        let (object, written) = match step {
            Step::Create(node) => {
                let params = PostParams { field_manager: Some(PROGRAM.to_owned()), ..PostParams::default() };
                ("node", self.nodes.create(&params, node).await)
            }
            Step::PatchNode(patch) => {
                ("node", self.nodes.patch(name, &params, &Patch::Strategic(patch)).await)
            }
            Step::PatchStatus(patch) => {
                ("status", self.nodes.patch_status(name, &params, &Patch::Strategic(patch)).await)
            }
        };
        let written = written.map_err(ApiError::from);
        self.metrics.wrote(name, object, &written);
        match written {
            Ok(node) => Ok(Some(node)),
            // Somebody made it, or an answer was lost: the cache will show it.
            Err(error) if error.code() == Some(409) && matches!(step, Step::Create(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, node: &Node, note: Note) {
        self.events.record(Happening {
            regarding: node.object_ref(&()),
            severity: note.severity,
            reason: note.reason.to_owned(),
            action: "Keeping".to_owned(),
            note: note.message,
        });
    }

    async fn keep_lease(&self) {
        let mut changes = self.changes.clone();
        let mut pauses = pauses(LONGEST_PAUSES.1);
        loop {
            changes.mark_unchanged();
            let Some(uid) = self.uid() else {
                // A node that is made comes as a change.
                let _ = timeout(LOOK_EVERY, changes.changed()).await;
                continue;
            };
            let begun = Instant::now();
            if let Err(error) = self.renew(&uid).await {
                let error = one_line(&error);
                tracing::warn!(node = %self.node.name, %error, "the node's lease could not be renewed");
                sleep(pauses.next().unwrap_or(LONGEST_PAUSES.1)).await;
                continue;
            }
            pauses = self::pauses(LONGEST_PAUSES.1);
            let replaced = async {
                while self.uid().as_ref() == Some(&uid) {
                    if changes.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                () = sleep_until(begun + lease::RENEW_EVERY) => {}
                () = replaced => {}
            }
        }
    }

    /// The UID of the node that there is, unless it is somebody else's.
    fn uid(&self) -> Option<String> {
        let node = self.observed().filter(|node| refusal(node).is_none())?;
        node.metadata.uid
    }

    async fn renew(&self, uid: &str) -> Result<(), ApiError> {
        let name = self.name();
        let lease = lease::renewed(name, uid, Timestamp::now());
        let params = PatchParams::apply(PROGRAM).force();
        let renewed = self.leases.patch(name, &params, &Patch::Apply(&lease)).await.map_err(ApiError::from);
        self.metrics.wrote(name, "lease", &renewed);
        renewed.map(drop)
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("node", &self.node.name).finish_non_exhaustive()
    }
}

fn readiness(voice: Voice, now: Timestamp) -> Readiness {
    match voice {
        Voice::Answers => Readiness::Ready,
        Voice::Starting => Readiness::Undecided,
        Voice::Silent(silence) => {
            let silence = SignedDuration::try_from(silence).unwrap_or(SignedDuration::MAX);
            let since = now.saturating_sub(silence).unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ");
            let message =
                format!("CloudAPI has not answered since {since}; pods and instances stay as they are");
            Readiness::Unreachable { message }
        }
    }
}

fn pauses(longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}
