//! Writes to pods: their status, and their end.

use k8s_openapi::api::core::v1::{Pod, PodStatus, Toleration};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use provider::names::{PREFIX, annotation};
use runtime::clients::ApiError;
use serde_json::{Map, Value, json};

use crate::pod::PodKey;

/// The name under which we write.
const FIELD_MANAGER: &str = "triton-virtual-kubelet";

/// Lists that a strategic merge would only ever add to.
const REPLACED_LISTS: [&str; 2] = ["podIPs", "hostIPs"];

/// Writes to pods.
#[derive(Clone)]
pub(super) struct PodWriter(kube::Client);

impl PodWriter {
    /// `client` is one that writes only while leading.
    pub(super) fn new(client: kube::Client) -> Self {
        Self(client)
    }

    /// Writes the status of a pod, unless the pod has changed since it was observed or is gone: a status that was made
    /// of an older one would undo what was written since. Says whether it was written.
    pub(super) async fn write_status(
        &self,
        pod: &Pod,
        key: &PodKey,
        status: &PodStatus,
    ) -> Result<bool, ApiError> {
        let patch = status_patch(pod, &key.uid, status);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        // Only the success counts; the object comes by the watch.
        let written = self.pods(key).patch_status(&key.name, &params, &Patch::Strategic(patch)).await;
        match written.map_err(ApiError::from) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a pod's tolerations, unless the pod has changed meanwhile.
    pub(super) async fn write_tolerations(
        &self,
        pod: &Pod,
        key: &PodKey,
        tolerations: &[Toleration],
    ) -> Result<(), ApiError> {
        let metadata = json!({"uid": key.uid, "resourceVersion": pod.metadata.resource_version});
        let patch = json!({"metadata": metadata, "spec": {"tolerations": tolerations}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = self.pods(key).patch(&key.name, &params, &Patch::Merge(patch)).await;
        settled(written.map(drop))
    }

    /// Writes the SSH host key of a pod's instance to the pod's annotation. Annotations are written with the status too,
    /// which needs no right to change what pods are.
    pub(super) async fn pin_host_key(&self, key: &PodKey, text: &str) -> Result<(), ApiError> {
        let name = format!("{PREFIX}{}", annotation::SSH_HOST_KEY);
        let patch = json!({"metadata": {"uid": &*key.uid, "annotations": {name: text}}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = self.pods(key).patch_status(&key.name, &params, &Patch::Strategic(patch)).await;
        settled(written.map(drop))
    }

    /// Removes a pod whose instance is gone, now.
    pub(super) async fn remove(&self, key: &PodKey) -> Result<(), ApiError> {
        let preconditions = Preconditions { uid: Some(key.uid.to_string()), ..Preconditions::default() };
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        settled(self.pods(key).delete(&key.name, &params).await.map(drop))
    }

    /// Whether the API server itself says that this pod is not there: none of its name, or another one.
    pub(super) async fn is_absent(&self, key: &PodKey) -> Result<bool, ApiError> {
        let pod = self.pods(key).get_opt(&key.name).await?;
        Ok(pod.is_none_or(|pod| pod.metadata.uid.as_deref() != Some(&key.uid)))
    }

    fn pods(&self, key: &PodKey) -> Api<Pod> {
        Api::namespaced(self.0.clone(), &key.namespace)
    }
}

/// 404: it is gone. 409: the UID is another one.
fn settled(written: Result<(), kube::Error>) -> Result<(), ApiError> {
    match written.map_err(ApiError::from) {
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
        written => written,
    }
}

/// Fields of a condition that a strategic merge would keep when the new one has none.
const CONDITION_FIELDS: [&str; 2] = ["reason", "message"];

/// A strategic merge patch that gives the pod of this UID, as it was observed, this status: what it has and should not
/// have is removed, fields that this program does not know stay, and conditions of others too.
fn status_patch(pod: &Pod, uid: &str, status: &PodStatus) -> Value {
    let fields = |status: &PodStatus| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        // Not possible: a status is an object.
        _ => Map::new(),
    };
    let mut patch = fields(status);
    let present = pod.status.as_ref().map(fields).unwrap_or_default();
    for (name, _) in present.into_iter().filter(|(name, _)| name != "conditions") {
        patch.entry(name).or_insert(Value::Null);
    }
    for name in REPLACED_LISTS {
        if let Some(Value::Array(items)) = patch.get_mut(name) {
            items.push(json!({"$patch": "replace"}));
        }
    }
    if let Some(Value::Array(conditions)) = patch.get_mut("conditions") {
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            for field in CONDITION_FIELDS {
                condition.entry(field).or_insert(Value::Null);
            }
        }
    }
    json!({"metadata": {"uid": uid, "resourceVersion": pod.metadata.resource_version}, "status": patch})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": "a", "namespace": "b", "uid": "u", "resourceVersion": "7"}, "status": status}),
        )
        .unwrap()
    }

    #[test]
    fn a_patch_removes_what_should_go_and_replaces_addresses() {
        let old = pod(json!({
            "phase": "Pending", "reason": "ProvisioningFailed", "message": "no",
            "conditions": [
                {"type": "Foreign", "status": "True"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "main"},
            ],
            "podIPs": [{"ip": "10.0.0.1"}],
        }));
        let new = pod(json!({
            "phase": "Running", "podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }));
        assert_eq!(
            status_patch(&old, "u", &new.status.unwrap()),
            json!({
                "metadata": {"uid": "u", "resourceVersion": "7"},
                "status": {
                    "phase": "Running", "reason": null, "message": null, "podIP": "10.0.0.2",
                    "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "replace"}],
                    "conditions": [{"type": "Ready", "status": "True", "reason": null, "message": null}],
                },
            })
        );
    }
}
