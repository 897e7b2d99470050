//! A Service that is to have load balancers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use provider::names::metadata::CNS_STATUS;
use triton::reflector::{Entry, Expectation};
use triton::types::{Instance, InstanceState, Metadata};

use super::super::balancer::{Balancers, balancer_name};
use super::super::status::{Ingress, condition};
use super::super::supplies::Supplies;
use super::super::wishes::{Wishes, unsupported};
use super::super::{Note, portmap};
use super::{Observed, Plan, Step};
use crate::service::hostname::{Zone, hostnames};

/// The first and the longest pause between reads that ask whether DNS has a name.
const CONFIRM: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// What is older is read again before an instance is made of it.
const OLD: Duration = Duration::from_secs(300);
/// How soon images and networks are read again when something is not among them.
const MISSING: Duration = Duration::from_secs(60);

/// Why nothing is decided.
enum Wait {
    /// Images and networks are not known yet.
    Learn,
    /// The Service, or the process, has to be changed.
    Note(Note),
}

/// Makes, changes and deletes load balancers, and says in the status how clients find them.
pub(super) fn keep(observed: &Observed<'_>) -> Plan {
    let (wishes, notes) = Wishes::read(observed.service);
    let mut plan = Plan { notes, memory: observed.memory.clone(), ..Plan::default() };
    plan.memory.is_empty = false;
    plan.notes.extend(unsupported(observed.service));
    let (balancers, supplies, cns) = match plan.wanted(observed, &wishes) {
        Ok(wanted) => wanted,
        Err(Wait::Learn) => {
            plan.steps.push(Step::Learn);
            return plan;
        }
        Err(Wait::Note(note)) => {
            // What there is stays as it is.
            plan.ask_again(observed.now + MISSING);
            let failing = condition(observed.service, (false, note.reason), note.text.clone(), observed.wall);
            plan.status.condition = failing.map(Some);
            plan.notes.push(note);
            return plan;
        }
    };
    let alive: Vec<&Arc<Entry>> = observed
        .instances
        .iter()
        .filter(|entry| entry.observed().state.is_active() && !entry.is_deleting())
        .collect();
    plan.see(observed, &alive);
    let (mut mains, mut missing) = (Vec::new(), None);
    for name in &balancers.names {
        let named = alive.iter().copied().filter(|entry| *entry.expected().name == **name);
        match named.min_by_key(|entry| (!entry.observed().state.is_running(), entry.id())) {
            Some(main) => mains.push(main),
            None => missing = missing.or(Some(name)),
        }
    }
    for main in &mains {
        plan.correct(observed, &balancers, main, &alive);
    }
    match missing {
        Some(name) => plan.make(observed, &balancers, name, &alive),
        None => {
            plan.find_lost(observed.now);
            plan.remove_surplus(observed, &alive, &mains);
        }
    }
    plan.announce(observed, &wishes, &supplies, (&cns, balancers.names.len()), &alive);
    plan
}

impl Plan {
    /// The load balancers that there should be, what they are made of, and their name in CNS.
    fn wanted(
        &mut self,
        observed: &Observed<'_>,
        wishes: &Wishes,
    ) -> Result<(Balancers, Supplies, String), Wait> {
        let name = observed.name.clone().map_err(Wait::Note)?;
        let cns = balancer_name(name);
        if observed.is_taken {
            let text = format!(
                "CNS service {cns} is in use by instances that are not this Service's; choose another name with the \
                 annotation tritondatacenter.com/cns-service"
            );
            return Err(Wait::Note(Note::warning("CNSNameConflict", text)));
        }
        let Some((catalog, read)) = observed.catalog else { return Err(Wait::Learn) };
        let supplies = Supplies::resolve(wishes, observed.defaults, catalog)
            .map_err(|note| if read + MISSING <= observed.now { Wait::Learn } else { Wait::Note(note) })?;
        let Some(hostname) = servers(name, &supplies) else {
            let text = "CNS has no name for the networks of load balancers; switch CNS on for the account, or name other \
                        networks";
            return Err(if read + MISSING <= observed.now {
                Wait::Learn
            } else {
                Wait::Note(Note::warning("CNSDisabled", text.to_owned()))
            });
        };
        let (portmap, notes) = portmap::text(observed.service, &hostname, observed.behind, wishes);
        self.notes.extend(notes);
        if portmap.is_empty() {
            let text = "the Service has no port that load balancers could forward";
            return Err(Wait::Note(Note::warning("NoPort", text.to_owned())));
        }
        let replicas = wishes.replicas.unwrap_or(observed.defaults.replicas);
        let owner = (observed.cluster, observed.key);
        let balancers =
            Balancers::new(owner, observed.service, (wishes, replicas), supplies.clone(), (&cns, portmap));
        Ok((balancers, supplies, cns))
    }

