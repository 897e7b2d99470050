//! The looks of the node-route controller. There is one look at all: a network's routes are written whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use prometheus::IntCounter;
use runtime::events::{EventRecorder, Severity};
use runtime::exit::one_line;
use runtime::leader::{Claim, NotLeading};
use runtime::metrics::{Metrics, MetricsError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use triton::Client;
use triton::budget::Priority;
use triton::id::NetworkId;
use triton::types::{ListNetworks, Network, UpdateFabricNetwork};

use super::cluster::Cluster;
use super::rehearsal::Rehearsal;
use super::say;
use super::writer::NodeWriter;
use crate::instances::Known;
use crate::node::Note;
use crate::route::{Addresses, Standing, Via, Wish, conditions, is_effective, plan, standing, wishes};

/// The default of [`RouteSettings::period`]: the framework's (Kubernetes reference 2.2).
const PERIOD: Duration = Duration::from_secs(10);

/// The default of [`RouteSettings::reread`]. One request tells of all networks; the framework asks
/// every ten seconds, which alone is a hundredth of what CloudAPI allows an account.
const REREAD: Duration = Duration::from_secs(60);

/// Looks are at least so far apart, so that a crowd of new Nodes makes one write.
const APART: Duration = Duration::from_secs(1);

/// A network is written so often in one look when somebody else writes it as well.
const ATTEMPTS: u32 = 3;

/// How the route controller works.
#[derive(Debug, Clone)]
pub struct RouteSettings {
    /// The addresses of the cluster's pods: `--cluster-cidr`.
    pub cluster: Vec<IpNet>,
    /// How often it looks though nothing has happened: `--route-reconciliation-period`.
    pub period: Duration,
    /// How often the fabric networks are read though nothing is to be written.
    pub reread: Duration,
    /// Whether somebody who knows has said that routes of fabric networks make packets of pods arrive.
    pub effective: bool,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self { cluster: Vec::new(), period: PERIOD, reread: REREAD, effective: false }
    }
}

/// Keeps the routes of fabric networks to the pods of Nodes.
pub(super) struct RouteController {
    cluster: Arc<Cluster>,
    changed: Arc<Notify>,
    writer: NodeWriter,
    events: EventRecorder,
    triton: Client,
    claim: Claim,
    settings: RouteSettings,
    syncs: IntCounter,
    seen: Mutex<Seen>,
    rehearsal: Option<Rehearsal>,
}

/// What is remembered between looks. Losing it is safe.
#[derive(Debug, Default)]
struct Seen {
    /// The fabric networks of the account, and when they were read.
    networks: Option<(Instant, BTreeMap<NetworkId, Network>)>,
    /// Why they could not be read the last time.
    trouble: Option<String>,
    /// What has been said of each Node.
    said: BTreeMap<String, String>,
}

/// Why the routes of a network could not be made.
#[derive(Debug, thiserror::Error)]
enum RouteError {
    #[error("cannot {doing} fabric network {network}")]
    Triton { doing: &'static str, network: NetworkId, source: triton::Error },
    #[error("fabric network {0} has other routes than were written: another program writes it as well")]
    Contended(NetworkId),
    #[error("fabric network {0} names no VLAN")]
    WithoutVlan(NetworkId),
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

/// All that one look goes by.
struct View {
    nodes: Vec<(Arc<Node>, Vec<Wish>)>,
    all: Vec<Wish>,
    addresses: Addresses,
}

impl RouteController {
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that the controller has; it is called once"
    )]
    pub(super) fn new(
        cluster: Arc<Cluster>,
        changed: Arc<Notify>,
        writer: NodeWriter,
        events: EventRecorder,
        triton: Client,
        claim: Claim,
        settings: RouteSettings,
        metrics: &Metrics,
        rehearsal: Option<Rehearsal>,
    ) -> Result<Self, MetricsError> {
        let syncs = metrics.counter(
            "route_controller_route_sync_total",
            "How often the routes of all fabric networks were compared with what they should be.",
        )?;
        let (triton, seen) = (triton.with_priority(Priority::Status), Mutex::default());
        Ok(Self { cluster, changed, writer, events, triton, claim, settings, syncs, seen, rehearsal })
    }

