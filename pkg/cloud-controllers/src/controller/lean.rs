//! What is kept in memory of Kubernetes' objects: what is read. Most of a Node is the images that its kubelet has, and
//! a cluster has thousands of Nodes.
//!
//! Nothing is ever written back as a whole, so what is not kept cannot get lost.

use k8s_openapi::api::core::v1::{Node, NodeSystemInfo, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ObjectMeta;
use provider::names::label;

use crate::names::{
    CONDITION_NETWORK_UNAVAILABLE, CONDITION_NODE_IP, CONDITION_ROUTES_NOT_EFFECTIVE,
    EXCLUDE_FROM_LOAD_BALANCERS, HOSTNAME, INSTANCE_TYPE, PROVIDED_NODE_IP, REGION, SERVICE_NAME, ZONE,
};
use crate::route::EFFECTIVE;

/// The condition of a Node that says whether its kubelet is well.
const READY: &str = "Ready";

/// How many Nodes are asked for at once. Whole ones have some ten thousand bytes each.
pub(super) const NODES_AT_ONCE: u32 = 100;

/// Takes off a Node what nobody reads.
pub(super) fn node(node: &mut Node) {
    metadata(&mut node.metadata);
    if let Some(labels) = &mut node.metadata.labels {
        labels.retain(|key, _| is_read(key));
    }
    if let Some(annotations) = &mut node.metadata.annotations {
        annotations.retain(|key, _| [PROVIDED_NODE_IP, EFFECTIVE].contains(&key.as_str()));
    }
    let Some(status) = &mut node.status else { return };
    let conditions = status.conditions.take().map(|mut conditions| {
        conditions.retain(|condition| {
            let kind = condition.type_.as_str();
            [READY, CONDITION_NODE_IP, CONDITION_NETWORK_UNAVAILABLE, CONDITION_ROUTES_NOT_EFFECTIVE]
                .contains(&kind)
        });
        for condition in conditions.iter_mut().filter(|condition| condition.type_ == READY) {
            // Each heartbeat changes these.
            (condition.reason, condition.message) = (None, None);
            (condition.last_heartbeat_time, condition.last_transition_time) = (None, None);
        }
        conditions
    });
    let info = status
        .node_info
        .take()
        .map(|info| NodeSystemInfo { system_uuid: info.system_uuid, ..NodeSystemInfo::default() });
    *status = k8s_openapi::api::core::v1::NodeStatus {
        addresses: status.addresses.take(),
        conditions,
        node_info: info,
        ..Default::default()
    };
}

/// The labels of Nodes that somebody reads.
fn is_read(key: &str) -> bool {
    let [ours, theirs] = [
        [label::VIRTUAL.0, label::COMPUTE_NODE, label::BRAND, label::PACKAGE, label::IMAGE],
        [HOSTNAME, EXCLUDE_FROM_LOAD_BALANCERS, INSTANCE_TYPE[0], INSTANCE_TYPE[1], ZONE[0]],
    ];
    ours.contains(&key) || theirs.contains(&key) || [ZONE[1], REGION[0], REGION[1]].contains(&key)
}

/// Takes off a Service what nobody reads.
pub(super) fn service(service: &mut Service) {
    metadata(&mut service.metadata);
}

/// Takes off the endpoints of a Service what nobody reads.
pub(super) fn slice(slice: &mut EndpointSlice) {
    metadata(&mut slice.metadata);
    slice.metadata.annotations = None;
    slice.metadata.owner_references = None;
    if let Some(labels) = &mut slice.metadata.labels {
        labels.retain(|key, _| key == SERVICE_NAME);
    }
    for endpoint in &mut slice.endpoints {
        endpoint.target_ref = None;
        (endpoint.hostname, endpoint.zone, endpoint.hints) = (None, None, None);
    }
}

fn metadata(metadata: &mut ObjectMeta) {
    (metadata.self_link, metadata.generate_name) = (None, None);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_node_stays_what_is_read() {
        let kept = json!({
            "metadata": {
                "name": "n", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-26T21:32:02Z",
                "labels": {
                    "kubernetes.io/hostname": "n", "node.kubernetes.io/instance-type": "g1.micro", "type": "virtual-kubelet",
                    "tritondatacenter.com/brand": "lx",
                    "node.kubernetes.io/exclude-from-external-load-balancers": "true",
                },
                "annotations": {"alpha.kubernetes.io/provided-node-ip": "10.0.0.1", EFFECTIVE: "true"},
            },
            "spec": {
                "podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"], "providerID": "triton://dc/x",
                "taints": [{"key": "a", "effect": "NoSchedule"}], "unschedulable": true,
            },
            "status": {
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "NetworkUnavailable", "status": "True", "reason": "r", "message": "m"},
                ],
                "nodeInfo": {"systemUUID": "s"},
            },
        });
        let mut whole = kept.clone();
        whole["metadata"]["generateName"] = json!("n-");
        whole["metadata"]["labels"]["kubernetes.io/os"] = json!("linux");
        whole["metadata"]["annotations"]["volumes.kubernetes.io/controller-managed-attach-detach"] =
            json!("true");
        whole["status"]["images"] = json!([{"names": ["a@sha256:1", "a:v1"], "sizeBytes": 1}]);
        whole["status"]["capacity"] = json!({"cpu": "8"});
        whole["status"]["conditions"][0]["message"] = json!("kubelet is posting ready status");
        whole["status"]["conditions"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "DiskPressure", "status": "False"}));
        whole["status"]["nodeInfo"]["osImage"] = json!("Ubuntu");
        let mut lean: Node = serde_json::from_value(whole).unwrap();
        node(&mut lean);
        assert_eq!(lean, serde_json::from_value::<Node>(kept).unwrap());
    }

    #[test]
    fn of_endpoints_stays_who_serves_how_and_where() {
        let kept = json!({
            "metadata": {"name": "s", "namespace": "d", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n", "conditions": {"ready": true}}],
        });
        let mut whole = kept.clone();
        whole["metadata"]["labels"]["a"] = json!("b");
        whole["endpoints"][0]["targetRef"] = json!({"kind": "Pod", "name": "p"});
        whole["endpoints"][0]["zone"] = json!("z");
        let mut lean: EndpointSlice = serde_json::from_value(whole).unwrap();
        slice(&mut lean);
        assert_eq!(lean, serde_json::from_value::<EndpointSlice>(kept).unwrap());
    }
}
