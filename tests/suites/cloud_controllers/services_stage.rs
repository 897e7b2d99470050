//! Services on the stage: what users and the endpoint-slice controller write, and what DNS answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::process::Command;
use triton::types::{Instance, TagValue, Tags};

use super::stage::{Stage, merge};

/// The zones of the simulated data centre: public addresses, and all others.
const ZONES: [&str; 2] = ["dc1.triton.zone", "dc1.cns.example.net"];

impl Stage {
    /// A machine that has joined as a Node.
    pub(super) async fn join(&self, name: &str) -> Instance {
        let machine = self.machine(name).await;
        self.enrol(&machine).await;
        machine
    }

    /// A machine joins under its name.
    pub(super) async fn enrol(&self, machine: &Instance) {
        self.register(&machine.name, &machine.id.to_string(), json!({})).await;
        self.until_initialised(&machine.name).await;
    }

    /// The Services, as an administrator sees them.
    pub(super) fn services(&self) -> Api<Service> {
        Api::default_namespaced(self.admin.clone())
    }

    /// Makes a load balancer for port 80 with this node port.
    pub(super) async fn balance(&self, name: &str, node_port: u16, difference: Value) {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80, "nodePort": node_port}]},
        });
        merge(&mut service, &difference);
        self.serve(service).await;
    }

    /// Makes a Service.
    pub(super) async fn serve(&self, service: Value) {
        self.services()
            .create(&PostParams::default(), &serde_json::from_value(service).unwrap())
            .await
            .unwrap();
    }

    /// Changes a Service as by `kubectl patch`.
    pub(super) async fn change(&self, name: &str, patch: Value) {
        self.services().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(super) async fn delete_service(&self, name: &str) {
        self.services().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A Service as JSON; `null` when there is none.
    pub(super) async fn service(&self, name: &str) -> Value {
        serde_json::to_value(self.services().get_opt(name).await.unwrap()).unwrap()
    }

    /// Changes a Node as by `kubectl patch`.
    pub(super) async fn change_node(&self, name: &str, patch: Value) {
        self.nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Writes the endpoints of a Service: each a Node, how it serves (`ready`, `unready`, `ending`), and an address.
    pub(super) async fn endpoints(&self, service: &str, endpoints: &[(&str, &str, &str)]) {
        let endpoint = |(node, how, address): &(&str, &str, &str)| {
            let (ready, ending) = (*how == "ready", *how == "ending");
            let conditions = json!({"ready": ready, "serving": ready || ending, "terminating": ending});
            json!({"addresses": [address], "nodeName": node, "conditions": conditions})
        };
        let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
            "endpoints": endpoints, "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        });
        let slices: Api<EndpointSlice> = Api::default_namespaced(self.admin.clone());
        let params = PatchParams::apply("test").force();
        slices.patch(service, &params, &Patch::Apply(slice)).await.unwrap();
    }

    /// What DNS answers, in a few words a line.
    pub(super) async fn dig(&self, name: &str, kind: &str) -> String {
        let cns = self.simulator.cns_address().unwrap();
        let (server, port) = (format!("@{}", cns.ip()), cns.port().to_string());
        let output =
            Command::new("dig").args([&server, "-p", &port, "+short", name, kind]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The name of a CNS service in one of the zones.
    pub(super) fn name_in(&self, service: &str, zone: usize) -> String {
        format!("{service}.svc.{}.{}", self.simulator.ids().acme, ZONES[zone])
    }

    /// The addresses of a CNS service in all zones.
    pub(super) async fn resolve(&self, service: &str) -> BTreeSet<IpAddr> {
        let mut addresses = BTreeSet::new();
        for zone in 0..ZONES.len() {
            let answer = self.dig(&self.name_in(service, zone), "A").await;
            addresses.extend(answer.lines().filter_map(|line| line.parse::<IpAddr>().ok()));
        }
        addresses
    }

    /// Waits until DNS answers with these instances and no others.
    pub(super) async fn until_resolved(&self, service: &str, instances: &[&Instance]) {
        let expected: BTreeSet<IpAddr> = instances.iter().flat_map(|it| it.ips.iter().copied()).collect();
        let names: Vec<&str> = instances.iter().map(|it| &*it.name).collect();
        let what = format!("CNS service {service} answers with {names:?}");
        self.until(&what, async || self.resolve(service).await == expected).await;
    }

    /// What a tag of an instance is; empty when there is none.
    pub(super) async fn tag(&self, instance: &Instance, key: &str) -> String {
        let tags = self.instance(instance.id).await.tags;
        tags.get(key).map(TagValue::to_string).unwrap_or_default()
    }

    /// Waits until the instance is in these CNS services.
    pub(super) async fn until_tag(&self, instance: &Instance, services: &str) {
        let what = format!("{} is in {services:?}", instance.name);
        self.until(&what, async || self.tag(instance, "triton.cns.services").await == services).await;
    }

    /// Writes the CNS services of an instance by hand.
    pub(super) async fn write_tag(&self, instance: &Instance, services: &str) {
        let tags = Tags::from_iter([("triton.cns.services".to_owned(), TagValue::from(services))]);
        self.account.add_tags(instance.id, &tags).await.unwrap();
    }

    /// The hostname in a Service's status; empty when there is none.
    pub(super) async fn hostname(&self, name: &str) -> String {
        let service = self.service(name).await;
        let hostname = service.pointer("/status/loadBalancer/ingress/0/hostname");
        hostname.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Status, reason and message of our condition.
    pub(super) async fn condition(&self, name: &str) -> [String; 3] {
        let service = self.service(name).await;
        let conditions =
            service.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let ours = conditions.iter().find(|it| it["type"] == "tritondatacenter.com/Published");
        let ours = ours.cloned().unwrap_or_default();
        ["status", "reason", "message"].map(|key| ours[key].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until our condition has this reason, and this in its message.
    pub(super) async fn until_condition(&self, name: &str, reason: &str, text: &str) {
        let what = format!("the condition of {name} is {reason} and says {text:?}");
        let so = async || {
            let [_, is, says] = self.condition(name).await;
            is == reason && says.contains(text)
        };
        self.until(&what, so).await;
    }

    /// Waits until a Service is in CNS and says so.
    pub(super) async fn until_published(&self, name: &str) {
        self.until_condition(name, "Published", "clients find").await;
    }

    /// Waits until a Service is gone.
    pub(super) async fn until_gone(&self, name: &str) {
        self.until(&format!("{name} is gone"), async || self.service(name).await.is_null()).await;
    }
}
