//! A cluster of machines: control plane, data centre, and the controllers with the role that they ship with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud_controllers::controller::{
    BalancerSettings, Controllers, Discovery, Kind, MetricsSettings, Parts, RouteSettings, ServiceSettings,
    Settings,
};
use cloud_controllers::node::labels::Place;
use cloud_controllers::node_lifecycle;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use provider::cns::DefaultLoadBalancer;
use provider::names::DEFAULT_CLUSTER;
use runtime::clients::{Clients, Limits, Priority, Source};
use runtime::leader::{Elector, LeaderParams};
use runtime::metrics::Metrics;
use runtime::watching::Caches;
use serde_json::{Value, json};
use suites::control_plane::{ControlPlane, Identity, Options};
use suites::virtual_kubelet::{VirtualKubelet, install};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::config::{Config, Environment};
use triton::reflector::{self, Reflector};
use triton::types::{CreateInstance, Instance, InstanceState, Tags};
use triton_sim::{Preset, Simulator};

/// No condition takes longer, on a machine that does other things as well.
const BOUND: Duration = Duration::from_secs(90);

/// The node whose pods are instances: the name that the virtual kubelet's manifest gives rights to.
pub(super) const VIRTUAL_NODE: &str = "virtual-kubelet";

/// A cluster of machines.
pub(super) struct Stage {
    pub(super) simulator: Simulator,
    /// The account, seen from outside.
    pub(super) account: Client,
    /// The Nodes, as an administrator sees them.
    pub(super) nodes: Api<Node>,
    events: Api<Event>,
    /// What an administrator uses.
    pub(super) admin: kube::Client,
    kubeconfig: PathBuf,
    controllers: JoinSet<()>,
    /// No condition takes longer.
    pub(super) bound: Duration,
    pub(super) plane: ControlPlane,
    pub(super) kubelet: Option<VirtualKubelet>,
    /// How load balancers are made.
    pub(super) balancers: BalancerSettings,
}

impl Stage {
    /// A cluster without Nodes and without controllers.
    pub(super) async fn set() -> Self {
        Self::with(triton_sim::Settings::preset(Preset::Instant)).await
    }

    /// The same with another data centre.
    pub(super) async fn with(settings: triton_sim::Settings) -> Self {
        let options = Options { scheduler: false, controller_manager: false, ..Options::default() };
        let (plane, simulator) = tokio::join!(ControlPlane::start(&options), Simulator::start(settings));
        let (plane, simulator) = (plane.unwrap(), simulator.unwrap());
        let manifest =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/triton-cloud-controller-manager/rbac.yaml");
        plane.kubectl(&["apply", "--filename", manifest.to_str().unwrap()]).await.unwrap();
        let identity =
            Identity::ServiceAccount { namespace: "kube-system", name: "triton-cloud-controller-manager" };
        let kubeconfig = plane.kubeconfig(&identity).await.unwrap();
        let admin = Source::from_flag(Some(plane.kubeconfig(&Identity::Admin).await.unwrap()));
        let limits = Limits { rate: 1000.0, burst: 1000 };
        let admin = Clients::new(&admin, "test/1", limits).await.unwrap();
        let admin = admin.client("test", Priority::Normal).unwrap();
        Self {
            account: account(&simulator).await,
            simulator,
            nodes: Api::all(admin.clone()),
            events: Api::namespaced(admin.clone(), "default"),
            admin,
            kubeconfig,
            controllers: JoinSet::new(),
            bound: BOUND,
            plane,
            kubelet: None,
            balancers: BalancerSettings::default(),
        }
    }

    /// Starts a process's worth of the controllers that look after Nodes and Services.
    pub(super) async fn start_controllers(&mut self) {
        let kinds = [Kind::Node, Kind::NodeLifecycle, Kind::Service];
        self.start(kinds, RouteSettings::default(), MetricsSettings::default()).await;
    }

