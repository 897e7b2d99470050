//! What the tests of the world share: the fixtures, a clock, and short ways to ask for things.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use triton::id::{AccountId, InstanceId};

use super::machine::Machine;
use super::networks::Network;
use super::params::Params;
use super::settings::{Settings, Timing};
use super::{Caller, Change, World, WorldError};
use crate::fixtures::{self, Ids};
use crate::view::VmState;

/// Two keys.
pub(super) const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMfLJSvxBhtPTY3EgAHKSa7vbIyNHm18xzgkoesaLkLF one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDHf5QtU0zQD24avUfr+wKVQCJGfyemyTUFue+27VTON two",
];

/// The fixtures at a time that stands still until it is moved.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) ids: Ids,
    pub(super) now: Timestamp,
}

/// Parameters of a JSON object.
pub(super) fn params(value: Value) -> Params {
    match value {
        Value::Object(params) => params,
        other => panic!("no object: {other}"),
    }
}

/// The status and the code of a refusal.
pub(super) fn refusal<T: std::fmt::Debug>(result: Result<T, WorldError>) -> (u16, String) {
    let error = result.unwrap_err();
    let code = error.refusal().map(|refusal| refusal.code.to_string());
    (error.status(), code.unwrap_or_default())
}

/// The message of a refusal.
pub(super) fn message<T: std::fmt::Debug>(result: Result<T, WorldError>) -> String {
    result.unwrap_err().refusal().unwrap().message.clone()
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(Settings { timing: Timing { jitter: 0.0, ..Timing::default() }, ..Settings::default() })
    }

    pub(super) fn with(settings: Settings) -> Self {
        let ids = Ids::new(settings.seed);
        let now = "2026-01-26T21:32:02.032Z".parse().unwrap();
        let world = fixtures::data_center(settings, now, &[KEYS[0].to_owned()]).unwrap();
        Self { world, ids, now }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.checked_add(time).unwrap();
        self.world.advance(self.now);
    }

    /// Time passes until nothing is pending.
    pub(super) fn settle(&mut self) {
        while let Some(due) = self.world.next_due() {
            self.now = self.now.max(due);
            self.world.advance(self.now);
        }
    }

    /// The parameters of a small zone on the fabric, with these in addition or instead.
    pub(super) fn zone(&self, more: Value) -> Params {
        let mut all = params(json!({
            "image": self.ids.base_64.to_string(),
            "package": "g1.nano",
            "networks": [self.ids.fabric.to_string()],
        }));
        all.extend(params(more));
        all
    }

    /// The parameters of a flexible bhyve machine on the fabric, with these in addition or instead.
    pub(super) fn hvm(&self, more: Value) -> Params {
        let mut all = self.zone(json!({"image": self.ids.ubuntu_hvm.to_string(), "package": "b1.medium"}));
        all.extend(params(more));
        all
    }

    pub(super) fn try_create(&mut self, params: &Params) -> Result<Arc<Machine>, WorldError> {
        self.world.create_machine(self.now, self.ids.acme, params, 9, &caller())
    }

    /// A zone that is being made.
    pub(super) fn create(&mut self, more: Value) -> InstanceId {
        let params = self.zone(more);
        self.try_create(&params).unwrap().id
    }

    /// A zone that runs.
    pub(super) fn running(&mut self, more: Value) -> InstanceId {
        let id = self.create(more);
        self.settle();
        assert_eq!(self.state(id), VmState::Running);
        id
    }

    /// A bhyve machine that is stopped.
    pub(super) fn stopped_hvm(&mut self) -> InstanceId {
        let params = self.hvm(json!({}));
        let id = self.try_create(&params).unwrap().id;
        self.settle();
        self.act(id, json!({"action": "stop"})).unwrap();
        self.settle();
        id
    }

    pub(super) fn act(&mut self, id: InstanceId, action: Value) -> Result<(), WorldError> {
        self.world.update_machine(self.now, self.ids.acme, id, &params(action), &caller())
    }

    pub(super) fn delete(&mut self, id: InstanceId) -> Result<(), WorldError> {
        self.world.delete_machine(self.now, self.ids.acme, id, &caller())
    }

    pub(super) fn machine(&self, id: InstanceId) -> &Machine {
        self.world.machine_by_id(id).unwrap()
    }

    pub(super) fn state(&self, id: InstanceId) -> VmState {
        self.machine(id).state()
    }

    /// The audit log, newest first, as `action yes` or `action no`.
    pub(super) fn audit(&self, id: InstanceId) -> Vec<String> {
        let outcome = |success| if success { "yes" } else { "no" };
        self.world.audit(id).map(|entry| format!("{} {}", entry.action, outcome(entry.success))).collect()
    }

    /// The changes since the last call, as the state and the properties.
    pub(super) fn changes(&mut self) -> Vec<(VmState, Vec<&'static str>)> {
        let changes = self.world.drain_changes().into_iter();
        changes.map(|Change { state, sub_resources, .. }| (state, sub_resources)).collect()
    }

    /// How much memory the instances take of all nodes, in MiB.
    pub(super) fn memory_in_use(&self) -> u64 {
        self.world.compute_nodes().map(|node| node.memory_mib - node.free_memory_mib()).sum()
    }

    /// How many addresses of a network instances have.
    pub(super) fn addresses_in_use(&self) -> usize {
        let networks =
            [self.ids.external, self.ids.fabric, self.ids.pool_members[0], self.ids.pool_members[1]];
        let networks = networks.into_iter().filter_map(|id| self.world.network_by_id(id));
        networks.flat_map(Network::known_addresses).filter(|(_, address)| address.instance.is_some()).count()
    }
}

pub(super) fn caller() -> Caller {
    Caller { kind: super::CallerKind::Signature, ip: None, key_id: Some("/acme/keys/one".to_owned()) }
}

/// The other account.
pub(super) fn foreign(stage: &Stage) -> AccountId {
    stage.ids.initech
}