    /// Notes since when instances run, and since when they are out of DNS; counts those that failed.
    fn see(&mut self, observed: &Observed<'_>, alive: &[&Arc<Entry>]) {
        let before = std::mem::take(&mut self.memory.running);
        let withdrawn = std::mem::take(&mut self.memory.withdrawn);
        for entry in alive {
            if entry.observed().state.is_running() {
                let since = before.get(&entry.id()).copied().unwrap_or(observed.now);
                self.memory.running.insert(entry.id(), since);
            }
            if is_withdrawn(entry.expected()) {
                let since = withdrawn.get(&entry.id()).copied().unwrap_or(observed.now);
                self.memory.withdrawn.insert(entry.id(), since);
            }
        }
        for entry in observed.instances.iter().filter(|entry| entry.observed().state.is_failed()) {
            self.memory.count_failed(entry.id(), observed.now);
        }
    }

    /// Gives an instance what it lacks. A new one comes into DNS when it carries traffic, if another one is there already.
    fn correct(
        &mut self,
        observed: &Observed<'_>,
        balancers: &Balancers,
        main: &Entry,
        alive: &[&Arc<Entry>],
    ) {
        let id = main.id();
        match main.observed().state {
            InstanceState::Running => {}
            InstanceState::Stopped => {
                let starts = Expectation::State(InstanceState::Running);
                if main.pending().iter().all(|pending| pending.expectation != starts) {
                    self.steps.push(Step::Start(id));
                }
            }
            // It is on its way somewhere, or out of sight.
            _ => return,
        }
        let (tags, metadata, mut extra) = balancers.lacks(main.expected());
        let since = self.memory.running.get(&id).copied().unwrap_or(observed.now);
        let settled = since + observed.rules.settle;
        if extra.contains(&CNS_STATUS) && settled > observed.now && alive.iter().any(|entry| serves(entry)) {
            extra.retain(|key| *key != CNS_STATUS);
            self.ask_again(settled);
        }
        if !metadata.is_empty() {
            self.steps.push(Step::SetMetadata(id, metadata));
        }
        self.steps.extend(extra.into_iter().map(|key| Step::RemoveMetadata(id, key)));
        if !tags.is_empty() {
            self.steps.push(Step::SetTags(id, tags));
        }
    }

    /// Makes the instance of this name, unless one may have been made, or it is not the time.
    fn make(&mut self, observed: &Observed<'_>, balancers: &Balancers, name: &str, alive: &[&Arc<Entry>]) {
        let now = observed.now;
        if self.find_lost(now) {
            return;
        }
        if let Some(at) = self.memory.not_before.filter(|at| *at > now) {
            return self.ask_again(at);
        }
        if observed.catalog.is_none_or(|(_, read)| read + OLD <= now) {
            return self.steps.push(Step::Learn);
        }
        let mut request = balancers.request(name);
        if alive.iter().any(|entry| serves(entry)) {
            request.metadata.insert(CNS_STATUS, "down");
        }
        let text = format!("Creating load balancer {name} with package {}", request.package);
        self.notes.push(Note::normal("CreatingLoadBalancer", text));
        self.memory.begin(name, now);
        self.steps.push(Step::Create(Box::new(request)));
    }

    /// Takes an instance that does not belong out of DNS, and deletes it when clients have forgotten it: one at a time, and
    /// not before all that belong carry traffic.
    fn remove_surplus(&mut self, observed: &Observed<'_>, alive: &[&Arc<Entry>], mains: &[&Arc<Entry>]) {
        let is_main = |entry: &Entry| mains.iter().any(|main| main.id() == entry.id());
        let mut surplus: Vec<&&Arc<Entry>> = alive.iter().filter(|entry| !is_main(entry)).collect();
        surplus.sort_by_key(|entry| (!is_withdrawn(entry.expected()), entry.id()));
        let Some(next) = surplus.first() else { return };
        for main in mains {
            let Some(since) = self.memory.running.get(&main.id()) else { return };
            if *since + observed.rules.settle > observed.now {
                return self.ask_again(*since + observed.rules.settle);
            }
            if is_withdrawn(main.expected()) {
                return;
            }
        }
        let id = next.id();
        let name = &next.observed().name;
        if !next.observed().state.is_running() {
            return self.steps.push(Step::Delete(id));
        }
        let Some(since) = self.memory.withdrawn.get(&id) else {
            self.memory.withdrawn.insert(id, observed.now);
            self.ask_again(observed.now + observed.rules.drain);
            self.steps.push(Step::SetMetadata(id, Metadata::from_iter([(CNS_STATUS, "down")])));
            let text = format!("Taking load balancer {name} out of DNS: it will be deleted");
            return self.notes.push(Note::normal("DrainingLoadBalancer", text));
        };
        let ends = *since + observed.rules.drain;
        if ends > observed.now { self.ask_again(ends) } else { self.steps.push(Step::Delete(id)) }
    }

