//! Services of class `tritondatacenter.com/moirai`: load-balancer instances that carry requests of clients to machines.
//!
//! These tests are `#[ignore]`d where instances have no addresses: [`in_a_private_network`] runs them where they have.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloud_controllers::controller::BalancerSettings;
use cloud_controllers::moirai::{Defaults, Rules};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use triton::types::{Instance, ListInstances, TagValue, Tags};
use triton_sim::faults::FaultPlan;
use triton_sim::guests::BalancerSettings as GuestBalancers;
use triton_sim::{Preset, Settings};

use super::stage::{Stage, merge};
use crate::virtual_kubelet::run_in_a_private_network;

const CLASS: &str = "tritondatacenter.com/moirai";
/// As long as a client of a test waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the tests of this module in a private network.
#[tokio::test]
async fn in_a_private_network() {
    run_in_a_private_network(["cloud_controllers::balancers::"].into_iter()).await;
}

/// A data centre whose instances answer, and controllers that do not wait for a real one's DNS.
async fn stage() -> Stage {
    let balancers = GuestBalancers {
        resolve: Duration::from_millis(100),
        check: Duration::from_millis(200),
        ..GuestBalancers::default()
    };
    let settings = Settings { guests: true, balancers, ..Settings::preset(Preset::Instant) };
    let mut stage = Stage::with(settings).await;
    stage.balancers = BalancerSettings {
        defaults: Defaults {
            package: Some("g1.nano".to_owned()),
            networks: vec!["external".to_owned(), "My-Fabric-Network".to_owned()],
            ..Defaults::default()
        },
        rules: Rules { settle: Duration::from_secs(1), drain: Duration::from_secs(1) },
    };
    stage
}

impl Stage {
    /// A Node whose guest serves HTTP at these ports, as kube-proxy and a pod would together.
    async fn node_that_serves(&self, name: &str, ports: &str) -> Instance {
        let tags = Tags::from_iter([("sim.ports".to_owned(), TagValue::from(ports))]);
        let machine = self.machine_with(name, tags).await;
        self.enrol(&machine).await;
        machine
    }

    /// A Service of that class for port 80.
    async fn forward(&self, name: &str, node_port: u16, difference: Value) {
        let mut service = json!({"spec": {"loadBalancerClass": CLASS}});
        merge(&mut service, &difference);
        self.balance(name, node_port, service).await;
    }

    /// The addresses in a Service's status.
    async fn addresses(&self, name: &str) -> BTreeSet<IpAddr> {
        let service = self.service(name).await;
        let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).cloned();
        let ip = |entry: &Value| entry["ip"].as_str().and_then(|ip| ip.parse().ok());
        ingress.unwrap_or_default().iter().filter_map(ip).collect()
    }

    /// Waits until so many addresses are in a Service's status.
    async fn until_addresses(&self, name: &str, count: usize) {
        let what = format!("{name} has {count} addresses");
        self.until(&what, async || self.addresses(name).await.len() == count).await;
    }

    /// The load balancers of a Service that CloudAPI lists, by name.
    async fn balancers_of(&self, name: &str) -> Vec<Instance> {
        let all = self.account.list_all_instances(&ListInstances::default()).await.unwrap().items;
        let is_its = |it: &Instance| it.tags.get("k8s.service").and_then(TagValue::as_str) == Some(name);
        let mut its: Vec<Instance> = all.into_iter().filter(is_its).collect();
        its.sort_by_key(|instance| instance.name.clone());
        its
    }

    /// Waits until requests to each address of a Service, at this port, are answered by guests of these names.
    async fn until_answered(&self, service: &str, port: u16, names: &[&str]) {
        let expected: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        for address in self.addresses(service).await {
            let answered = async || {
                let mut by = BTreeSet::new();
                for _ in 0..names.len() * 2 {
                    by.extend(get(address, port).await);
                }
                by == expected
            };
            self.until(&format!("{address}:{port} is answered by {names:?}"), answered).await;
        }
    }
}

/// Who answers a request; nobody when it is not answered well.
async fn get(address: IpAddr, port: u16) -> Option<String> {
    let asking = async {
        let socket = TcpStream::connect((address, port)).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.ok()?;
        let connection = tokio::spawn(connection);
        let request = http::Request::get("/").header("host", "web").body(Empty::<bytes::Bytes>::new());
        let response = sender.send_request(request.unwrap()).await.ok()?;
        let is_good = response.status() == 200;
        let body = response.into_body().collect().await.ok()?.to_bytes();
        connection.abort();
        let body: Value = serde_json::from_slice(&body).ok()?;
        Some(body["name"].as_str()?.to_owned()).filter(|_| is_good)
    };
    timeout(PATIENCE, asking).await.ok().flatten()
}

/// Clients that ask without a break. What they saw when they are stopped.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    asking: tokio::task::JoinHandle<Vec<IpAddr>>,
}