    /// Looks when something has changed, and again and again, for ever.
    pub(super) async fn work(&self) {
        loop {
            self.look().await;
            sleep(APART).await;
            // What was said while looking is not lost: the bell stays rung.
            let _ = timeout(self.settings.period, self.changed.notified()).await;
        }
    }

    async fn look(&self) {
        let mut networks = match self.networks().await {
            Ok(networks) => networks,
            Err(error) => {
                let error = one_line(&error);
                // A data centre without fabrics says so at each look.
                if self.seen().trouble.replace(error.clone()).as_ref() != Some(&error) {
                    tracing::warn!(error, "the fabric networks cannot be listed; routes stay as they are");
                }
                return;
            }
        };
        let view = self.view(&networks.keys().copied().collect());
        let mut failures: BTreeMap<NetworkId, String> = BTreeMap::new();
        let begun = Instant::now();
        for network in networks.values_mut() {
            if plan(network, &view.all, &self.settings.cluster, &view.addresses).routes.is_none() {
                continue;
            }
            match self.ensure(network, &view).await {
                Ok(written) => *network = written,
                Err(error) => drop(failures.insert(network.id, one_line(&error))),
            }
        }
        self.syncs.inc();
        self.seen().remember(&networks);
        for (node, wishes) in &view.nodes {
            let missing = |wish: &Wish| missing(wish, &networks, &failures);
            self.tell(node, wishes, &standing(wishes, missing), begun.elapsed()).await;
        }
        let names: BTreeSet<&str> =
            view.nodes.iter().filter_map(|(node, _)| node.metadata.name.as_deref()).collect();
        self.seen().said.retain(|name, _| names.contains(name.as_str()));
    }

    /// The fabric networks with their routes, as young as the settings say.
    async fn networks(&self) -> Result<BTreeMap<NetworkId, Network>, triton::Error> {
        let now = Instant::now();
        if let Some((at, networks)) = &self.seen().networks
            && now.saturating_duration_since(*at) < self.settings.reread
        {
            return Ok(networks.clone());
        }
        let listed = self.triton.list_networks(&ListNetworks { fabric: Some(true) }).await?;
        let mut networks: BTreeMap<_, _> =
            listed.items.into_iter().filter(|it| it.fabric).map(|it| (it.id, it)).collect();
        let used = self.cluster.machines().into_iter().flat_map(|(_, _, known)| networks_of(&known));
        let used: BTreeSet<NetworkId> = used.collect();
        let mut seen = self.seen();
        // A network that has instances cannot be deleted: a list without it is wrong.
        for (id, network) in seen.networks.take().into_iter().flat_map(|(_, known)| known) {
            if used.contains(&id) {
                networks.entry(id).or_insert(network);
            }
        }
        seen.trouble = None;
        seen.networks = Some((now, networks.clone()));
        Ok(networks)
    }

    fn view(&self, fabrics: &BTreeSet<NetworkId>) -> View {
        let mut addresses = Addresses::default();
        let mut nodes = Vec::new();
        let mut machines = BTreeSet::new();
        let mut members = self.cluster.machines();
        // Of two Nodes that have the same addresses for pods, which is wrong, the older one keeps them.
        members
            .sort_by_key(|(node, id, _)| (node.metadata.creation_timestamp.as_ref().map(|time| time.0), *id));
        for (node, id, known) in members {
            if let Known::Present(seen) = &known {
                addresses.nodes.extend(seen.instance.nics.iter().filter_map(|nic| nic.ip));
            }
            machines.insert(id);
            let wishes = wishes(&node, &known, &self.settings.cluster, fabrics);
            nodes.push((node, wishes));
        }
        for entry in self.cluster.instances().entries() {
            if !machines.contains(&entry.id()) {
                addresses.others.extend(entry.observed().nics.iter().filter_map(|nic| nic.ip));
            }
        }
        let all = nodes.iter().flat_map(|(_, wishes)| wishes.iter().cloned()).collect();
        View { nodes, all, addresses }
    }

