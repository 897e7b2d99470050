//! The Nodes as those who may serve. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use triton::id::InstanceId;

use crate::identity::{is_uninitialized, is_virtual, provider_id};
use crate::names::{EXCLUDE_FROM_LOAD_BALANCERS, TAINT_SHUTDOWN, TAINT_TO_BE_DELETED};

/// All Nodes, by name.
pub type Hosts = BTreeMap<Arc<str>, Host>;

/// What of a Node matters to Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Whose pods it runs.
    pub kind: HostKind,
    /// How it does.
    pub state: HostState,
    /// Its addresses, by which pods in the host's network are told.
    pub addresses: Vec<IpAddr>,
}

/// Whose pods a Node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// Its own: it is this machine.
    Machine(InstanceId),
    /// Instances: it is no machine.
    Virtual,
    /// It is a machine of somebody else's, or not known yet.
    Other,
}

/// How a Node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It is ready.
    Ready,
    /// It is not, or not yet, or nobody knows.
    NotReady,
    /// It is cordoned.
    Cordoned,
    /// It is not to be used: by its label, because it is about to be deleted, or because its machine is shut down.
    Unusable,
}

impl Host {
    /// What matters of a Node.
    pub fn of(node: &Node, datacenter: &str) -> Self {
        let status = node.status.as_ref();
        let addresses = status.and_then(|status| status.addresses.as_deref()).unwrap_or_default();
        let addresses = addresses.iter().filter_map(|address| address.address.parse().ok()).collect();
        Self { kind: kind(node, datacenter), state: state(node), addresses }
    }
}

fn kind(node: &Node, datacenter: &str) -> HostKind {
    if is_virtual(node) {
        return HostKind::Virtual;
    }
    match provider_id(node) {
        Some(Ok(id)) if id.datacenter().is_none_or(|named| named == datacenter) => {
            HostKind::Machine(id.instance())
        }
        _ => HostKind::Other,
    }
}

fn state(node: &Node) -> HostState {
    let spec = node.spec.as_ref();
    let has_taint = |key: &str| {
        let taints = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        taints.iter().any(|taint| taint.key == key)
    };
    let label = node.metadata.labels.as_ref().and_then(|labels| labels.get(EXCLUDE_FROM_LOAD_BALANCERS));
    // Whatever cannot be read excludes, as in the framework (Kubernetes reference 2.1).
    let is_excluded = label.is_some_and(|value| value != "false");
    let is_leaving = node.metadata.deletion_timestamp.is_some() || has_taint(TAINT_TO_BE_DELETED);
    if is_excluded || is_leaving || has_taint(TAINT_SHUTDOWN) {
        HostState::Unusable
    } else if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        HostState::Cordoned
    } else if is_ready(node) && !is_uninitialized(node) {
        HostState::Ready
    } else {
        HostState::NotReady
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const MACHINE: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

    fn host(path: &str, value: Value) -> Host {
        let mut node = json!({
            "metadata": {"name": "n", "labels": {}},
            "spec": {"providerID": format!("triton://dc/{MACHINE}")},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [
                    {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n"},
                ],
            },
        });
        let (parent, name) = path.rsplit_once('/').unwrap();
        node.pointer_mut(parent).unwrap()[name] = value;
        Host::of(&serde_json::from_value(node).unwrap(), "dc")
    }

    #[rstest]
    #[case::ready("/spec/x", json!(0), HostState::Ready)]
    #[case::not_ready("/status/conditions", json!([{"type": "Ready", "status": "False"}]), HostState::NotReady)]
    #[case::lost("/status/conditions", json!([{"type": "Ready", "status": "Unknown"}]), HostState::NotReady)]
    #[case::new("/status/conditions", json!([]), HostState::NotReady)]
    #[case::uninitialised(
        "/spec/taints", json!([{"key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule"}]),
        HostState::NotReady
    )]
    #[case::cordoned("/spec/unschedulable", json!(true), HostState::Cordoned)]
    #[case::not_cordoned("/spec/unschedulable", json!(false), HostState::Ready)]
    #[case::excluded(
        "/metadata/labels", json!({"node.kubernetes.io/exclude-from-external-load-balancers": ""}), HostState::Unusable
    )]
    #[case::excluded_by_what_cannot_be_read(
        "/metadata/labels", json!({"node.kubernetes.io/exclude-from-external-load-balancers": "No"}),
        HostState::Unusable
    )]
    #[case::included(
        "/metadata/labels", json!({"node.kubernetes.io/exclude-from-external-load-balancers": "false"}),
        HostState::Ready
    )]
    #[case::to_be_deleted(
        "/spec/taints", json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]), HostState::Unusable
    )]
    #[case::shut_down(
        "/spec/taints", json!([{"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"}]),
        HostState::Unusable
    )]
    #[case::another_taint("/spec/taints", json!([{"key": "x", "effect": "NoSchedule"}]), HostState::Ready)]
    #[case::being_deleted("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"), HostState::Unusable)]
    fn a_node_is_ready_or_why_it_is_not_used(
        #[case] path: &str,
        #[case] value: Value,
        #[case] state: HostState,
    ) {
        let host = host(path, value);
        assert_eq!(host.state, state);
        assert_eq!(host.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[rstest]
    #[case::ours("/spec/x", json!(0), HostKind::Machine(MACHINE.parse().unwrap()))]
    #[case::elsewhere("/spec/providerID", json!(format!("triton://other/{MACHINE}")), HostKind::Other)]
    #[case::another_cloud("/spec/providerID", json!("aws:///i-1"), HostKind::Other)]
    #[case::not_known("/spec/providerID", json!(""), HostKind::Other)]
    #[case::a_virtual_node("/metadata/labels", json!({"type": "virtual-kubelet"}), HostKind::Virtual)]
    fn a_node_is_a_machine_or_not(#[case] path: &str, #[case] value: Value, #[case] kind: HostKind) {
        assert_eq!(host(path, value).kind, kind);
    }
}
