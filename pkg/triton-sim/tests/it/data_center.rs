//! A data centre that does what tests say: services around CloudAPI are tested without it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::broadcast;
use triton::auth::PublicKey;
use triton::id::{AccountId, InstanceId};
use triton_sim::view::{DataCenter, InstanceView, NicView, VmState};
use uuid::Uuid;

pub struct FakeDataCenter {
    state: Mutex<State>,
    changes: broadcast::Sender<InstanceId>,
}

struct State {
    now: Timestamp,
    instances: BTreeMap<InstanceId, Arc<InstanceView>>,
    keys: BTreeMap<String, (AccountId, Vec<PublicKey>)>,
}

pub fn account(number: u128) -> AccountId {
    Uuid::from_u128(number).into()
}

pub fn instance(number: u128) -> InstanceId {
    Uuid::from_u128(number).into()
}

/// A running instance of `acme` with this number and address.
pub fn running(number: u128, ip: &str) -> InstanceView {
    let ip: Ipv4Addr = ip.parse().unwrap();
    InstanceView {
        id: instance(number),
        owner: account(0xa),
        owner_login: "acme".into(),
        cns_enabled: true,
        alias: format!("web{number}"),
        state: VmState::Running,
        brand: "lx".into(),
        image: Uuid::from_u128(0xb).into(),
        image_name: "ubuntu".into(),
        image_tags: BTreeMap::new(),
        package_name: "g1.nano".into(),
        compute_node: Some(Uuid::from_u128(0xc).into()),
        compute_node_up: true,
        memory_mib: 512,
        disk_mib: 10_240,
        nics: vec![NicView {
            mac: [0x90, 0xb8, 0xd0, 0, 0, 1],
            ip,
            primary: true,
            network: Uuid::from_u128(0xd).into(),
            network_name: "My-Fabric-Network".into(),
            network_owner: Some(account(0xa)),
            public: false,
            nic_tag: "sdc_overlay".into(),
        }],
        tags: BTreeMap::new(),
        metadata: BTreeMap::new(),
        booted: Some(start()),
    }
}

/// When tests begin.
pub fn start() -> Timestamp {
    "2026-02-02T10:00:00Z".parse().unwrap()
}

impl FakeDataCenter {
    pub fn new(instances: impl IntoIterator<Item = InstanceView>) -> Arc<Self> {
        let instances = instances.into_iter().map(|view| (view.id, Arc::new(view))).collect();
        let state = State { now: start(), instances, keys: BTreeMap::new() };
        Arc::new(Self { state: Mutex::new(state), changes: broadcast::channel(16).0 })
    }

    pub fn set_keys(&self, login: &str, id: AccountId, keys: Vec<PublicKey>) {
        self.state.lock().unwrap().keys.insert(login.to_owned(), (id, keys));
    }

    pub fn set_now(&self, now: Timestamp) {
        self.state.lock().unwrap().now = now;
    }

    /// Adds or replaces an instance.
    pub fn put(&self, view: InstanceView) {
        let id = view.id;
        self.state.lock().unwrap().instances.insert(id, Arc::new(view));
        let _ = self.changes.send(id);
    }

    /// Changes an instance.
    pub fn change(&self, id: InstanceId, change: impl FnOnce(&mut InstanceView)) {
        let mut view = self.instance(id).unwrap().as_ref().clone();
        change(&mut view);
        self.put(view);
    }

    pub fn metadata(&self, id: InstanceId, key: &str) -> Option<String> {
        self.instance(id)?.metadata.get(key).cloned()
    }

    pub fn state(&self, id: InstanceId) -> VmState {
        self.instance(id).unwrap().state
    }
}

impl DataCenter for FakeDataCenter {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap().now
    }

    fn name(&self) -> &'static str {
        "dc1"
    }

    fn instance(&self, id: InstanceId) -> Option<Arc<InstanceView>> {
        self.state.lock().unwrap().instances.get(&id).cloned()
    }

    fn instances(&self) -> Vec<Arc<InstanceView>> {
        let gone = [VmState::Failed, VmState::Destroyed];
        let state = self.state.lock().unwrap();
        state.instances.values().filter(|view| !gone.contains(&view.state)).cloned().collect()
    }

    fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.changes.subscribe()
    }

    fn account_keys(&self, login: &str) -> Option<(AccountId, Vec<PublicKey>)> {
        self.state.lock().unwrap().keys.get(login).cloned()
    }

    fn guest_sets_metadata(&self, id: InstanceId, key: &str, value: Option<&str>) {
        self.change(id, |view| {
            match value {
                Some(value) => view.metadata.insert(key.to_owned(), value.to_owned()),
                None => view.metadata.remove(key),
            };
        });
    }

    fn guest_powers_off(&self, id: InstanceId) {
        self.change(id, |view| (view.state, view.booted) = (VmState::Stopped, None));
    }

    fn guest_reboots(&self, id: InstanceId) {
        let later = jiff::Span::new().seconds(60);
        self.change(id, |view| view.booted = view.booted.map(|booted| booted + later));
    }
}
