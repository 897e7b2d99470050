//! Pods for tests.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

/// The manifest that must work, as its pod comes from the API server.
pub(crate) fn manifest() -> Pod {
    pod(json!({
        "metadata": {
            "name": "ubuntu-6d5f7c9b4-x2x7k",
            "namespace": "default",
            "uid": "5f0c9a34-6f5d-4a2b-9a7e-0c3f8d1b2a10",
            "annotations": {
                "package": "b87c2a29-6b6a-6d19-ea65-aa81e680002c",
                "networks": "17d7aa50-6ad9-4e56-93b7-12dc868fac2a, a0ae9499-b476-4fef-9861-d0c25029378d",
                "fwgroup": "ubuntu",
                "fwenabled": "true",
            },
            "labels": {
                "app": "ubuntu", "triton.cns.services": "ubuntu", "pod-template-hash": "6d5f7c9b4",
            },
        },
        "spec": {
            "restartPolicy": "Always",
            "nodeName": "triton",
            "serviceAccountName": "default",
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": true,
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "containers": [{
                "name": "ubuntu",
                "image": "7b5981c4-1889-11e7-b4c5-3f3bdfc9b88b",
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 22, "name": "ssh", "protocol": "TCP"}],
                "env": [{"name": "foo", "value": "bar"}, {"name": "bar", "value": "baz"}],
                "readinessProbe": {"tcpSocket": {"port": 22}, "initialDelaySeconds": 10, "periodSeconds": 5},
                "livenessProbe": {"tcpSocket": {"port": 22}, "initialDelaySeconds": 10, "periodSeconds": 5},
                "resources": {},
                "volumeMounts": [{
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                    "name": "kube-api-access-7mmzn",
                    "readOnly": true,
                }],
            }],
            "nodeSelector": {
                "kubernetes.io/role": "agent", "beta.kubernetes.io/os": "linux", "type": "virtual-kubelet",
            },
            "tolerations": [{"key": "virtual-kubelet.io/provider", "operator": "Exists"}],
            "volumes": [{
                "name": "kube-api-access-7mmzn",
                "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
            }],
        },
    }))
}

/// A pod with nothing but a name and an image, changed by JSON merge patches.
pub(crate) fn plain(patches: &[Value]) -> Pod {
    let mut value = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "5f0c9a34-6f5d-4a2b-9a7e-0c3f8d1b2a10"},
        "spec": {"containers": [{"name": "web", "image": "base-64-lts"}]},
    });
    for patch in patches {
        merge(&mut value, patch);
    }
    pod(value)
}

/// The same, where the patch is of its container.
pub(crate) fn container(patch: &Value) -> Pod {
    let mut container = json!({"name": "web", "image": "base-64-lts"});
    merge(&mut container, patch);
    plain(&[json!({"spec": {"containers": [container]}})])
}

fn pod(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}
