//! The node's status: what a new one is, and the patch that brings an old one up to date. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    DaemonEndpoint, NodeCondition, NodeDaemonEndpoints, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::capacity::Amounts;
use super::desired::{Desired, Readiness};
use super::plan::STATUS_EVERY;
use crate::quantity;

/// The condition that everybody looks at.
const READY: &str = "Ready";

/// The conditions besides it: what a kubelet says when all is well. None of these can go wrong here.
const SOUND: [[&str; 3]; 4] = [
    ["MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ["DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ["PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    ["NetworkUnavailable", "RouteCreated", "instances have addresses of their own"],
];

/// One of our conditions, without its times.
struct Said<'a> {
    type_: &'static str,
    status: &'static str,
    reason: &'static str,
    message: &'a str,
}

/// What the Ready condition says now; `None` without one.
pub(super) fn ready_status(status: Option<&NodeStatus>) -> Option<&str> {
    condition(status, READY).map(|condition| condition.status.as_str())
}

/// The status of a new node.
pub(super) fn new(desired: &Desired, now: Timestamp) -> NodeStatus {
    let said = said(desired, None);
    NodeStatus {
        phase: Some("Running".to_owned()),
        capacity: desired.capacity.map(|capacity| quantities(&capacity.total)),
        allocatable: desired.capacity.map(|capacity| quantities(&capacity.allocatable)),
        conditions: Some(said.iter().map(|said| said.at(None, now)).collect()),
        addresses: Some(desired.addresses.clone()),
        daemon_endpoints: Some(endpoints(desired)),
        node_info: Some(desired.info.clone()),
        ..NodeStatus::default()
    }
}

/// The patch, when anything of ours differs, or nothing was written for [`STATUS_EVERY`].
pub(super) fn patch(desired: &Desired, observed: Option<&NodeStatus>, now: Timestamp) -> Option<Value> {
    let said = said(desired, observed);
    if is_current(desired, &said, observed) && !is_due(&said, observed, now) {
        return None;
    }
    let conditions: Vec<_> = said.iter().map(|said| said.at(condition(observed, said.type_), now)).collect();
    // As kubelets do: addresses are ours alone, and merging them by type would keep old ones.
    let replaced = [json!({"$patch": "replace"})];
    let addresses: Vec<Value> =
        replaced.into_iter().chain(desired.addresses.iter().map(|address| json!(address))).collect();
    let mut status = json!({
        "phase": "Running",
        "conditions": conditions,
        "addresses": addresses,
        "daemonEndpoints": endpoints(desired),
        "nodeInfo": desired.info,
    });
    if let (Some(capacity), Some(status)) = (&desired.capacity, status.as_object_mut()) {
        status.insert("capacity".to_owned(), json!(quantities(&capacity.total)));
        status.insert("allocatable".to_owned(), json!(quantities(&capacity.allocatable)));
    }
    Some(json!({ "status": status }))
}

/// Our conditions. An undecided Ready is left out where there is one.
fn said<'a>(desired: &'a Desired, observed: Option<&NodeStatus>) -> Vec<Said<'a>> {
    let ready = |status, reason, message| Some(Said { type_: READY, status, reason, message });
    let ready = match &desired.readiness {
        Readiness::Ready => ready("True", "KubeletReady", "Kubelet is ready"),
        Readiness::Unreachable { message } => ready("False", "CloudAPIUnreachable", message),
        Readiness::Undecided if condition(observed, READY).is_some() => None,
        Readiness::Undecided => {
            ready("False", "Starting", "the instances of the account have not been listed yet")
        }
    };
    let sound = SOUND.map(|[type_, reason, message]| Said { type_, status: "False", reason, message });
    ready.into_iter().chain(sound).collect()
}

