//! A data centre for CNS: instances that a test changes at will.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;
use triton::auth::PublicKey;
use triton::id::{AccountId, InstanceId};
use triton_sim::cns::{Cns, CnsError, CnsSettings, ZoneConfig};
use triton_sim::view::{DataCenter, InstanceView, NicView, VmState};

pub const ACCOUNT: &str = "7d2a4a1e-2f3b-4f5c-8a39-0d3f4f6a7b8c";
pub const EXTERNAL: &str = "3985900d-15a8-42d8-a997-1f7e8df2d0af";
pub const FABRIC: &str = "ac336e0f-8532-4e0e-a19e-7cd5bdd62817";

/// The capacity of the changes: small, so that lagging is quickly done.
const CHANGES: usize = 16;

pub struct Center {
    instances: Mutex<BTreeMap<InstanceId, Arc<InstanceView>>>,
    changes: broadcast::Sender<InstanceId>,
    now: Mutex<Timestamp>,
}

pub fn id(n: u16) -> InstanceId {
    format!("00000000-0000-4000-8000-{n:012x}").parse().unwrap()
}

/// A running instance `web-<n>` with a public address, one in a fabric, and the service `web:8080`.
pub fn web(n: u16) -> InstanceView {
    let nic = |base: u32, network: &str, is_public: bool| NicView {
        mac: [0x90, 0xb8, 0xd0, 0x80, 0xec, 0xae],
        ip: Ipv4Addr::from_bits(base + u32::from(n)),
        primary: is_public,
        network: network.parse().unwrap(),
        network_name: if is_public { "external" } else { "My-Fabric-Network" }.into(),
        network_owner: (!is_public).then(|| ACCOUNT.parse().unwrap()),
        public: is_public,
        nic_tag: if is_public { "external" } else { "sdc_overlay" }.into(),
    };
    InstanceView {
        id: id(n),
        owner: ACCOUNT.parse().unwrap(),
        owner_login: "acme".into(),
        cns_enabled: true,
        alias: format!("web-{n}"),
        state: VmState::Running,
        brand: "lx".into(),
        image: "8a1b6e3a-00ec-4031-b0a8-8fb0f334c394".parse().unwrap(),
        image_name: "ubuntu-22.04".into(),
        image_tags: [].into(),
        package_name: "g1.micro".into(),
        compute_node: Some("44454c4c-5300-1057-8050-b7c04f533532".parse().unwrap()),
        compute_node_up: true,
        memory_mib: 1024,
        disk_mib: 10240,
        nics: vec![nic(0xcb00_7100, EXTERNAL, true), nic(0xc0a8_8000, FABRIC, false)],
        tags: [("triton.cns.services".to_owned(), "web:8080".into())].into(),
        metadata: [].into(),
        booted: None,
    }
}

impl Center {
    pub fn new(instances: impl IntoIterator<Item = InstanceView>) -> Arc<Self> {
        let instances = instances.into_iter().map(|view| (view.id, Arc::new(view))).collect();
        let now = "2026-01-26T21:32:02Z".parse().unwrap();
        let changes = broadcast::channel(CHANGES).0;
        Arc::new(Self { instances: Mutex::new(instances), changes, now: Mutex::new(now) })
    }

    /// Starts CNS for this data centre, on any port of loopback.
    pub async fn cns(self: &Arc<Self>, commit_delay: Duration) -> Cns {
        self.try_cns(commit_delay, 0).await.unwrap()
    }

    pub async fn try_cns(self: &Arc<Self>, commit_delay: Duration, port: u16) -> Result<Cns, CnsError> {
        let settings = CnsSettings {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            zones: ZoneConfig::of_data_center("dc1", [EXTERNAL.parse().unwrap()]).unwrap(),
            commit_delay,
            cmon: Some(Ipv4Addr::new(192, 0, 2, 9)),
        };
        Cns::start(Arc::clone(self) as Arc<dyn DataCenter>, settings).await
    }

    /// Puts an instance in place of the one with its id, if there is one.
    pub fn put(&self, view: InstanceView) {
        let id = view.id;
        self.instances.lock().unwrap().insert(id, Arc::new(view));
        let _ = self.changes.send(id);
    }

    pub fn change(&self, n: u16, change: impl FnOnce(&mut InstanceView)) {
        self.change_unseen(n, change);
        let _ = self.changes.send(id(n));
    }

    /// Changes an instance and tells nobody.
    pub fn change_unseen(&self, n: u16, change: impl FnOnce(&mut InstanceView)) {
        let mut instances = self.instances.lock().unwrap();
        change(Arc::make_mut(instances.get_mut(&id(n)).unwrap()));
    }

    /// Forgets an instance without a trace, as a data centre that was read anew would.
    pub fn forget(&self, n: u16) {
        self.instances.lock().unwrap().remove(&id(n));
        let _ = self.changes.send(id(n));
    }

    pub fn pass(&self, duration: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(duration).unwrap();
    }
}

impl DataCenter for Center {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn name(&self) -> &str {
        "dc1"
    }

    fn instance(&self, id: InstanceId) -> Option<Arc<InstanceView>> {
        self.instances.lock().unwrap().get(&id).cloned()
    }

    fn instances(&self) -> Vec<Arc<InstanceView>> {
        let is_there =
            |view: &&Arc<InstanceView>| !matches!(view.state, VmState::Destroyed | VmState::Failed);
        self.instances.lock().unwrap().values().filter(is_there).cloned().collect()
    }

    fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.changes.subscribe()
    }

    fn account_keys(&self, _: &str) -> Option<(AccountId, Vec<PublicKey>)> {
        None
    }

    fn guest_sets_metadata(&self, _: InstanceId, _: &str, _: Option<&str>) {}

    fn guest_powers_off(&self, _: InstanceId) {}

    fn guest_reboots(&self, _: InstanceId) {}
}
