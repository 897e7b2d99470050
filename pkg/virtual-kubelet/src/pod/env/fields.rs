//! The downward API: fields and resources of the pod itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::Known;
use crate::pod::Resources;
use crate::quantity::Quantity;

/// The value of a field.
pub(super) enum Field {
    /// This.
    Value(String),
    /// It needs an address that is not known yet.
    Deferred,
}

/// The value of `fieldRef.fieldPath`; the error says what is wrong with the path.
pub(super) fn field(pod: &Pod, known: &Known, path: &str) -> Result<Field, String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let value = match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "metadata.labels" => Some(lines(metadata.labels.as_ref())),
        "metadata.annotations" => Some(lines(metadata.annotations.as_ref())),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.podIP" => return Ok(address(known.pod_ips.first())),
        "status.podIPs" if known.pod_ips.is_empty() => return Ok(Field::Deferred),
        "status.podIPs" => Some(joined(&known.pod_ips)),
        "status.hostIP" | "status.hostIPs" => return Ok(address(known.host_ip.as_ref())),
        _ => {
            let entry = |map: Option<&BTreeMap<String, String>>, key: &str| {
                map.and_then(|map| map.get(key)).cloned().unwrap_or_default()
            };
            match (key(path, "metadata.labels"), key(path, "metadata.annotations")) {
                (Some(key), _) => Some(entry(metadata.labels.as_ref(), key)),
                (_, Some(key)) => Some(entry(metadata.annotations.as_ref(), key)),
                _ => return Err(format!("{path:?} is no field that a pod can refer to")),
            }
        }
    };
    Ok(Field::Value(value.unwrap_or_default()))
}

fn address(address: Option<&IpAddr>) -> Field {
    address.map_or(Field::Deferred, |address| Field::Value(address.to_string()))
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The key of `map['key']`.
fn key<'a>(path: &'a str, map: &str) -> Option<&'a str> {
    path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")
}

/// A map as a kubelet writes it: `key="value"`, a line each.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The value of `resourceFieldRef`; the error says what is wrong with it.
///
/// Where a limit is not set, a kubelet gives what the node has; here it is what the instance has.
pub(super) fn resource(pod: &Pod, known: &Known, selector: &ResourceFieldSelector) -> Result<String, String> {
    let spec = pod.spec.as_ref();
    let name = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let container = containers.iter().find(|container| name.is_none_or(|name| container.name == name));
    let Some(container) = container else {
        return Err(format!("there is no container {:?}", name.unwrap_or_default()));
    };
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let (list, key, capacity) = match selector.resource.split_once('.') {
        Some(("limits", key)) => (limits, key, capacity(known, key)),
        Some(("requests", key)) => (requests, key, Quantity::default()),
        _ => return Err(format!("{:?} is no resource; write limits.cpu", selector.resource)),
    };
    let read = |text: &Text| Quantity::try_from(text).map_err(|error| error.to_string());
    let amount = list.and_then(|list| list.get(key)).map(read).transpose()?.unwrap_or(capacity);
    // A divisor of 0 is what the API server writes for none: then the unit is one CPU, one byte.
    let divisor = selector.divisor.as_ref().filter(|divisor| !divisor.0.is_empty()).map(read).transpose()?;
    let value = divisor.and_then(|divisor| amount.divided_by(divisor)).unwrap_or_else(|| amount.units());
    Ok(value.to_string())
}

fn capacity(known: &Known, key: &str) -> Quantity {
    let Resources { cpu_millis, memory_bytes, storage_bytes } = known.capacity;
    match key {
        "cpu" => Quantity::from_millis(cpu_millis),
        "memory" => Quantity::from_units(memory_bytes),
        "ephemeral-storage" => Quantity::from_units(storage_bytes),
        _ => Quantity::default(),
    }
}
