//! Random histories: whatever is asked for in whatever order, the world stays consistent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use triton::id::InstanceId;

use super::settings::{LostNode, Settings};
use super::testing::{Stage, caller, params};
use super::{Machine, World};
use crate::view::VmState;

/// One thing that happens. Numbers choose among the instances, names or nodes that there are.
#[derive(Debug, Clone)]
enum Event {
    Create { name: u8, hvm: bool, ip: Option<u8>, public: bool },
    Delete(usize),
    Act(usize, &'static str),
    Rename(usize, u8),
    Resize(usize, bool),
    Tag(usize, u8),
    AddNic(usize, bool),
    RemoveNic(usize),
    Migrate(usize, &'static str),
    PowerOff(usize),
    Reserve(u8, bool),
    Node(usize, bool),
    Pass(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let actions = prop::sample::select(vec!["start", "stop", "reboot"]);
    let steps = prop::sample::select(vec!["begin", "automatic", "sync", "switch", "abort", "finalize"]);
    let instance = || 0..12_usize;
    prop_oneof![
        4 => (0..6_u8, any::<bool>(), prop::option::of(10..14_u8), any::<bool>())
            .prop_map(|(name, hvm, ip, public)| Event::Create { name, hvm, ip, public }),
        3 => instance().prop_map(Event::Delete),
        3 => (instance(), actions).prop_map(|(instance, action)| Event::Act(instance, action)),
        2 => (instance(), 0..6_u8).prop_map(|(instance, name)| Event::Rename(instance, name)),
        1 => (instance(), any::<bool>()).prop_map(|(instance, large)| Event::Resize(instance, large)),
        1 => (instance(), any::<u8>()).prop_map(|(instance, value)| Event::Tag(instance, value)),
        2 => (instance(), any::<bool>()).prop_map(|(instance, pool)| Event::AddNic(instance, pool)),
        2 => instance().prop_map(Event::RemoveNic),
        2 => (instance(), steps).prop_map(|(instance, step)| Event::Migrate(instance, step)),
        1 => instance().prop_map(Event::PowerOff),
        1 => (10..14_u8, any::<bool>()).prop_map(|(ip, reserved)| Event::Reserve(ip, reserved)),
        1 => (0..4_usize, any::<bool>()).prop_map(|(node, up)| Event::Node(node, up)),
        5 => (0..3000_u16).prop_map(Event::Pass),
    ]
}

/// A stage that counts the jobs it was granted.
struct History {
    stage: Stage,
    ids: Vec<InstanceId>,
    jobs: BTreeMap<InstanceId, usize>,
}

impl History {
    fn new(seed: u64, unreliable: bool) -> Self {
        let mut settings = Settings { seed, lost_node: LostNode::Unknown, ..Settings::default() };
        if unreliable {
            (settings.provision_failures, settings.job_failures) = (0.2, 0.2);
        }
        Self { stage: Stage::with(settings), ids: Vec::new(), jobs: BTreeMap::new() }
    }

    fn happens(&mut self, event: &Event) {
        let acme = self.stage.ids.acme;
        let at = |number: usize, all: &[InstanceId]| all.get(number % all.len().max(1)).copied();
        match event {
            Event::Create { name, hvm, ip, public } => self.create(*name, *hvm, *ip, *public),
            Event::Pass(milliseconds) => self.stage.pass(Duration::from_millis((*milliseconds).into())),
            Event::Node(node, up) => {
                let (now, node) = (self.stage.now, self.stage.ids.nodes[*node]);
                self.stage.world.set_compute_node_up(now, node, *up);
            }
            Event::Reserve(ip, reserved) => {
                let (fabric, ip) = (self.stage.ids.fabric, format!("192.168.128.{ip}"));
                let reserved = params(json!({"reserved": reserved}));
                self.stage.world.update_address(acme, fabric, &ip, &reserved).unwrap();
            }
            Event::Delete(number)
            | Event::Act(number, _)
            | Event::Rename(number, _)
            | Event::Resize(number, _)
            | Event::Tag(number, _)
            | Event::AddNic(number, _)
            | Event::RemoveNic(number)
            | Event::Migrate(number, _)
            | Event::PowerOff(number) => {
                if let Some(id) = at(*number, &self.ids) {
                    self.happens_to(id, event);
                }
            }
        }
    }

    fn create(&mut self, name: u8, hvm: bool, ip: Option<u8>, public: bool) {
        let fabric = self.stage.ids.fabric.to_string();
        let fabric = match ip {
            Some(ip) => json!({"ipv4_uuid": fabric, "ipv4_ips": [format!("192.168.128.{ip}")]}),
            None => json!(fabric),
        };
        let networks =
            if public { json!([fabric, self.stage.ids.pool.to_string()]) } else { json!([fabric]) };
        let more = json!({"name": format!("name-{name}"), "networks": networks});
        let params = if hvm { self.stage.hvm(more) } else { self.stage.zone(more) };
        if let Ok(machine) = self.stage.try_create(&params) {
            self.ids.push(machine.id);
            *self.jobs.entry(machine.id).or_default() += 1;
        }
    }

    fn happens_to(&mut self, id: InstanceId, event: &Event) {
        let (now, acme) = (self.stage.now, self.stage.ids.acme);
        let before = self.started(id);
        let caller = caller();
        let granted = match event {
            Event::Delete(_) => self.stage.delete(id).is_ok(),
            Event::Act(_, action) => self.stage.act(id, json!({"action": action})).is_ok(),
            Event::Rename(_, name) => {
                self.stage.act(id, json!({"action": "rename", "name": format!("name-{name}")})).is_ok()
            }
            Event::Resize(_, large) => {
                let hvm = self.stage.machine(id).brand.is_hvm();
                let package = match (hvm, large) {
                    (true, true) => "b1.large",
                    (true, false) => "b1.medium",
                    (false, true) => "g1.small",
                    (false, false) => "g1.nano",
                };
                self.stage.act(id, json!({"action": "resize", "package": package})).is_ok()
            }
            Event::Tag(_, value) => {
                let tags = params(json!({"value": value}));
                self.stage.world.add_tags(now, acme, id, &tags, &caller).is_ok()
            }
            Event::AddNic(_, pool) => {
                let network = if *pool { self.stage.ids.pool } else { self.stage.ids.external };
                let network = params(json!({"network": network.to_string(), "primary": true}));
                self.stage.world.add_nic(now, acme, id, &network, &caller).is_ok()
            }
            Event::RemoveNic(_) => {
                let mac = self.stage.machine(id).nics.first().map(|nic| nic.mac.to_path_segment());
                mac.is_some_and(|mac| self.stage.world.remove_nic(now, acme, id, &mac, &caller).is_ok())
            }
            Event::Migrate(_, step) => {
                let step = params(json!({"action": step}));
                self.stage.world.migrate(now, acme, id, &step, &caller).is_ok()
            }
            _ => {
                self.stage.world.guest_powers_off(now, id);
                false
            }
        };
        let added = self.started(id) - before;
        assert!(granted || added == 0, "a refused request left a job: {event:?}");
        *self.jobs.entry(id).or_default() += added;
    }

    /// Jobs that were ever begun or wait.
    fn started(&self, id: InstanceId) -> usize {
        self.stage.world.audit(id).count() + self.stage.world.unfinished_jobs(id)
    }

    fn check(&self) {
        let world = &self.stage.world;
        let active: Vec<&Machine> = world.machines().map(|m| &**m).filter(|m| m.is_active()).collect();
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for machine in &active {
            assert!(names.insert((machine.owner, &machine.name)), "two instances are {}", machine.name);
            let all: Vec<_> = machine.nics.iter().chain(&machine.pending_nics).collect();
            for nic in &all {
                assert!(addresses.insert((nic.network, nic.ip)), "two instances have {}", nic.ip);
                let network = world.network_by_id(nic.network).unwrap();
                assert_eq!(network.addresses.get(nic.ip).unwrap().instance, Some(machine.id));
            }
            let primary = machine.nics.iter().filter(|nic| nic.primary).count();
            assert_eq!(primary, usize::from(!machine.nics.is_empty()), "primary NICs of {machine:?}");
        }
        assert_eq!(self.stage.addresses_in_use(), addresses.len());
        for machine in world.machines().filter(|machine| machine.stored_state == VmState::Failed) {
            assert!(machine.nics.is_empty() && machine.pending_nics.is_empty());
        }
        let placed = active.iter().filter(|machine| machine.compute_node.is_some());
        let demand: u64 = placed.map(|machine| machine.memory_mib).sum();
        let moving: u64 = active.iter().filter(|m| world.is_moving(m.id)).map(|m| m.memory_mib).sum();
        assert_eq!(self.stage.memory_in_use(), demand + moving);
    }

    fn check_audits(&self) {
        for (id, jobs) in &self.jobs {
            let automatic = self.stage.world.audit(*id).filter(|entry| entry.action == "migrate").count();
            let others = self.stage.world.audit(*id).count() - automatic;
            // Phases of an automatic migration follow without a request.
            assert!(others <= *jobs && *jobs <= others + automatic, "audit of {id}");
            assert!(self.stage.world.audit(*id).is_sorted_by(|a, b| a.time >= b.time));
        }
    }
}

/// All there is to see of a world.
fn fingerprint(world: &World) -> String {
    let rows = world.machines().map(|machine| {
        let audit: Vec<_> = world.audit(machine.id).collect();
        format!(
            "{:?} {:?} {:?} {:?} {:?} {audit:?}",
            machine, machine.nics, machine.compute_node, machine.tags, machine.updated
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_world_stays_consistent(
        seed in any::<u64>(),
        unreliable in any::<bool>(),
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut history = History::new(seed, unreliable);
        for event in &events {
            history.happens(event);
            history.check();
        }
        history.stage.settle();
        history.check();
        history.check_audits();

        history.stage.world.settings_mut().job_failures = 0.0;
        for node in history.stage.ids.nodes {
            let now = history.stage.now;
            history.stage.world.set_compute_node_up(now, node, true);
        }
        for id in history.ids.clone() {
            let _ = history.stage.delete(id);
        }
        history.stage.settle();
        prop_assert!(history.stage.world.machines().all(|machine| !machine.is_active()));
        prop_assert_eq!((history.stage.addresses_in_use(), history.stage.memory_in_use()), (0, 0));
    }

    #[test]
    fn the_same_seed_and_the_same_events_give_the_same_world(
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let run = || {
            let mut history = History::new(seed, true);
            events.iter().for_each(|event| history.happens(event));
            history.stage.settle();
            fingerprint(&history.stage.world)
        };
        prop_assert_eq!(run(), run());
    }
}
