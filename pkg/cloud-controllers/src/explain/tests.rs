use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Service};
use provider::cns::{Exposure, ServiceKey};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::Instant;
use triton::id::InstanceId;
use triton::reflector::Proof;
use triton::types::{Instance, TagValue};

use super::*;
use crate::identity::{Identity, Mismatch};
use crate::instances::{Known, Seen};
use crate::networks::Reaches;
use crate::node::labels::Place;
use crate::node_lifecycle;
use crate::service::backends::Backends;
use crate::service::hosts::{Host, HostKind, HostState, Hosts};
use crate::service::{self, Carrier, Memory, instance};

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Columns are as wide as their widest cell.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn id() -> InstanceId {
    ID.parse().unwrap()
}

fn machine(state: &str) -> Arc<Instance> {
    Arc::new(read(json!({
        "id": ID, "name": "n1", "state": state, "brand": "bhyve", "package": "b1",
        "nics": [{"mac": "90:b8:d0:00:00:01", "ip": "10.0.0.5", "primary": true}],
    })))
}

fn seen(state: &str) -> Known {
    Known::Present(Seen { instance: machine(state), doubted: false, as_of: Instant::now() })
}

/// What is shown of a Node that waits to be initialised, by a controller that has just begun.
fn node_shown(
    identity: &Identity,
    known: &Known,
    step: Option<node_lifecycle::Step>,
) -> diagnostics::Explanation {
    let node: Node = read(json!({
        "metadata": {"name": "n1"},
        "spec": {"taints": [{"key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule"}]},
    }));
    let place = Place { datacenter: "dc1".into(), zone: "dc1".into(), region: "r".into() };
    let observed = crate::node::Observed {
        node: &node,
        identity,
        known,
        networks: &Reaches::default(),
        place: &place,
        memory: crate::node::Memory::default(),
        now: Instant::now(),
        wall: Timestamp::UNIX_EPOCH,
    };
    let life = node_lifecycle::Plan { step, ..node_lifecycle::Plan::default() };
    explain_node("n1", &observed, &crate::node::plan(&observed), &life)
}

#[tokio::test]
async fn a_new_node_is_shown_with_what_it_gets() {
    let text = node_shown(&Identity::Named(id()), &seen("running"), None).to_string();
    for line in [
        "  addresses:                                 InternalIP 10.0.0.5, Hostname n1",
        "  label topology.kubernetes.io/region:       r",
        "  state:        running",
        "  provider ID:  none",
        "  initialised:  no",
        "  1. write into the status: addresses InternalIP 10.0.0.5, Hostname n1",
    ] {
        assert!(text.lines().any(|it| squeezed(it) == squeezed(line)), "{line}\n{text}");
    }
    assert!(text.contains("  2. write into the Node: provider ID triton://dc1/8a5918c3"), "{text}");
    assert!(text.contains("no taint node.cloudprovider.kubernetes.io/uninitialized"), "{text}");
}

#[rstest]
#[case::gone(
    Identity::Named(id()), Some(Proof::Destroyed), Some(node_lifecycle::Step::Delete(Proof::Destroyed)),
    &["state:        destroyed", "1. delete the Node: its instance is destroyed"]
)]
#[case::not_found(
    Identity::Named(id()), Some(Proof::NotFound), Some(node_lifecycle::Step::Delete(Proof::NotFound)),
    &["not found, again and again", "1. delete the Node: its instance is proved not to be there"]
)]
#[case::only_read(
    Identity::Named(id()), None, Some(node_lifecycle::Step::Read(id())),
    &["this account does not have it", "nothing to do"]
)]
#[case::nobodys(
    Identity::Unmatched(Mismatch::Nothing { system_uuid: None }), None, None, &["instance:     none: ", "nothing to do"]
)]
#[case::foreign(Identity::Foreign, None, None, &["somebody else's", "Desired:\n  nothing"])]
#[tokio::test]
async fn what_becomes_of_a_node_is_said(
    #[case] identity: Identity,
    #[case] gone: Option<Proof>,
    #[case] step: Option<node_lifecycle::Step>,
    #[case] parts: &[&str],
) {
    let known = gone.map_or(Known::Unknown, |proof| Known::Gone { proof, at: Instant::now() });
    let text = squeezed(&node_shown(&identity, &known, step).to_string());
    for part in parts {
        assert!(text.contains(&squeezed(part)), "{part}\n{text}");
    }
}