    /// Has a network the routes that it should have: reads it, changes what it has now, writes it whole, and reads it
    /// once more, because nothing keeps another program from writing at the same time.
    async fn ensure(&self, network: &Network, view: &View) -> Result<Network, RouteError> {
        let id = network.id;
        let vlan = network.vlan_id.ok_or(RouteError::WithoutVlan(id))?;
        let failed = |doing| move |source| RouteError::Triton { doing, network: id, source };
        let change = |network: &Network| plan(network, &view.all, &self.settings.cluster, &view.addresses);
        for _ in 0..ATTEMPTS {
            let fresh = self.triton.get_fabric_network(vlan, id).await.map_err(failed("read"))?;
            let change = change(&fresh);
            let Some(routes) = change.routes else { return Ok(fresh) };
            if let Some(rehearsal) = &self.rehearsal {
                let step = |verb, nets: &BTreeSet<IpNet>| {
                    let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
                    (!nets.is_empty()).then(|| format!("{verb} routes of network {id}: {}", nets.join(", ")))
                };
                let steps = [step("set", &change.set), step("remove", &change.removed)];
                rehearsal.tell("route", &id.to_string(), steps.into_iter().flatten().collect());
                return Ok(fresh);
            }
            self.claim.check()?;
            tracing::info!(network = %id, set = ?change.set, removed = ?change.removed, "writing routes");
            let update = UpdateFabricNetwork { routes: Some(routes), ..UpdateFabricNetwork::default() };
            self.triton
                .update_fabric_network(vlan, id, &update)
                .await
                .map_err(failed("write the routes of"))?;
            // What the next attempt reads is what verifies this write.
        }
        let last = self.triton.get_fabric_network(vlan, id).await.map_err(failed("read"))?;
        match change(&last).routes {
            None => Ok(last),
            Some(_) => Err(RouteError::Contended(id)),
        }
    }

    /// Says on a Node how it stands.
    async fn tell(&self, node: &Node, wishes: &[Wish], standing: &Standing, took: Duration) {
        if self.rehearsal.is_some() {
            return;
        }
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let said = match standing {
            Standing::Missing(why) => {
                let cidrs: Vec<String> = wishes.iter().map(|wish| wish.destination.to_string()).collect();
                let uid = node.metadata.uid.as_deref().unwrap_or_default();
                let cidrs = cidrs.join(",");
                Some((
                    why,
                    format!("Could not create route {uid} {cidrs} for node {name} after {took:?}: {why}"),
                ))
            }
            _ => None,
        };
        match said {
            Some((why, text)) => {
                // The same reason is said once; how long it took differs each time.
                let news = self.seen().said.insert(name.to_owned(), why.clone()).as_ref() != Some(why);
                if news {
                    let note = Note { severity: Severity::Warning, reason: "FailedToCreateRoute", text };
                    say(&self.events, node, "CreateRoute", &note);
                }
            }
            None => drop(self.seen().said.remove(name)),
        }
        let effective = is_effective(node, self.settings.effective);
        for condition in conditions(node, standing, effective, Timestamp::now()) {
            if let Err(error) = self.writer.patch_status(node, None, Some(&condition)).await {
                // The next look sees whether it is still to be written.
                tracing::debug!(node = name, error = %one_line(&error), "a condition could not be written");
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while holding the lock; should it ever, what is remembered is still usable.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Keeps what was read since, and when all were read.
    fn remember(&mut self, networks: &BTreeMap<NetworkId, Network>) {
        if let Some((_, known)) = &mut self.networks {
            known.clone_from(networks);
        }
    }
}

/// The networks that a machine is on.
fn networks_of(known: &Known) -> Vec<NetworkId> {
    match known {
        Known::Present(seen) => seen.instance.nics.iter().filter_map(|nic| nic.network).collect(),
        Known::Gone { .. } | Known::Unknown => Vec::new(),
    }
}

/// Why a route that is wished for is not there; `None` when it is.
fn missing(
    wish: &Wish,
    networks: &BTreeMap<NetworkId, Network>,
    failures: &BTreeMap<NetworkId, String>,
) -> Option<String> {
    let Via::Gateway(id, gateway) = wish.via else { return None };
    let is_it = |text: &str, via: &str| {
        text.parse::<IpNet>().is_ok_and(|net| net.trunc() == wish.destination) && via.parse() == Ok(gateway)
    };
    match networks.get(&id) {
        Some(network) if network.routes.iter().any(|(text, via)| is_it(text, via)) => None,
        _ => {
            Some(failures.get(&id).cloned().unwrap_or_else(|| "another node has the same podCIDR".to_owned()))
        }
    }
}