impl Said<'_> {
    /// As a condition. It keeps the time of its last transition unless its status is another one.
    fn at(&self, before: Option<&NodeCondition>, now: Timestamp) -> NodeCondition {
        let same = before.filter(|before| before.status == self.status);
        let since = same.and_then(|before| before.last_transition_time.clone());
        NodeCondition {
            type_: self.type_.to_owned(),
            status: self.status.to_owned(),
            reason: Some(self.reason.to_owned()),
            message: Some(self.message.to_owned()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: Some(since.unwrap_or(Time(now))),
        }
    }

    /// Messages may tell times, so they are no difference.
    fn is(&self, condition: &NodeCondition) -> bool {
        condition.status == self.status && condition.reason.as_deref() == Some(self.reason)
    }
}

fn condition<'a>(status: Option<&'a NodeStatus>, type_: &str) -> Option<&'a NodeCondition> {
    status?.conditions.as_ref()?.iter().find(|condition| condition.type_ == type_)
}

fn is_current(desired: &Desired, said: &[Said<'_>], observed: Option<&NodeStatus>) -> bool {
    let Some(status) = observed else { return false };
    let conditions =
        said.iter().all(|said| condition(observed, said.type_).is_some_and(|condition| said.is(condition)));
    let capacity = desired.capacity.is_none_or(|capacity| {
        holds(status.capacity.as_ref(), &capacity.total)
            && holds(status.allocatable.as_ref(), &capacity.allocatable)
    });
    conditions
        && capacity
        && status.addresses.as_ref() == Some(&desired.addresses)
        && status.daemon_endpoints.as_ref() == Some(&endpoints(desired))
        && status.node_info.as_ref().is_some_and(|info| same_info(info, &desired.info))
}

/// Whether the last write is too long ago. One from the future is another machine's clock: written over when it is
/// far off.
fn is_due(said: &[Said<'_>], observed: Option<&NodeStatus>, now: Timestamp) -> bool {
    said.iter().any(|said| {
        let beat = condition(observed, said.type_).and_then(|it| it.last_heartbeat_time.as_ref());
        beat.is_none_or(|beat| now.duration_since(beat.0).abs() >= STATUS_EVERY)
    })
}

fn endpoints(desired: &Desired) -> NodeDaemonEndpoints {
    NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(desired.port) }) }
}

/// Compares what we set; newer servers add to it.
fn same_info(one: &NodeSystemInfo, other: &NodeSystemInfo) -> bool {
    let ours = |info: &NodeSystemInfo| {
        [
            info.architecture.clone(),
            info.operating_system.clone(),
            info.os_image.clone(),
            info.container_runtime_version.clone(),
            info.kubelet_version.clone(),
        ]
    };
    ours(one) == ours(other)
}

/// Quantities as Kubernetes names and writes them.
fn quantities(amounts: &Amounts) -> BTreeMap<String, Quantity> {
    let cpu = match amounts.cpu_millis {
        millis if millis.is_multiple_of(1000) => (millis / 1000).to_string(),
        millis => format!("{millis}m"),
    };
    let values = [
        ("cpu", cpu),
        ("memory", bytes(amounts.memory_bytes)),
        ("ephemeral-storage", bytes(amounts.storage_bytes)),
        ("pods", amounts.pods.to_string()),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), Quantity(value))).collect()
}

fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    if bytes > 0 && bytes.is_multiple_of(KIB) { format!("{}Ki", bytes / KIB) } else { bytes.to_string() }
}

/// The amount, if it is one.
fn amount(text: &Quantity) -> Option<quantity::Quantity> {
    quantity::Quantity::try_from(text).ok()
}

/// Whether the quantities are these, however they are written: the API server writes them its own way.
fn holds(observed: Option<&BTreeMap<String, Quantity>>, amounts: &Amounts) -> bool {
    let Some(observed) = observed else { return false };
    quantities(amounts).iter().all(|(name, wanted)| {
        observed.get(name).is_some_and(|seen| seen == wanted || amount(seen) == amount(wanted))
    })
}