/// What is shown of a load balancer whose machine is ready, and is in CNS or not.
fn service_shown(service: &Value, exposure: Option<Exposure>, carries: bool) -> diagnostics::Explanation {
    let service: Service = read(service.clone());
    let host = Host { kind: HostKind::Machine(id()), state: HostState::Ready, addresses: vec![] };
    let hosts: Hosts = [("n1".into(), host)].into();
    let slice = read(json!({
        "metadata": {"name": "s"}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "nodeName": "n1", "conditions": {"ready": true}}],
    }));
    let entry: triton::grammar::cns::CnsServices = "web:30080".parse().unwrap();
    let carrier = Carrier {
        instance: machine("running"),
        entries: entry.into_iter().collect(),
        is_seen: true,
        is_pod: false,
    };
    let carriers: BTreeMap<_, _> = carries.then_some((id(), carrier)).into_iter().collect();
    let observed = service::Observed {
        service: &service,
        exposure,
        name: Ok("web"),
        hosts: &hosts,
        backends: &Backends::read([&slice]),
        carriers: &carriers,
        leftovers: &BTreeSet::new(),
        stopped: &BTreeSet::new(),
        networks: &service::hostname::Known::default(),
        memory: &Memory::default(),
        now: Instant::now(),
        wall: Timestamp::UNIX_EPOCH,
    };
    let set = [("triton.cns.services".to_owned(), TagValue::from("web:30080"))].into();
    let instance = instance::Plan { set, remove: vec!["k8s.cns"], ..instance::Plan::default() };
    let instances = if carries { BTreeMap::new() } else { [(id(), instance)].into() };
    let key = ServiceKey { namespace: "default".into(), name: "web".into() };
    explain_service(&key, &observed, &service::plan(&observed), &instances)
}

fn balancer(more: &Value) -> Value {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "default", "finalizers": ["service.kubernetes.io/load-balancer-cleanup"]},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
    });
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    service
}

#[rstest]
#[case::new(
    balancer(&json!({"metadata": {"name": "web"}})), Some(Exposure::LoadBalancer), false,
    &["yes, as a load balancer", "finalizer:", "1. add the finalizer", "instances:  those that are in"]
)]
#[case::joining(
    balancer(&json!({})), Some(Exposure::LoadBalancer), false,
    &["(node n1):  web:30080", "serves the Service", "tag instance 8a5918c3-84a2-4122-9ed5-60d76d7a8525 (node n1): triton.cns.services=web:30080; no k8s.cns"]
)]
#[case::carried(balancer(&json!({})), Some(Exposure::LoadBalancer), true, &["web:30080 (running)"])]
#[case::somebody_elses(balancer(&json!({"metadata": {"name": "web"}})), None, true, &["no: it has another", "instances:  none", "nothing to do"])]
#[tokio::test]
async fn a_service_is_shown_with_its_instances(
    #[case] service: Value,
    #[case] exposure: Option<Exposure>,
    #[case] carries: bool,
    #[case] parts: &[&str],
) {
    let text = squeezed(&service_shown(&service, exposure, carries).to_string());
    for part in parts {
        assert!(text.contains(&squeezed(part)), "{part}\n{text}");
    }
}

#[tokio::test]
async fn pauses_are_from_now() {
    let now = Instant::now();
    assert_eq!(pause(Some(now + Duration::from_secs(3)), now), Some(Duration::from_secs(3)));
    assert_eq!(pause(None, now), None);
}
