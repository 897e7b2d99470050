//! A cluster of machines and the process that looks after its Nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud_controllers::controller::{
    BalancerSettings, Controllers, Kind, MetricsSettings, Parts, RouteSettings, ServiceSettings, Settings,
};
use cloud_controllers::node::labels::Place;
use cloud_controllers::node_lifecycle;
use provider::cns::DefaultLoadBalancer;
use provider::names::DEFAULT_CLUSTER;
use runtime::clients::{Clients, Limits};
use runtime::leader::Claim;
use runtime::metrics::Metrics;
use runtime::watching::Caches;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::config::{Config, Environment};
use triton::id::InstanceId;
use triton::reflector::{self, Lookup, Proof, Reflector, Store};
use triton_sim::faults::FaultPlan;
use triton_sim::world::Caller;
use triton_sim::{Preset, Simulator};

use crate::api_server::ApiServer;

/// The longest that anything may take while nothing is wrong, of the paused clock.
const BOUND: Duration = Duration::from_secs(60);

/// A machine and its Node.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) id: InstanceId,
    /// When it was destroyed.
    pub(crate) destroyed: Option<Instant>,
    /// What the process has proved of it, and when.
    pub(crate) proved: Option<(Proof, Instant)>,
}

pub(crate) struct Cluster {
    pub(crate) simulator: Simulator,
    pub(crate) api: ApiServer,
    pub(crate) machines: Vec<Machine>,
    kinds: BTreeSet<Kind>,
    process: JoinSet<()>,
    store: Option<Store>,
}

impl Cluster {
    /// A cluster of so many machines, whose Nodes are initialised, and the controllers of Nodes.
    pub(crate) async fn of(count: usize) -> Self {
        Self::with(count, [Kind::Node, Kind::NodeLifecycle]).await
    }

    /// The same with these controllers, of which one initialises Nodes.
    pub(crate) async fn with<const N: usize>(count: usize, kinds: [Kind; N]) -> Self {
        let settings = triton_sim::Settings {
            admin: None,
            cns: None,
            cmon: None,
            ..triton_sim::Settings::preset(Preset::Instant)
        };
        let simulator = Simulator::start(settings).await.unwrap();
        let (ids, api) = (simulator.ids(), ApiServer::default());
        let machine = |number| {
            let name = format!("m{number}");
            let params =
                json!({"name": name, "image": ids.base_64, "package": "g1.nano", "networks": [ids.fabric]});
            let params = params.as_object().unwrap();
            let id = simulator
                .control()
                .write(|world, now| world.create_running_machine(now, ids.acme, params).unwrap());
            Machine { name, id, destroyed: None, proved: None }
        };
        let machines: Vec<Machine> = (1..=count).map(machine).collect();
        let (kinds, process) = (kinds.into(), JoinSet::new());
        let mut cluster = Self { simulator, api, machines, kinds, process, store: None };
        cluster.start().await;
        for machine in &cluster.machines {
            cluster.api.put(node(machine));
        }
        let initialised = || {
            let node = |machine: &Machine| cluster.api.node(&machine.name).unwrap();
            cluster.machines.iter().all(|machine| node(machine)["spec"]["taints"] == json!([]))
        };
        let deadline = Instant::now() + BOUND;
        while !initialised() {
            assert!(Instant::now() < deadline, "not initialised within {BOUND:?}");
            sleep(Duration::from_millis(100)).await;
        }
        cluster
    }

    /// Starts the process, with the settings that it ships with.
    async fn start(&mut self) {
        let environment: Environment = self.simulator.environment().into_iter().collect();
        let config = Config::load(&environment, None).unwrap();
        let builder = Client::configured(&config).await.unwrap();
        let triton = builder.connect(self.simulator.connect()).build().unwrap();
        let reflector = Reflector::new(triton.clone(), reflector::Settings::default());
        let clients = Clients::through(self.api.client(), "ccm/1", Limits { rate: 100.0, burst: 200 });
        let metrics = Metrics::new().unwrap();
        let parts = Parts {
            clients: &clients,
            claim: Claim::without_election(),
            identity: "test".to_owned(),
            caches: Caches::new(),
            metrics: &metrics,
            triton,
            instances: reflector.store(),
        };
        let datacenter = self.simulator.control().read(|world| world.settings().datacenter.clone());
        let settings = Settings {
            controllers: self.kinds.clone(),
            place: Place { zone: datacenter.clone(), region: datacenter.clone(), datacenter },
            limits: node_lifecycle::Limits::default(),
            looks_at_once: 64,
            node_pass: Duration::from_secs(300),
            node_lifecycle_pass: Duration::from_secs(60),
            services: ServiceSettings {
                cluster: DEFAULT_CLUSTER.to_owned(),
                default_load_balancer: DefaultLoadBalancer::default(),
                looks_at_once: 1,
                balancers: BalancerSettings::default(),
            },
            route: RouteSettings::default(),
            metrics: MetricsSettings::default(),
        };
        let controllers = Controllers::start(settings, parts).unwrap();
        self.store = Some(reflector.store());
        self.process.spawn(reflector.run());
        self.process.spawn(controllers.run());
    }

    /// Kills the process and starts another one, which knows nothing.
    pub(crate) async fn restart(&mut self) {
        self.process.shutdown().await;
        self.machines.iter_mut().for_each(|machine| machine.proved = None);
        self.start().await;
    }

    /// Destroys a machine, as its owner does; its kubelet falls silent.
    pub(crate) async fn destroy(&mut self, index: usize) {
        let (control, acme) = (self.simulator.control(), self.simulator.ids().acme);
        let machine = &mut self.machines[index];
        let id = machine.id;
        control.write(|world, now| world.delete_machine(now, acme, id, &Caller::default()).unwrap());
        let deadline = Instant::now() + BOUND;
        while !control.read(|world| world.machine_by_id(id).unwrap().is_destroyed()) {
            assert!(Instant::now() < deadline, "not destroyed within {BOUND:?}");
            sleep(Duration::from_millis(10)).await;
        }
        machine.destroyed = Some(Instant::now());
        self.api.say_ready(&machine.name, false);
    }

    /// Takes a tag from a machine, as its owner does.
    pub(crate) fn remove_tag(&self, id: InstanceId, key: &str) {
        let (control, acme) = (self.simulator.control(), self.simulator.ids().acme);
        control.write(|world, now| world.delete_tag(now, acme, id, key, &Caller::default()).unwrap());
    }

    /// Has the data centre go wrong in this way.
    pub(crate) fn set(&self, plan: FaultPlan) {
        self.simulator.control().set_faults(plan).unwrap();
    }

    /// The machines that are there.
    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|index| self.machines[*index].destroyed.is_none()).collect()
    }

    /// Notes what the process has proved by now.
    pub(crate) fn note_proofs(&mut self) {
        let Some(store) = &self.store else { return };
        for machine in &mut self.machines {
            match store.get(machine.id) {
                Lookup::Gone(tombstone) => machine.proved = Some((tombstone.proof, tombstone.at)),
                // It was not found for a while.
                Lookup::Present(_) => machine.proved = None,
                Lookup::Unknown => {}
            }
        }
    }
}

fn node(machine: &Machine) -> Value {
    json!({
        "metadata": {"name": machine.name, "labels": {"kubernetes.io/hostname": machine.name}},
        "spec": {"taints": [
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
        ]},
        "status": {
            "addresses": [{"type": "Hostname", "address": machine.name}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "systemUUID": machine.id.to_string(), "architecture": "amd64", "bootID": "", "kernelVersion": "",
                "containerRuntimeVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                "operatingSystem": "linux", "osImage": "",
            },
        },
    })
}
