//! What to do about one Service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use provider::cns::Exposure;
use runtime::events::Severity;
use tokio::time::Instant;
use triton::grammar::cns::CnsService;
use triton::id::{InstanceId, NetworkId};
use triton::types::{Instance, InstanceState};

use super::backends::{Backends, Serving};
use super::board::Members;
use super::candidates::{self, Way, candidates};
use super::hostname::{self, hostnames};
use super::hosts::{HostKind, Hosts};
use super::membership::{self, Held};
use super::wishes::{Wishes, unsupported};
use super::{Note, entries};
use crate::names::{CONDITION_PUBLISHED, LOAD_BALANCER_CLEANUP};

/// The first and the longest pause between reads that ask whether DNS has a name. A name takes CNS a minute at most
/// (Kubernetes reference 6.2).
const CONFIRM: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// How often networks without names are asked again: CNS may be switched on for the account.
const NAMELESS: Duration = Duration::from_secs(60);

/// So many instances are named in a note.
const NAMED: usize = 5;

/// Everything that is known of one Service.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Service.
    pub service: &'a Service,
    /// How it is in CNS.
    pub exposure: Option<Exposure>,
    /// Its name in CNS; or why it has none.
    pub name: Result<&'a str, Note>,
    /// All Nodes.
    pub hosts: &'a Hosts,
    /// Its endpoints.
    pub backends: &'a Backends,
    /// The instances that carry its name by us.
    pub carriers: &'a BTreeMap<InstanceId, Carrier>,
    /// Of a Service that leaves CNS: the instances that still carry a name that it had and that is nobody else's now.
    pub leftovers: &'a BTreeSet<InstanceId>,
    /// Which machines Triton says are not running.
    pub stopped: &'a BTreeSet<InstanceId>,
    /// What is known of networks.
    pub networks: &'a hostname::Known,
    /// What the last plan remembered.
    pub memory: &'a Memory,
    /// The time.
    pub now: Instant,
    /// The time of day, for conditions. Nothing is decided by it.
    pub wall: Timestamp,
}

/// An instance that carries a Service's name by us.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// As CloudAPI shows it.
    pub instance: Arc<Instance>,
    /// Its entries of that name, as they will be when our writes are carried out.
    pub entries: Vec<CnsService>,
    /// Whether CloudAPI shows the name on it.
    pub is_seen: bool,
    /// Whether it stands for a pod, and is the virtual kubelet's to write.
    pub is_pod: bool,
}

/// What a plan hands to the next one. Losing it costs seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    members: membership::Memory,
    /// Reads that did not show the hostname yet.
    unconfirmed: u32,
    /// When networks without names may be asked again.
    nameless: Option<Instant>,
}

impl Memory {
    /// The networks that a plan wanted to learn could not be asked. What it says of names that it does not know would be
    /// wrong, so the next plan asks again.
    pub fn learnt_nothing(&mut self) {
        self.nameless = None;
    }
}

/// What to do about a Service.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// What nodes' instances are given.
    pub publication: Publication,
    /// What to write on the Service, at once.
    pub status: Option<StatusChange>,
    /// Networks to learn the names of.
    pub learn: Vec<NetworkId>,
    /// An instance to read, for the names that CNS has for it.
    pub read: Option<InstanceId>,
    /// What to tell the user now.
    pub notes: Vec<Note>,
    /// What to tell the user once the status is written.
    pub done: Vec<Note>,
    /// When to look again though nothing has happened.
    pub again: Option<Instant>,
    /// For the next plan.
    pub memory: Memory,
}

/// What nodes' instances are given for a Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Publication {
    /// What they have: it is not the time to decide.
    #[default]
    AsItIs,
    /// These entries.
    Members(Members),
    /// Nothing. What they have goes.
    Withdrawn,
}

/// What to write on a Service. Finalizer and status are one write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatusChange {
    /// Whether our finalizer is to be there, where it is not as it should be.
    pub finalizer: Option<bool>,
    /// The hostname, where it changes; empty for none.
    pub hostname: Option<String>,
    /// The condition, where it changes.
    pub condition: Option<Condition>,
    /// Whether the condition is to go.
    pub removes_condition: bool,
}