    /// Says in the status how clients find the load balancers, once DNS has their name.
    fn announce(
        &mut self,
        observed: &Observed<'_>,
        wishes: &Wishes,
        supplies: &Supplies,
        (cns, wanted): (&str, usize),
        alive: &[&Arc<Entry>],
    ) {
        let mut serving: Vec<&Instance> =
            alive.iter().filter(|entry| serves(entry)).map(|entry| &**entry.observed()).collect();
        serving.sort_by_key(|instance| (instance.name.clone(), instance.id));
        if serving.len() >= wanted {
            self.memory.succeeded();
        }
        let refused = self.memory.refused.clone();
        self.notes.extend(refused.clone().map(|(reason, text)| Note::warning(reason, text)));
        let refused = refused.map(|(_, text)| format!(": {text}")).unwrap_or_default();
        let state = |plan: &mut Self, is_good, reason, text: String| {
            let change = condition(observed.service, (is_good, reason), text, observed.wall);
            plan.status.condition = change.map(Some);
        };
        let named = supplies.networks.iter().map(|(id, names)| (*id, names));
        let possible = hostnames(cns, &wishes.zone, named);
        let before = Ingress::of(observed.service);
        // The addresses and the hostname of a Service whose load balancers are out of sight stay.
        if serving.is_empty() {
            return state(self, false, "Pending", format!("no load balancer runs yet{refused}"));
        }
        let Some((hostname, network)) =
            possible.iter().find(|(it, _)| *it == before.hostname).or(possible.first())
        else {
            let text =
                "CNS has no name for load balancers in the zone of annotation tritondatacenter.com/cns-zone";
            self.notes.push(Note::warning("CNSDisabled", text.to_owned()));
            return state(self, false, "CNSDisabled", text.to_owned());
        };
        let has = |instance: &Instance| instance.dns_names.iter().flatten().any(|it| **it == **hostname);
        if before.hostname != *hostname && !serving.iter().any(|instance| has(instance)) {
            self.steps.extend(serving.first().map(|instance| Step::Read(instance.id)));
            let pause = CONFIRM.0.saturating_mul(1 << self.memory.unconfirmed.min(8)).min(CONFIRM.1);
            self.memory.unconfirmed = self.memory.unconfirmed.saturating_add(1);
            self.ask_again(observed.now + pause);
            return state(
                self,
                false,
                "Pending",
                "DNS does not have the name of the load balancers yet".to_owned(),
            );
        }
        self.memory.unconfirmed = 0;
        let address = |instance: &&Instance| -> Option<IpAddr> {
            let on = instance.nics.iter().find(|nic| nic.network == Some(*network));
            on.and_then(|nic| nic.ip).or(instance.primary_ip)
        };
        let ingress =
            Ingress { hostname: hostname.clone(), addresses: serving.iter().filter_map(address).collect() };
        if before != ingress {
            if before.hostname != ingress.hostname {
                let text = format!("Ensured load balancer: {hostname}");
                self.done.push(Note::normal("EnsuredLoadBalancer", text));
            }
            self.status.ingress = Some(ingress);
        }
        let reason = if serving.len() < wanted { "Degraded" } else { "Balanced" };
        let text = format!(
            "clients find the Service as {hostname}; {} of {wanted} load balancers run{refused}",
            serving.len().min(wanted)
        );
        state(self, true, reason, text);
    }
}

/// Whether an instance runs, and is in DNS.
fn serves(entry: &Entry) -> bool {
    let instance = entry.observed();
    instance.state.is_running() && !instance.ips.is_empty() && !is_withdrawn(entry.expected())
}

/// Whether an instance was taken out of DNS, or is not in it yet.
fn is_withdrawn(instance: &Instance) -> bool {
    instance.metadata.get(CNS_STATUS).is_some_and(|status| status != "up")
}

/// By which hostname load balancers find servers: with the addresses on their fabric network where they have one, else with
/// those that are not public, else with all.
fn servers(name: &str, supplies: &Supplies) -> Option<String> {
    let networks = || supplies.networks.iter().map(|(id, names)| (*id, names));
    let fabrics = networks().filter(|(_, names)| names.is_fabric);
    let zones = fabrics.map(|(_, names)| Zone::Network(names.network.clone()));
    let zones = zones.chain([Zone::Private, Zone::Any]);
    zones.flat_map(|zone| hostnames(name, &zone, networks())).map(|(hostname, _)| hostname).next()
}
