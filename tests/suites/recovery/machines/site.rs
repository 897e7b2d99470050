//! One life's place: a data centre with two machines, and a process between two proxies.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use suites::process::Program;
use tokio::task::JoinHandle;
use triton::Client;
use triton::client::Found;
use triton::config::Config;
use triton::id::InstanceId;
use triton::types::{CreateInstance, Instance, InstanceState, Tags, UpdateFabricNetwork};
use triton_sim::{Preset, Settings, Simulator};

use super::super::call::{Call, Server};
use super::super::cluster::until;
use super::super::fault::{Fault, Judge, Script};
use super::super::process::{Record, Supervisor, Victim};
use super::super::proxy::{Proxy, Scope, Upstream};
use super::super::virtual_node::BOUND;
use super::cluster::{Cluster, MONITORING};
use super::history::{GONE, Scene, scene};
use super::phase::VLAN;

/// The label of a life's objects.
const LIFE: &str = "life";

/// What each process of these sees of the cluster.
const NARROWED: [&str; 3] = ["nodes", "services", "endpointslices"];

/// A single replica of all controllers, which acts as soon as it is started and looks at routes each second.
const FLAGS: [&str; 7] = [
    "--leader-elect=false",
    "--authentication-skip-lookup",
    "--allocate-node-cidrs",
    "--cluster-cidr=10.244.0.0/16",
    "--fabric-routes-effective",
    "--route-reconciliation-period=1s",
    "--cmon-discovery-url=https://ccm.kube-system.svc:10258/sd/cmon",
];

/// A life's place.
pub(super) struct Site {
    pub(super) cluster: Arc<Cluster>,
    /// Of the life, its Service and its `ScrapeConfig`; its Nodes are called so with `-a` and `-b` behind.
    pub(super) name: String,
    pub(super) script: Arc<Script>,
    /// What the data centre was like after each write.
    scenes: Arc<Mutex<Vec<Scene>>>,
    pub(super) simulator: Arc<Simulator>,
    /// The account, seen from outside.
    pub(super) account: Client,
    /// Machines of the Nodes.
    pub(super) a: Instance,
    pub(super) b: Instance,
    /// What the data centre was like before the process was started.
    pub(super) start: Scene,
    mourner: JoinHandle<()>,
    supervisor: Supervisor,
    _proxies: [Proxy; 2],
}

/// Lets calls go wrong as the script says, and sees what each write makes of the data centre.
struct Witness {
    script: Arc<Script>,
    simulator: Arc<Simulator>,
    scenes: Arc<Mutex<Vec<Scene>>>,
}

impl Judge for Witness {
    fn judge(&self, call: &Call) -> Option<Fault> {
        self.script.judge(call)
    }

    fn written(&self, call: &Call) {
        if call.server == Server::CloudApi {
            let seen = scene(&self.simulator, self.script.phase());
            self.scenes.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        }
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.script.kill()
    }
}

