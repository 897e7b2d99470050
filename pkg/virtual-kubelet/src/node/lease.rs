//! The node's lease: what its life is judged by, so that its status need not be written every few seconds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

/// Where the leases of nodes are.
pub const NAMESPACE: &str = "kube-node-lease";

/// How long a lease holds, as any kubelet's.
pub const DURATION: Duration = Duration::from_secs(40);

/// How often it is renewed: a quarter of that, as by any kubelet.
pub const RENEW_EVERY: Duration = Duration::from_secs(10);

/// The lease of the node with this UID, renewed now; to be applied. The node owns it, so that it goes with the node.
pub fn renewed(node: &str, uid: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": node,
            "namespace": NAMESPACE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}],
        },
        "spec": {
            "holderIdentity": node,
            "leaseDurationSeconds": DURATION.as_secs(),
            "renewTime": MicroTime(now),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_the_nodes_own_and_says_when_it_was_renewed() {
        let now = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        let lease = renewed("vk", "1-2", now);
        assert_eq!(lease["metadata"]["ownerReferences"][0]["uid"], "1-2");
        assert_eq!(lease["spec"]["renewTime"], "2023-11-14T22:13:20.123456Z");
        assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
        let _: k8s_openapi::api::coordination::v1::Lease = serde_json::from_value(lease).unwrap();
    }
}
