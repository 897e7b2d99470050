//! An instance and a data centre for unit tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::broadcast;
use triton::auth::PublicKey;
use triton::id::{AccountId, InstanceId};
use uuid::Uuid;

use super::guest::Guest;
use crate::view::{DataCenter, InstanceView, NicView, VmState};

pub(crate) fn view() -> InstanceView {
    let id = Uuid::from_u128;
    InstanceView {
        id: id(1).into(),
        owner: id(0xa).into(),
        owner_login: "acme".into(),
        cns_enabled: true,
        alias: "web".to_owned(),
        state: VmState::Running,
        brand: "lx".into(),
        image: id(0xb).into(),
        image_name: "ubuntu".into(),
        image_tags: BTreeMap::from([("default_user".to_owned(), json!("ubuntu"))]),
        package_name: "g1.nano".into(),
        compute_node: Some(id(0xc).into()),
        compute_node_up: true,
        memory_mib: 512,
        disk_mib: 10_240,
        nics: vec![NicView {
            mac: [0x90, 0xb8, 0xd0, 0, 0, 1],
            ip: "192.168.128.5".parse().unwrap(),
            primary: true,
            network: id(0xd).into(),
            network_name: "My-Fabric-Network".into(),
            network_owner: Some(id(0xa).into()),
            public: false,
            nic_tag: "sdc_overlay".into(),
        }],
        tags: BTreeMap::from([("role".to_owned(), json!("api")), ("number".to_owned(), json!(7))]),
        metadata: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
        booted: Some("2026-02-02T10:00:00Z".parse().unwrap()),
    }
}

/// A data centre of one instance, in which the guest's acts show at once.
pub(crate) struct OneInstance {
    view: Mutex<InstanceView>,
    now: Mutex<Timestamp>,
    changes: broadcast::Sender<InstanceId>,
}

impl OneInstance {
    pub(crate) fn new(view: InstanceView) -> Arc<Self> {
        let now = "2026-02-03T04:05:06Z".parse().unwrap();
        Arc::new(Self { view: Mutex::new(view), now: Mutex::new(now), changes: broadcast::channel(2).0 })
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        *self.now.lock().unwrap() = now;
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut InstanceView)) {
        let mut view = self.view.lock().unwrap();
        change(&mut view);
        let _ = self.changes.send(view.id);
    }

    pub(crate) fn guest(self: &Arc<Self>) -> Guest {
        let id = self.now_view().id;
        Guest::new(self.clone(), id)
    }

    pub(crate) fn now_view(&self) -> InstanceView {
        self.view.lock().unwrap().clone()
    }
}

impl DataCenter for OneInstance {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn name(&self) -> &'static str {
        "dc1"
    }

    fn instance(&self, id: InstanceId) -> Option<Arc<InstanceView>> {
        Some(self.now_view()).filter(|view| view.id == id).map(Arc::new)
    }

    fn instances(&self) -> Vec<Arc<InstanceView>> {
        vec![Arc::new(self.now_view())]
    }

    fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.changes.subscribe()
    }

    fn account_keys(&self, _: &str) -> Option<(AccountId, Vec<PublicKey>)> {
        None
    }

    fn guest_sets_metadata(&self, _: InstanceId, key: &str, value: Option<&str>) {
        self.change(|view| {
            match value {
                Some(value) => view.metadata.insert(key.to_owned(), value.to_owned()),
                None => view.metadata.remove(key),
            };
        });
    }

    fn guest_powers_off(&self, _: InstanceId) {
        self.change(|view| view.state = VmState::Stopped);
    }

    fn guest_reboots(&self, _: InstanceId) {
        let now = self.now();
        self.change(|view| view.booted = Some(now));
    }
}