/// Decides what to do about a Service.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let service = observed.service;
    let is_deleting = service.metadata.deletion_timestamp.is_some();
    let wanted = observed.exposure.filter(|_| !is_deleting);
    let is_balancer = wanted == Some(Exposure::LoadBalancer);
    let has_finalizer = has_finalizer(service);
    // The finalizer alone does not say whose it is: all cloud controller managers have the same.
    let is_ours = observed.exposure == Some(Exposure::LoadBalancer) || condition(service).is_some();
    if has_finalizer && !is_balancer && is_ours {
        let mut plan = leave(observed);
        if wanted.is_some() {
            plan.publication = publish(observed).publication;
        }
        return plan;
    }
    match wanted {
        // It is somebody else's, or nobody's.
        None => Plan { publication: Publication::Withdrawn, ..Plan::default() },
        Some(Exposure::LoadBalancer) if !has_finalizer => Plan {
            status: Some(StatusChange {
                finalizer: Some(true),
                condition: change(observed, State::Pending("the Service has just been found")),
                ..StatusChange::default()
            }),
            done: vec![Note::normal("EnsuringLoadBalancer", "Ensuring load balancer".to_owned())],
            memory: observed.memory.clone(),
            ..Plan::default()
        },
        Some(exposure) => {
            let mut plan = publish(observed);
            plan.notes.extend(unsupported(service, exposure));
            plan
        }
    }
}

/// A Service that was a load balancer of ours, and is not to be one any more: the finalizer goes when nothing of it is left.
fn leave(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan { publication: Publication::Withdrawn, ..Plan::default() };
    plan.notes.push(Note::normal("DeletingLoadBalancer", "Deleting load balancer".to_owned()));
    if observed.leftovers.is_empty() {
        plan.status = Some(StatusChange {
            finalizer: Some(false),
            hostname: hostname_of(observed.service).map(|_| String::new()),
            condition: None,
            removes_condition: condition(observed.service).is_some(),
        });
        plan.done.push(Note::normal("DeletedLoadBalancer", "Deleted load balancer".to_owned()));
    } else {
        let ids: Vec<String> = observed.leftovers.iter().take(NAMED).map(ToString::to_string).collect();
        tracing::debug!(instances = %ids.join(", "), "waiting until they have left");
        let text =
            format!("{} instances are still in CNS, such as {}", observed.leftovers.len(), ids.join(", "));
        let condition = change(observed, State::Leaving(&text));
        plan.status =
            condition.map(|condition| StatusChange { condition: Some(condition), ..StatusChange::default() });
    }
    plan
}

/// A Service that is to be in CNS.
fn publish(observed: &Observed<'_>) -> Plan {
    let service = observed.service;
    let (wishes, notes) = Wishes::read(service);
    let mut plan = Plan { notes, memory: observed.memory.clone(), ..Plan::default() };
    let name = match &observed.name {
        Ok(name) => *name,
        Err(note) => {
            plan.publication = Publication::Withdrawn;
            plan.state(observed, State::Nameless(note));
            return plan;
        }
    };
    let held = plan.choose(observed, &wishes, name);
    // Load balancers lead from the ports of the Service to those of its servers.
    let reach_ports = observed.exposure != Some(Exposure::Balanced);
    if let Some(text) = entries::port_changes(service).filter(|_| reach_ports) {
        let text = format!(
            "DNS cannot change ports: at nodes, clients of CNS service {name} must use port {text}; its SRV records say so"
        );
        plan.notes.push(Note::normal("CNSNodePorts", text));
    }
    if observed.exposure == Some(Exposure::LoadBalancer) {
        plan.announce(observed, &wishes, name, held);
    }
    plan
}

impl Plan {
    /// Chooses the nodes. Gives what to say about those that are in all the same.
    fn choose(&mut self, observed: &Observed<'_>, wishes: &Wishes, name: &str) -> Option<String> {
        let nodes = observed.carriers.iter().filter(|(_, carrier)| !carrier.is_pod);
        let current: BTreeSet<InstanceId> =
            nodes.filter(|(_, carrier)| !carrier.entries.is_empty()).map(|(id, _)| *id).collect();
        let way = entries::way(observed.service);
        let scene = candidates::Observed {
            hosts: observed.hosts,
            backends: observed.backends,
            way,
            current: &current,
        };
        let candidates = candidates(&scene, |id| !observed.stopped.contains(&id));
        let chosen = membership::plan(&membership::Observed {
            current: &current,
            candidates: &candidates,
            rules: wishes.rules,
            memory: &observed.memory.members,
            now: observed.now,
        });
        let members = members(observed, way, name, &chosen.members);
        self.memory.members = chosen.memory;
        self.again = chosen.again;
        let (added, removed) =
            (chosen.members.difference(&current).count(), current.difference(&chosen.members).count());
        if hostname_of(observed.service).is_some() && added + removed > 0 {
            let text = format!("Updated load balancer with new hosts: {added} added, {removed} removed");
            self.notes.push(Note::normal("UpdatedLoadBalancer", text));
        }
        if way == Way::HostNetwork && chosen.members.is_empty() {
            self.unreachable(observed);
        }
        self.publication = Publication::Members(members);
        let held = chosen.held.map(|held| match held {
            Held::Panic { troubled, of } => format!(
                "{troubled} of {of} nodes seem to fail at once, which is more likely the control plane's fault: those that were \
                 in CNS stay; see annotation tritondatacenter.com/panic-threshold"
            ),
            Held::Last => "no node is fit to serve: those that were in CNS stay, so that the name does not vanish; see \
                           annotation tritondatacenter.com/publish-empty"
                .to_owned(),
        });
        self.notes.extend(held.iter().map(|text| Note::warning("CNSMembersHeld", text.clone())));
        held
    }