impl Clients {
    fn of(addresses: BTreeSet<IpAddr>, port: u16) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let asking = tokio::spawn(async move {
            let mut failed = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for address in &addresses {
                    match get(*address, port).await {
                        Some(_) => drop(count.fetch_add(1, Ordering::Relaxed)),
                        None => failed.push(*address),
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            failed
        });
        Self { stop, answered, asking }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whom no good answer came from.
    async fn stop(self) -> Vec<IpAddr> {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.await.unwrap()
    }
}

#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn load_balancers_carry_requests_and_follow_their_service() {
    let mut stage = stage().await;
    stage.start_controllers().await;
    let ports = "http:30080,http:30081";
    let (m1, _m2) = tokio::join!(stage.node_that_serves("m1", ports), stage.node_that_serves("m2", ports));
    stage.forward("web", 30080, json!({})).await;
    stage.endpoints("web", &[("m1", "ready", "10.1.0.1")]).await;

    stage.until_addresses("web", 2).await;
    stage.until_answered("web", 80, &["m1", "m2"]).await;
    let hostname = stage.hostname("web").await;
    assert_eq!(hostname, stage.name_in("web-default-lb", 0), "the name with public addresses");
    let named: BTreeSet<IpAddr> =
        stage.dig(&hostname, "A").await.lines().map(|it| it.parse().unwrap()).collect();
    assert_eq!(named, stage.addresses("web").await);
    let balancers = stage.balancers_of("web").await;
    let compute_nodes: BTreeSet<_> = balancers.iter().map(|it| it.compute_node).collect();
    assert_eq!((balancers.len(), compute_nodes.len()), (2, 2), "each on a compute node of its own");
    let service = stage.service("web").await;
    assert_eq!(service["metadata"]["finalizers"], json!(["tritondatacenter.com/load-balancer-instances"]));
    assert_eq!(service.pointer("/status/loadBalancer/ingress/0/ipMode"), Some(&json!("Proxy")));
    stage.until_noted("web", "EnsuredLoadBalancer", &hostname).await;

    // Another node port and one more port, while clients ask.
    let clients = Clients::of(stage.addresses("web").await, 80);
    let more = json!([
        {"name": "a", "port": 80, "nodePort": 30081}, {"name": "b", "port": 8080, "nodePort": 30080},
        {"name": "c", "port": 53, "nodePort": 30053, "protocol": "UDP"},
    ]);
    stage.change("web", json!({"spec": {"ports": more}})).await;
    stage.until_noted("web", "UnsupportedField", "port 53 of protocol UDP").await;
    stage.until_answered("web", 8080, &["m1", "m2"]).await;
    let so_far = clients.answered();
    stage.until("clients are answered", async || clients.answered() > so_far + 10).await;
    assert_eq!(clients.stop().await, Vec::<IpAddr>::new(), "requests that failed");
    let after: Vec<_> = stage.balancers_of("web").await.iter().map(|it| it.id).collect();
    assert_eq!(after, balancers.iter().map(|it| it.id).collect::<Vec<_>>(), "nobody was replaced");

    // A node that leaves is asked no more.
    stage.change_node("m2", json!({"spec": {"unschedulable": true}})).await;
    stage.until_answered("web", 80, &["m1"]).await;
    stage.change_node("m2", json!({"spec": {"unschedulable": null}})).await;

    // More of them, and another package for all: old ones go when new ones carry the traffic.
    let annotate = |annotations: Value| json!({"metadata": {"annotations": annotations}});
    stage.change("web", annotate(json!({"tritondatacenter.com/load-balancer-replicas": "3"}))).await;
    stage.until_addresses("web", 3).await;
    stage.until_answered("web", 80, &["m1", "m2"]).await;
    stage
        .change(
            "web",
            annotate(json!({
                "tritondatacenter.com/load-balancer-replicas": "1", "tritondatacenter.com/package": "g1.micro",
            })),
        )
        .await;
    let replaced = async || {
        let all = stage.balancers_of("web").await;
        all.len() == 1 && all[0].package.as_deref() == Some("g1.micro")
    };
    stage.until("one of the new package is left", replaced).await;
    stage.until_addresses("web", 1).await;
    stage.until_answered("web", 80, &["m1", "m2"]).await;

    // Nothing is left of it.
    let last = stage.balancers_of("web").await.remove(0);
    stage.delete_service("web").await;
    stage.until_gone("web").await;
    assert_eq!(stage.instance(last.id).await.state, triton::types::InstanceState::Deleted);
    assert!(stage.balancers_of("web").await.is_empty());
    stage.until_resolved("web-default-lb", &[]).await;
    stage.until_resolved("web-default", &[]).await;
    stage.until_tag(&m1, "").await;
}

#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn whoever_is_killed_after_a_lost_answer_leaves_no_second_instance() {
    let mut stage = stage().await;
    stage.start_controllers().await;
    stage.node_that_serves("m1", "http:30080").await;
    // Answers to creates are lost, but what they ask for is done.
    let faults = ["requests.CreateMachine.torn_rate=1", "requests.CreateMachine.applied=true"];
    let plan = FaultPlan::load(None, &faults.map(str::to_owned)).unwrap();
    stage.simulator.control().set_faults(plan).unwrap();
    stage.forward("web", 30080, json!({})).await;
    stage.endpoints("web", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until("the first one is there", async || !stage.balancers_of("web").await.is_empty()).await;
    stage.kill_controllers().await;

    // The next process sees it, and loses answers as well.
    stage.start_controllers().await;
    stage.until("the second one is there", async || stage.balancers_of("web").await.len() == 2).await;
    stage.kill_controllers().await;
    stage.simulator.control().set_faults(FaultPlan::default()).unwrap();
    stage.start_controllers().await;
    stage.until_addresses("web", 2).await;
    stage.until_answered("web", 80, &["m1"]).await;
    let names: BTreeSet<_> = stage.balancers_of("web").await.into_iter().map(|it| it.name).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(stage.balancers_of("web").await.len(), 2);

    // One that somebody deletes comes again.
    let victim = stage.balancers_of("web").await.remove(0);
    stage.account.delete_instance(victim.id).await.unwrap();
    let again = async || {
        let all = stage.balancers_of("web").await;
        all.len() == 2 && all.iter().all(|it| it.id != victim.id)
    };
    stage.until("there are two again", again).await;
    stage.until_addresses("web", 2).await;
    stage.until_answered("web", 80, &["m1"]).await;
}