    /// Starts a process's worth of these controllers, that list instances each second. What Prometheus is told.
    pub(super) async fn start<const N: usize>(
        &mut self,
        kinds: [Kind; N],
        route: RouteSettings,
        metrics_settings: MetricsSettings,
    ) -> Option<Discovery> {
        let source = Source::from_flag(Some(self.kubeconfig.clone()));
        let clients = Clients::new(&source, "ccm/1", Limits { rate: 100.0, burst: 200 }).await.unwrap();
        let mut params = LeaderParams::new("kube-system", "cloud-controller-manager", "test", "ccm");
        // Longer than a busy machine stands still, for nobody starts the controllers again when they have lost the lease.
        params.lease_duration = Duration::from_secs(12);
        params.renew_deadline = Duration::from_secs(10);
        params.retry_period = Duration::from_millis(500);
        let election = clients.election().unwrap();
        let (elector, claim) =
            Elector::new(election, params, jiff::Timestamp::now, fastrand::Rng::new()).unwrap();
        // A client of its own, with a budget of its own.
        let triton = account(&self.simulator).await;
        let every = Duration::from_secs(1);
        let settings = reflector::Settings { relist_every: every, relist_every_without_feed: every };
        let reflector = Reflector::new(triton.clone(), settings);
        let metrics = Metrics::new().unwrap();
        let parts = Parts {
            clients: &clients,
            claim,
            identity: "test".to_owned(),
            caches: Caches::new(),
            metrics: &metrics,
            triton,
            instances: reflector.store(),
        };
        let datacenter = self.account.get_datacenter_name().await.unwrap().unwrap();
        let settings = Settings {
            controllers: kinds.into(),
            place: Place { zone: datacenter.clone(), region: "region-1".to_owned(), datacenter },
            limits: node_lifecycle::Limits::default(),
            looks_at_once: 16,
            node_pass: Duration::from_secs(300),
            node_lifecycle_pass: Duration::from_secs(60),
            services: ServiceSettings {
                cluster: DEFAULT_CLUSTER.to_owned(),
                default_load_balancer: DefaultLoadBalancer::Cns,
                looks_at_once: 16,
                balancers: self.balancers.clone(),
            },
            route,
            metrics: metrics_settings,
        };
        let controllers = Controllers::start(settings, parts).unwrap();
        let discovery = controllers.discovery();
        self.controllers.spawn(reflector.run());
        self.controllers.spawn(controllers.run());
        self.controllers.spawn(async move {
            elector.run(std::future::pending()).await.unwrap();
        });
        discovery
    }

    /// Starts a virtual kubelet as a process of its own, with a node for pods that are instances.
    pub(super) async fn start_kubelet(&mut self) {
        let kubeconfig = install(&self.plane).await.unwrap();
        let variables = self.simulator.environment();
        let arguments = ["--nodename", VIRTUAL_NODE];
        self.kubelet = Some(VirtualKubelet::start(&kubeconfig, &variables, &arguments).await.unwrap());
    }

    /// Ends the controllers as if they were killed.
    pub(super) async fn kill_controllers(&mut self) {
        self.controllers.shutdown().await;
    }

    /// Makes a machine with a public and a private address, and waits until it runs.
    pub(super) async fn machine(&self, name: &str) -> Instance {
        self.machine_with(name, Tags::new()).await
    }

    /// The same with these tags.
    pub(super) async fn machine_with(&self, name: &str, tags: Tags) -> Instance {
        let ids = self.simulator.ids();
        let networks = vec![ids.external.into(), ids.fabric.into()];
        let name = Some(name.to_owned());
        let request = CreateInstance { name, networks, tags, ..CreateInstance::new("g1.micro", ids.base_64) };
        let id = self.account.create_instance(&request).await.unwrap().id;
        let runs = async || self.instance(id).await.state == InstanceState::Running;
        self.until("the machine runs", runs).await;
        self.instance(id).await
    }

    /// A machine as CloudAPI shows it, also when it is destroyed.
    pub(super) async fn instance(&self, id: triton::id::InstanceId) -> Instance {
        self.account.get_instance(id).await.unwrap().into_instance()
    }