    /// Says that pods are on machines where nobody can reach them.
    fn unreachable(&mut self, observed: &Observed<'_>) {
        let is_machine = |name: &str| {
            observed.hosts.get(name).is_some_and(|host| matches!(host.kind, HostKind::Machine(_)))
        };
        if observed.backends.best(is_machine) > Serving::None {
            let text = "the Service has no node ports, and its pods on machines are not in the host's network: they are not in \
                        CNS; give it node ports, or use hostNetwork or virtual nodes";
            self.notes.push(Note::warning("CNSUnreachable", text.to_owned()));
        }
    }

    /// Says in the status by which name clients find the Service, once DNS has it.
    fn announce(&mut self, observed: &Observed<'_>, wishes: &Wishes, name: &str, held: Option<String>) {
        let seen: Vec<&Carrier> = observed
            .carriers
            .values()
            .filter(|it| it.is_seen && it.instance.state == InstanceState::Running)
            .collect();
        let present = hostname_of(observed.service);
        if seen.is_empty() {
            let nobody_comes = match &self.publication {
                Publication::Members(members) => members.is_empty(),
                Publication::AsItIs | Publication::Withdrawn => true,
            };
            if nobody_comes {
                let text = "There are no available nodes for LoadBalancer".to_owned();
                self.notes.push(Note::warning("UnAvailableLoadBalancer", text));
                return self.state(observed, State::Pending("no node or pod is fit to serve"));
            }
            // The reflector says when it shows.
            return self.state(observed, State::Pending("the first instances are being given the name"));
        }
        let on = |carrier: &&Carrier| carrier.instance.networks.to_vec();
        let networks: BTreeSet<NetworkId> = seen.iter().flat_map(on).collect();
        let unknown: Vec<NetworkId> =
            networks.iter().copied().filter(|id| !observed.networks.contains_key(id)).collect();
        let named = networks.iter().filter_map(|id| Some((*id, observed.networks.get(id)?)));
        let possible = hostnames(name, &wishes.zone, named);
        if let Some(present) =
            present.filter(|present| possible.iter().any(|(hostname, _)| hostname == present))
        {
            return self.state(observed, State::Published { hostname: present, held });
        }
        if !unknown.is_empty() && self.memory.nameless.is_none_or(|at| at <= observed.now) {
            self.learn = unknown;
            self.memory.nameless = Some(observed.now + NAMELESS);
            return self.state(observed, State::Pending("CNS's names are being learnt"));
        }
        let Some((hostname, network)) = possible.into_iter().next() else {
            self.ask_again(observed.now + NAMELESS);
            let text = "CNS has no name for the networks of its instances; switch CNS on for the account, or correct \
                        annotation tritondatacenter.com/cns-zone";
            self.notes.push(Note::warning("CNSDisabled", text.to_owned()));
            return self.state(observed, State::Unknown(text));
        };
        let mut witnesses = seen.iter().filter(|it| it.instance.networks.contains(&network));
        let names =
            |carrier: &Carrier| carrier.instance.dns_names.iter().flatten().any(|it| **it == *hostname);
        if seen.iter().any(|carrier| names(carrier)) {
            self.memory.unconfirmed = 0;
            self.done.push(Note::normal("EnsuredLoadBalancer", format!("Ensured load balancer: {hostname}")));
            self.state(observed, State::Published { hostname: &hostname, held });
            self.status.get_or_insert_default().hostname = Some(hostname);
            return;
        }
        self.read = witnesses.next().map(|carrier| carrier.instance.id);
        let pause = CONFIRM.0.saturating_mul(1 << self.memory.unconfirmed.min(8)).min(CONFIRM.1);
        self.memory.unconfirmed = self.memory.unconfirmed.saturating_add(1);
        self.ask_again(observed.now + pause);
        self.state(observed, State::Pending("DNS does not have the name yet"));
    }