impl Site {
    /// With a process that is started as soon as all else is there.
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        name: &str,
        victim: Victim,
        script: Arc<Script>,
    ) -> anyhow::Result<Self> {
        let (pem, public) = &cluster.key;
        let mut settings = Settings {
            admin: None,
            cmon: None,
            keys: vec![public.clone()],
            // So CMON has a place, though nobody looks for it there.
            services: [("cmon".to_owned(), "https://cmon.dc1.triton.zone:9163".to_owned())].into(),
            ..Settings::preset(Preset::Instant)
        };
        // Tags are written by jobs that go on when the answer is there.
        settings.world.timing.metadata = Duration::from_millis(50);
        let simulator = Arc::new(Simulator::start(settings).await?);
        let mut variables = simulator.environment();
        variables.push(("TRITON_KEY_MATERIAL".to_owned(), pem.clone()));
        let config = Config::load(&variables.iter().cloned().collect(), None)?;
        let account = Client::configured(&config).await?.build()?;
        let tags = [("role", "db"), ("triton.cns.services", "mine:22"), ("triton.cmon.groups", "web")];
        let a = machine(&simulator, &account, "a", &tags).await?;
        let b = machine(&simulator, &account, "b", &[]).await?;
        let c = machine(&simulator, &account, "c", &[("triton.cns.services", "elsewhere:53")]).await?;
        write_foreign_routes(&simulator, &account, &c).await?;
        let start = scene(&simulator, "");

        let scenes = Arc::<Mutex<Vec<Scene>>>::default();
        let services: Api<Service> = Api::default_namespaced(cluster.admin.clone());
        let mourner = tokio::spawn(mourn(services, name.to_owned(), simulator.clone(), scenes.clone()));
        let judge = Arc::new(Witness {
            script: Arc::clone(&script),
            simulator: Arc::clone(&simulator),
            scenes: Arc::clone(&scenes),
        });
        let scope = Some(Scope { resources: &NARROWED, label: format!("{LIFE}={name}") });
        let (kubernetes, cloudapi) = (cluster.upstream.clone(), Upstream::plain(simulator.url())?);
        let kubernetes = Proxy::start(Server::Kubernetes, kubernetes, scope, judge.clone()).await?;
        let cloudapi = Proxy::start(Server::CloudApi, cloudapi, None, judge).await?;
        let file = cluster.folder.path().join(format!("{name}.kubeconfig"));
        kubernetes.write_kubeconfig(&file, &cluster.token)?;
        let scrape = format!("--cmon-scrape-config={MONITORING}/{name}");
        let arguments = FLAGS.map(str::to_owned).into_iter().chain([scrape]).collect();
        let variables = cloudapi.instead_of(variables);
        let program = Program::CloudControllerManager;
        let supervisor = Supervisor::start(program, file, variables, arguments, victim);
        Ok(Self {
            cluster: Arc::clone(cluster),
            name: name.to_owned(),
            script,
            scenes,
            simulator,
            account,
            a,
            b,
            start,
            mourner,
            supervisor,
            _proxies: [kubernetes, cloudapi],
        })
    }

    /// The names of the Service in CNS: at first, and in the end.
    pub(super) fn names(&self) -> [String; 2] {
        [format!("{}-default", self.name), format!("{}-new", self.name)]
    }

    /// The name of the Node `a` or `b`.
    pub(super) fn node_name(&self, which: &str) -> String {
        format!("{}-{which}", self.name)
    }

    pub(super) fn node(&self, which: &str) -> Option<Node> {
        self.cluster.nodes.now(&self.node_name(which))
    }

    pub(super) fn service(&self) -> Option<Service> {
        self.cluster.services.now(&self.name)
    }

    /// What the data centre is like.
    pub(super) fn scene(&self) -> Scene {
        scene(&self.simulator, self.script.phase())
    }

    /// What it was like after each write of the process.
    pub(super) fn scenes(&self) -> Vec<Scene> {
        self.scenes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The address of a machine on the fabric network.
    pub(super) fn on_fabric(&self, machine: &Instance) -> String {
        on_fabric(&self.simulator, machine)
    }

    /// Registers a Node as its kubelet does, with addresses for its pods.
    pub(super) async fn register(&self, which: &str, machine: &Instance, cidr: &str) -> anyhow::Result<()> {
        let name = self.node_name(which);
        let node = json!({
            "metadata": {"name": name, "labels": {LIFE: self.name}},
            "spec": {
                "podCIDR": cidr, "podCIDRs": [cidr],
                "taints": [{
                    "key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule",
                }],
            },
            "status": {
                "addresses": [{"type": "Hostname", "address": name}],
                "conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {
                    "systemUUID": machine.id.to_string(), "architecture": "amd64", "bootID": "",
                    "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "",
                    "kubeletVersion": "", "machineID": "", "operatingSystem": "linux", "osImage": "",
                },
            },
        });
        let nodes: Api<Node> = Api::all(self.cluster.admin.clone());
        nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        Ok(())
    }

    fn services(&self) -> Api<Service> {
        Api::default_namespaced(self.cluster.admin.clone())
    }

    /// Makes a load balancer whose nodes are those with endpoints.
    pub(super) async fn serve(&self) -> anyhow::Result<()> {
        let service = json!({
            "metadata": {"name": self.name, "labels": {LIFE: self.name}},
            "spec": {
                "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": self.name},
                "loadBalancerClass": "tritondatacenter.com/cns", "ports": [{"port": 80}],
            },
        });
        self.services().create(&PostParams::default(), &serde_json::from_value(service)?).await?;
        Ok(())
    }

    /// Writes the endpoints: one ready on this Node.
    pub(super) async fn endpoint_on(&self, which: &str) -> anyhow::Result<()> {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": self.name, "labels": {LIFE: self.name, "kubernetes.io/service-name": self.name},
            },
            "endpoints": [{
                "addresses": ["10.244.9.9"], "nodeName": self.node_name(which),
                "conditions": {"ready": true, "serving": true, "terminating": false},
            }],
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        });
        let slices: Api<EndpointSlice> = Api::default_namespaced(self.cluster.admin.clone());
        slices.patch(&self.name, &PatchParams::apply("test").force(), &Patch::Apply(slice)).await?;
        Ok(())
    }

    /// Changes the Service as by `kubectl patch`.
    pub(super) async fn change_service(&self, patch: Value) -> anyhow::Result<()> {
        self.services().patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    pub(super) async fn delete_service(&self) -> anyhow::Result<()> {
        self.services().delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// What Prometheus' operator is given: the `ScrapeConfig` and the Secret.
    pub(super) async fn scrape(&self) -> anyhow::Result<(Option<DynamicObject>, Option<Secret>)> {
        let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1alpha1", "ScrapeConfig");
        let resource = ApiResource::from_gvk_with_plural(&kind, "scrapeconfigs");
        let admin = &self.cluster.admin;
        let configs: Api<DynamicObject> = Api::namespaced_with(admin.clone(), MONITORING, &resource);
        let secrets: Api<Secret> = Api::namespaced(admin.clone(), MONITORING);
        let secret = secrets.get_opt(&format!("{}-client", self.name)).await?;
        Ok((configs.get_opt(&self.name).await?, secret))
    }

    /// Ends the process for good, and says what became of all of them.
    pub(super) async fn close(self) -> Record {
        let record = self.supervisor.stop().await;
        self.mourner.abort();
        let nodes: Api<Node> = Api::all(self.cluster.admin.clone());
        for which in ["a", "b"] {
            let _ = nodes.delete(&format!("{}-{which}", self.name), &DeleteParams::default()).await;
        }
        record
    }
}

/// Makes a machine with a public and a private address, and waits until it runs.
async fn machine(
    simulator: &Simulator,
    account: &Client,
    name: &str,
    tags: &[(&str, &str)],
) -> anyhow::Result<Instance> {
    let ids = simulator.ids();
    let tags: Tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    let request = CreateInstance {
        name: Some(name.to_owned()),
        networks: vec![ids.external.into(), ids.fabric.into()],
        tags,
        ..CreateInstance::new("g1.micro", ids.base_64)
    };
    let id: InstanceId = account.create_instance(&request).await?.id;
    let read = async || account.get_instance(id).await.map(Found::into_instance);
    let runs = async || match read().await {
        Ok(instance) if instance.state == InstanceState::Running => Ok(()),
        Ok(instance) => Err(format!("{name} is {:?}", instance.state)),
        Err(error) => Err(error.to_string()),
    };
    until(BOUND, runs).await.map_err(anyhow::Error::msg)?;
    Ok(read().await?)
}

fn on_fabric(simulator: &Simulator, machine: &Instance) -> String {
    let fabric = simulator.ids().fabric;
    let nic = machine.nics.iter().find(|nic| nic.network == Some(fabric));
    nic.and_then(|nic| nic.ip).map(|ip| ip.to_string()).unwrap_or_default()
}

/// Routes of somebody else by that machine, which is no Node; one is inside the cluster's addresses.
async fn write_foreign_routes(
    simulator: &Simulator,
    account: &Client,
    gateway: &Instance,
) -> anyhow::Result<()> {
    let gateway = on_fabric(simulator, gateway);
    let routes = ["172.31.0.0/16", "10.244.200.0/28"].map(|to| (to.to_owned(), Box::from(&*gateway)));
    let update = UpdateFabricNetwork { routes: Some(routes.into()), ..UpdateFabricNetwork::default() };
    account.update_fabric_network(VLAN, simulator.ids().fabric, &update).await?;
    Ok(())
}

/// Sees what the data centre is like when a Service has just vanished.
async fn mourn(
    services: Api<Service>,
    name: String,
    simulator: Arc<Simulator>,
    scenes: Arc<Mutex<Vec<Scene>>>,
) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher::watcher(services, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        if let Ok(Event::Delete(_)) = event {
            scenes.lock().unwrap_or_else(PoisonError::into_inner).push(scene(&simulator, GONE));
        }
    }
}
