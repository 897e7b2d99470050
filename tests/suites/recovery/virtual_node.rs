//! One virtual node: a process between two proxies, with a data centre of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use suites::process::Program;
use triton_sim::world::settings::Timing;
use triton_sim::{Preset, Settings, Simulator};

use super::call::Server;
use super::cluster::{Cluster, until};
use super::fault::Judge;
use super::process::{Record, Supervisor, Victim};
use super::proxy::{Proxy, Upstream};

/// No condition takes longer, on a machine that does other things as well: back-offs of a minute are among them.
pub(super) const BOUND: Duration = Duration::from_secs(150);

/// A virtual node, with a namespace of the same name for its pods.
pub(super) struct VirtualNode {
    pub(super) cluster: Arc<Cluster>,
    pub(super) name: String,
    pub(super) simulator: Simulator,
    proxies: [Proxy; 2],
    supervisors: Vec<Supervisor>,
}

/// An instance as it truly is.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) uid: String,
    pub(super) is_active: bool,
    pub(super) tags: BTreeMap<String, Value>,
    pub(super) cns_status: Option<String>,
}

/// A data centre in which a provision takes so long that a pod's status tells of it, and all else is short.
pub(super) fn data_center() -> Settings {
    let timing = Timing {
        provision_zone: Duration::from_millis(1500),
        stop: Duration::from_millis(300),
        destroy: Duration::from_millis(300),
        metadata: Duration::from_millis(100),
        jitter: 0.0,
        ..Timing::instant()
    };
    let mut settings = Settings { admin: None, cns: None, cmon: None, ..Settings::preset(Preset::Instant) };
    settings.world.timing = timing;
    // Names that are made twice are not noticed for a while (reference 2.14): nothing but the kubelet's own care prevents
    // duplicates.
    settings.world.unique_name_blindness = Duration::from_secs(60);
    settings
}

impl VirtualNode {
    /// A node without a process, whose calls `judge` decides about.
    pub(super) async fn new(
        cluster: &Arc<Cluster>,
        name: &str,
        data_center: Settings,
        judge: Arc<dyn Judge>,
    ) -> anyhow::Result<Self> {
        let simulator = Simulator::start(data_center).await?;
        let cloudapi = Upstream::plain(simulator.url())?;
        let kubernetes =
            Proxy::start(Server::Kubernetes, cluster.upstream.clone(), None, Arc::clone(&judge)).await?;
        let cloudapi = Proxy::start(Server::CloudApi, cloudapi, None, judge).await?;
        let namespace = json!({"metadata": {"name": name}});
        let namespaces: Api<Namespace> = Api::all(cluster.admin.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
        Ok(Self {
            cluster: Arc::clone(cluster),
            name: name.to_owned(),
            simulator,
            proxies: [kubernetes, cloudapi],
            supervisors: Vec::new(),
        })
    }

    /// Starts a replica.
    pub(super) fn start_kubelet(&mut self, victim: Victim, flags: &[&str]) -> anyhow::Result<()> {
        let [kubernetes, cloudapi] = &self.proxies;
        let file = self.cluster.folder.path().join(format!("{}.kubeconfig", self.name));
        kubernetes.write_kubeconfig(&file, &self.cluster.token)?;
        let variables = cloudapi.instead_of(self.simulator.environment());
        let arguments = ["--nodename", &self.name].into_iter().chain(flags.iter().copied());
        let arguments = arguments.map(str::to_owned).collect();
        let program = Program::VirtualKubelet;
        self.supervisors.push(Supervisor::start(program, file, variables, arguments, victim));
        Ok(())
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.admin.clone(), &self.name)
    }

    /// The pods of the node, as an onlooker has them.
    pub(super) fn pods_now(&self) -> Vec<Pod> {
        self.cluster.seen_in(&self.name).into_iter().filter_map(|seen| seen.pod).collect()
    }

    /// Kills all replicas for good, so far.
    pub(super) async fn stop_kubelets(&mut self) -> Record {
        let mut record = Record::default();
        for supervisor in self.supervisors.drain(..) {
            let of_one = supervisor.stop().await;
            record.logs.extend(of_one.logs);
            record.unasked.extend(of_one.unasked);
        }
        record
    }

    /// Makes a pod on this node. Without more in `spec` than it needs its container has no port and no probe.
    pub(super) async fn make_pod(
        &self,
        name: &str,
        metadata: Value,
        container: Value,
        spec: Value,
    ) -> anyhow::Result<()> {
        let mut pod = json!({
            "metadata": {"name": name},
            "spec": {
                "nodeName": self.name, "terminationGracePeriodSeconds": 2,
                "containers": [{"name": "main", "image": "base-64-lts"}],
            },
        });
        merge(&mut pod["metadata"], metadata);
        merge(&mut pod["spec"], spec);
        merge(&mut pod["spec"]["containers"][0], container);
        let pod: Pod = serde_json::from_value(pod)?;
        // The account of the namespace is made by the controller manager.
        until(BOUND, async || match self.pods().create(&PostParams::default(), &pod).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .await
        .map_err(anyhow::Error::msg)
    }

    pub(super) async fn make_config_map(&self, name: &str, data: Value) -> anyhow::Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(self.cluster.admin.clone(), &self.name);
        let map = json!({"metadata": {"name": name}, "data": data});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
        Ok(())
    }

    /// Deletes a pod as users do.
    pub(super) async fn delete_pod(&self, name: &str) -> anyhow::Result<()> {
        self.pods().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The instances that were ever made for pods of this node.
    pub(super) fn truth(&self) -> Vec<Truth> {
        self.simulator.control().read(|world| {
            let text = |values: &BTreeMap<String, Value>, key: &str| {
                values.get(key).and_then(Value::as_str).map(str::to_owned)
            };
            let ours = world.machines().filter_map(|machine| {
                Some(Truth {
                    uid: text(&machine.tags, "k8s.uid")?,
                    is_active: machine.is_active(),
                    tags: machine.tags.clone(),
                    cns_status: text(&machine.metadata, "triton.cns.status"),
                })
            });
            ours.collect()
        })
    }

    /// The descriptions of the firewall rules that are ours.
    pub(super) fn rules(&self) -> Vec<String> {
        let owner = self.simulator.ids().acme;
        self.simulator.control().read(|world| {
            let rules = world.list_rules(owner).filter_map(|rule| rule.description.clone());
            rules.filter(|text| text.starts_with("k8s:")).collect()
        })
    }

    /// Ends everything of the node, and says what its processes did.
    pub(super) async fn end(mut self) -> Record {
        let record = self.stop_kubelets().await;
        let nodes: Api<Node> = Api::all(self.cluster.admin.clone());
        let _ = nodes.delete(&self.name, &DeleteParams::default()).await;
        record
    }
}

/// Puts the fields of one object into another.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