    fn ask_again(&mut self, at: Instant) {
        self.again = self.again.into_iter().chain([at]).min();
    }

    /// Writes the condition, where it changes; only load balancers have one.
    fn state(&mut self, observed: &Observed<'_>, state: State<'_>) {
        if let State::Nameless(note) = &state {
            self.notes.push((*note).clone());
        }
        if observed.exposure != Some(Exposure::LoadBalancer) {
            return;
        }
        if let Some(condition) = change(observed, state) {
            self.status.get_or_insert_default().condition = Some(condition);
        }
    }
}

/// The entries of those that were chosen.
fn members(observed: &Observed<'_>, way: Way, name: &str, chosen: &BTreeSet<InstanceId>) -> Members {
    let everywhere = entries::of_node_ports(name, observed.service);
    let own: BTreeMap<InstanceId, Vec<CnsService>> = observed
        .hosts
        .iter()
        .filter_map(|(node, host)| match (host.kind, observed.backends.on(node)) {
            (HostKind::Machine(id), Some(here)) => Some((id, entries::of_host_network(name, here, host))),
            _ => None,
        })
        .collect();
    let entries = |id: &InstanceId| match way {
        Way::AnyNode | Way::OwnNode => everywhere.clone(),
        // Who stays although its endpoints are gone keeps what it has.
        Way::HostNetwork => own.get(id).cloned().unwrap_or_else(|| {
            observed.carriers.get(id).map(|carrier| carrier.entries.clone()).unwrap_or_default()
        }),
    };
    chosen.iter().map(|id| (*id, entries(id))).collect()
}

/// How a Service does, as its condition says.
enum State<'a> {
    /// Clients find it.
    Published { hostname: &'a str, held: Option<String> },
    /// They will.
    Pending(&'a str),
    /// CNS is off.
    Unknown(&'a str),
    /// It has no name.
    Nameless(&'a Note),
    /// It is going.
    Leaving(&'a str),
}

/// The condition, where it is not there yet.
fn change(observed: &Observed<'_>, state: State<'_>) -> Option<Condition> {
    let (status, reason, message) = match state {
        State::Published { hostname, held: None } => {
            ("True", "Published", format!("clients find the Service as {hostname}"))
        }
        State::Published { held: Some(held), .. } => ("True", "MembersHeld", held),
        State::Pending(why) => ("False", "Pending", why.to_owned()),
        State::Unknown(why) => ("False", "CNSDisabled", why.to_owned()),
        State::Nameless(note) => ("False", note.reason, note.text.clone()),
        State::Leaving(why) => ("False", "Leaving", why.to_owned()),
    };
    let before = condition(observed.service);
    if before
        .is_some_and(|it| (it.status.as_str(), it.reason.as_str(), &it.message) == (status, reason, &message))
    {
        return None;
    }
    let since = before.filter(|before| before.status == status).map(|before| before.last_transition_time.0);
    Some(Condition {
        last_transition_time: Time(since.unwrap_or(observed.wall)),
        message,
        observed_generation: observed.service.metadata.generation,
        reason: reason.to_owned(),
        status: status.to_owned(),
        type_: CONDITION_PUBLISHED.to_owned(),
    })
}

/// Our condition on a Service.
fn condition(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == CONDITION_PUBLISHED)
}

/// Whether the finalizer is there that keeps a Service until its load balancer is gone.
pub fn has_finalizer(service: &Service) -> bool {
    let finalizers = service.metadata.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|finalizer| finalizer == LOAD_BALANCER_CLEANUP)
}

/// The hostname in a Service's status.
pub fn hostname_of(service: &Service) -> Option<&str> {
    let balancer = service.status.as_ref()?.load_balancer.as_ref()?;
    let mut hostnames = balancer.ingress.iter().flatten().filter_map(|ingress| ingress.hostname.as_deref());
    hostnames.find(|hostname| !hostname.is_empty())
}

impl Note {
    /// Something that goes as it should.
    pub(crate) fn normal(reason: &'static str, text: String) -> Self {
        Self { severity: Severity::Normal, reason, text }
    }
}

#[cfg(test)]
mod tests;
