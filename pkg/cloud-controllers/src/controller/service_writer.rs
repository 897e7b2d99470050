//! Writes to Services: finalizer and status, in one request, as the framework does.

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch, PatchParams};
use provider::cns::ServiceKey;
use runtime::clients::ApiError;
use serde_json::{Map, Value, json};

use crate::names::{CONDITION_PUBLISHED, LOAD_BALANCER_CLEANUP, SERVICE_CONTROLLER};
use crate::service::StatusChange;

/// Writes to Services.
#[derive(Clone)]
pub(super) struct ServiceWriter(kube::Client);

impl ServiceWriter {
    /// `client` is one that writes only while leading.
    pub(super) fn new(client: kube::Client) -> Self {
        Self(client)
    }

    /// Writes to this very Service.
    pub(super) async fn patch(
        &self,
        key: &ServiceKey,
        service: &Service,
        change: &StatusChange,
    ) -> Result<(), ApiError> {
        self.write(key, patch(service, change)).await
    }

    /// Writes a strategic merge patch of status and finalizers.
    pub(super) async fn write(&self, key: &ServiceKey, patch: Value) -> Result<(), ApiError> {
        let services: Api<Service> = Api::namespaced(self.0.clone(), &key.namespace);
        let params =
            PatchParams { field_manager: Some(SERVICE_CONTROLLER.to_owned()), ..PatchParams::default() };
        services.patch_status(&key.name, &params, &Patch::Strategic(patch)).await.map(drop)?;
        Ok(())
    }
}

/// Finalizers and conditions are merged, so that those of others stay whatever happens meanwhile.
fn patch(service: &Service, change: &StatusChange) -> Value {
    let mut metadata = Map::from_iter([("uid".to_owned(), json!(service.metadata.uid))]);
    match change.finalizer {
        Some(true) => drop(metadata.insert("finalizers".to_owned(), json!([LOAD_BALANCER_CLEANUP]))),
        Some(false) => {
            let key = "$deleteFromPrimitiveList/finalizers".to_owned();
            metadata.insert(key, json!([LOAD_BALANCER_CLEANUP]));
        }
        None => {}
    }
    let mut status = Map::new();
    if let Some(hostname) = &change.hostname {
        let ingress = if hostname.is_empty() { json!(null) } else { json!([{"hostname": hostname}]) };
        status.insert("loadBalancer".to_owned(), json!({"ingress": ingress}));
    }
    if let Some(condition) = &change.condition {
        status.insert("conditions".to_owned(), json!([condition]));
    } else if change.removes_condition {
        status.insert("conditions".to_owned(), json!([{"$patch": "delete", "type": CONDITION_PUBLISHED}]));
    }
    json!({"metadata": metadata, "status": status})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_patch_has_finalizer_hostname_and_condition() {
        let service = serde_json::from_value(json!({"metadata": {"name": "s", "uid": "u"}})).unwrap();
        let change = StatusChange {
            finalizer: Some(true),
            hostname: Some("a.b".to_owned()),
            ..StatusChange::default()
        };
        assert_eq!(
            patch(&service, &change),
            json!({
                "metadata": {"uid": "u", "finalizers": ["service.kubernetes.io/load-balancer-cleanup"]},
                "status": {"loadBalancer": {"ingress": [{"hostname": "a.b"}]}},
            })
        );
        let change = StatusChange {
            finalizer: Some(false),
            hostname: Some(String::new()),
            removes_condition: true,
            condition: None,
        };
        assert_eq!(
            patch(&service, &change),
            json!({
                "metadata": {
                    "uid": "u",
                    "$deleteFromPrimitiveList/finalizers": ["service.kubernetes.io/load-balancer-cleanup"],
                },
                "status": {
                    "loadBalancer": {"ingress": null},
                    "conditions": [{"$patch": "delete", "type": "tritondatacenter.com/Published"}],
                },
            })
        );
    }
}