    /// Registers a Node, as its kubelet does: with the taint, and ready.
    pub(super) async fn register(&self, name: &str, system_uuid: &str, difference: Value) {
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"taints": [
                {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
            ]},
        });
        merge(&mut node, &difference);
        let status = json!({"status": {
            "addresses": [{"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "systemUUID": system_uuid, "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                "operatingSystem": "linux", "osImage": "",
            },
        }});
        // All at once: the controllers may delete it before anything else could be written.
        merge(&mut node, &status);
        self.nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    }

    /// Says whether a Node is ready, as its kubelet or the control plane does.
    pub(super) async fn say_ready(&self, name: &str, ready: bool) {
        let status = if ready { "True" } else { "Unknown" };
        let patch = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        let params = PatchParams::default();
        self.nodes.patch_status(name, &params, &Patch::Strategic(patch)).await.unwrap();
    }

    /// The Node of this name.
    pub(super) async fn node(&self, name: &str) -> Option<Node> {
        self.nodes.get_opt(name).await.unwrap()
    }

    /// One value of a Node by its JSON pointer; `null` when there is none.
    pub(super) async fn value(&self, name: &str, pointer: &str) -> Value {
        let node = serde_json::to_value(self.node(name).await).unwrap();
        node.pointer(pointer).cloned().unwrap_or_default()
    }

    /// Waits until a value of a Node is this.
    pub(super) async fn until_value(&self, name: &str, pointer: &str, value: impl Into<Value>) {
        let value = value.into();
        let what = format!("{pointer} of {name} is {value}");
        self.until(&what, async || self.value(name, pointer).await == value).await;
    }

    /// The keys of a Node's taints that are about its cloud. The API server taints what registers as not ready.
    pub(super) async fn taints(&self, name: &str) -> Vec<String> {
        let taints = self.node(name).await.and_then(|node| node.spec?.taints).unwrap_or_default();
        let keys = taints.into_iter().map(|taint| taint.key);
        keys.filter(|key| key.starts_with("node.cloudprovider.kubernetes.io/")).collect()
    }

    /// Waits until a Node has been initialised.
    pub(super) async fn until_initialised(&self, name: &str) {
        let so = async || self.node(name).await.is_some() && self.taints(name).await.is_empty();
        self.until(&format!("{name} is initialised"), so).await;
    }

    /// The notes of the events about a Node with this reason.
    pub(super) async fn notes(&self, name: &str, reason: &str) -> Vec<String> {
        let events = self.events.list(&Default::default()).await.unwrap();
        let about = events.into_iter().filter(|event| {
            let regards = event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(name);
            regards && event.reason.as_deref() == Some(reason)
        });
        about.filter_map(|event| event.note).collect()
    }

    /// Waits until there is such an event.
    pub(super) async fn until_noted(&self, name: &str, reason: &str, text: &str) {
        let what = format!("{reason} of {name} says {text:?}");
        self.until(&what, async || self.notes(name, reason).await.iter().any(|note| note.contains(text)))
            .await;
    }

    /// Waits for a condition with a bound.
    pub(super) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let bound = self.bound;
        let deadline = Instant::now() + bound;
        while !condition().await {
            if Instant::now() > deadline {
                let objects = self.plane.kubectl(&["describe", "nodes,services"]).await.unwrap_or_default();
                let services =
                    self.plane.kubectl(&["get", "services", "--output=yaml"]).await.unwrap_or_default();
                let said = self.kubelet.as_ref().map(|kubelet| kubelet.log()).unwrap_or_default();
                panic!("not within {bound:?}: {what}\n{objects}\n{services}\n{said}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A client of the account with nothing of the controllers' in between.
async fn account(simulator: &Simulator) -> Client {
    let environment = simulator.environment().into_iter().collect::<Environment>();
    let config = Config::load(&environment, None).unwrap();
    Client::configured(&config).await.unwrap().build().unwrap()
}

pub(super) fn merge(value: &mut Value, difference: &Value) {
    for (key, new) in difference.as_object().unwrap() {
        match (value.get_mut(key), new) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, new),
            _ => value[key] = new.clone(),
        }
    }
}
