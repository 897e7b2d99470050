//! What to write so that the node is as it should be. Pure.
//!
//! Only our own labels, taints, conditions and figures are compared and written; what others put on the node survives:
//! labels and conditions because the patches do not name them, taints, which the API can only write all together,
//! because the patch carries them along with the resource version that they were read at. What we have applied
//! is noted in an annotation, so that what is no longer wanted goes, and only that.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Taint};
use provider::names::{PREFIX, annotation};
use runtime::events::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::desired::{Desired, Readiness, TYPE, VERSION_MARK};
use super::status;
use crate::lifecycle::Note;

/// The status is written at least so often, as by any kubelet that has a lease (`nodeStatusReportFrequency`).
pub const STATUS_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// One write. Each is harmless when it is done already.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make the node.
    Create(Box<Node>),
    /// Change labels, annotations and taints: a strategic merge patch.
    PatchNode(Value),
    /// Change the status: a strategic merge patch.
    PatchStatus(Value),
}

/// What to do now. All steps are tried; they do not depend on each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What to write.
    pub steps: Vec<Step>,
    /// Events on the node, to be told when all steps are done.
    pub notes: Vec<Note>,
    /// The node of this name is somebody else's: why nothing is written.
    pub refusal: Option<String>,
}

/// What we have applied to a node, as its annotation says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Applied {
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taints: Vec<AppliedTaint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AppliedTaint {
    key: String,
    effect: String,
}

/// Compares the node with what it should be. `observed` is `None` when there is no node.
pub fn plan(desired: &Desired, observed: Option<&Node>, now: Timestamp) -> Plan {
    let Some(node) = observed else { return create(desired, now) };
    if let Some(refusal) = refusal(node) {
        return Plan { refusal: Some(refusal), ..Plan::default() };
    }
    let patches = [
        metadata_patch(desired, node).map(Step::PatchNode),
        status::patch(desired, node.status.as_ref(), now).map(Step::PatchStatus),
    ];
    Plan {
        steps: patches.into_iter().flatten().collect(),
        notes: readiness_note(desired, Some(node)).into_iter().collect(),
        refusal: None,
    }
}

fn create(desired: &Desired, now: Timestamp) -> Plan {
    let mut node = Node::default();
    node.metadata.name = Some(desired.name.clone());
    node.metadata.labels = Some(desired.labels.clone());
    node.metadata.annotations = Some([(applied_key(), applied(desired))].into());
    node.spec = Some(k8s_openapi::api::core::v1::NodeSpec {
        taints: Some(desired.taints.clone()).filter(|taints| !taints.is_empty()),
        ..Default::default()
    });
    node.status = Some(status::new(desired, now));
    let message = format!("There is no node {}: making it", desired.name);
    let note = Note { severity: Severity::Normal, reason: "Registering", message };
    let notes = [Some(note), readiness_note(desired, None)].into_iter().flatten().collect();
    Plan { steps: vec![Step::Create(Box::new(node))], notes, refusal: None }
}

/// Why this node cannot be ours: some kubelet that is not virtual has reported there.
pub(super) fn refusal(node: &Node) -> Option<String> {
    let virtual_label = node.metadata.labels.as_ref().and_then(|labels| labels.get(TYPE.0));
    let noted = node.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(&applied_key()));
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let version = info.map_or("", |info| info.kubelet_version.as_str());
    let ours = noted || virtual_label.is_some_and(|value| value == TYPE.1);
    let free = version.is_empty() || version.contains(VERSION_MARK);
    (!ours && !free).then(|| {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        format!("node {name} is that of a kubelet of version {version}; choose another name with --nodename")
    })
}

fn applied_key() -> String {
    format!("{PREFIX}{}", annotation::NODE_APPLIED)
}

/// The annotation's text. Serialising two lists of strings cannot fail.
fn applied(desired: &Desired) -> String {
    let taint = |taint: &Taint| AppliedTaint { key: taint.key.clone(), effect: taint.effect.clone() };
    let applied = Applied {
        labels: desired.labels.keys().cloned().collect(),
        taints: desired.taints.iter().map(taint).collect(),
    };
    serde_json::to_string(&applied).unwrap_or_default()
}

fn metadata_patch(desired: &Desired, node: &Node) -> Option<Value> {
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let noted = node.metadata.annotations.as_ref().and_then(|all| all.get(&applied_key()));
    // What cannot be read was not written by us.
    let before: Applied = noted.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();

    let mut changed = Map::new();
    for (key, value) in desired.labels.iter().filter(|(key, value)| labels.get(*key) != Some(*value)) {
        changed.insert(key.clone(), json!(value));
    }
    let kept =
        |key: &String| desired.labels.contains_key(key) || desired.unknown_labels.contains(&key.as_str());
    for key in before.labels.iter().filter(|key| labels.contains_key(*key) && !kept(key)) {
        changed.insert(key.clone(), Value::Null);
    }

    let mut metadata = Map::new();
    if !changed.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(changed));
    }
    let now_applied = applied(desired);
    if noted != Some(&now_applied) {
        metadata.insert("annotations".to_owned(), json!({ applied_key(): now_applied }));
    }
    let observed = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let taints = taints(&observed, &desired.taints, &before.taints);
    let mut patch = Map::new();
    if taints != observed {
        metadata.insert("resourceVersion".to_owned(), json!(node.metadata.resource_version));
        patch.insert("spec".to_owned(), json!({ "taints": taints }));
    }
    if metadata.is_empty() {
        return None;
    }
    patch.insert("metadata".to_owned(), Value::Object(metadata));
    Some(Value::Object(patch))
}

/// All taints: those of others as they are, and ours.
fn taints(observed: &[Taint], ours: &[Taint], before: &[AppliedTaint]) -> Vec<Taint> {
    let same = |taint: &Taint, ours: &Taint| taint.key == ours.key && taint.effect == ours.effect;
    let outdated = |taint: &Taint| {
        before.iter().any(|it| taint.key == it.key && taint.effect == it.effect)
            && !ours.iter().any(|ours| same(taint, ours))
    };
    let mut taints: Vec<Taint> = observed.iter().filter(|taint| !outdated(taint)).cloned().collect();
    for ours in ours {
        match taints.iter_mut().find(|taint| same(taint, ours)) {
            Some(taint) => taint.value.clone_from(&ours.value),
            None => taints.push(ours.clone()),
        }
    }
    taints
}

/// What to say when the Ready condition changes.
fn readiness_note(desired: &Desired, node: Option<&Node>) -> Option<Note> {
    let was = status::ready_status(node.and_then(|node| node.status.as_ref()));
    match &desired.readiness {
        Readiness::Ready if was != Some("True") => {
            let message = format!("Node {} status is now: NodeReady", desired.name);
            Some(Note { severity: Severity::Normal, reason: "NodeReady", message })
        }
        Readiness::Unreachable { message } if was != Some("False") => {
            let message = format!("Node {} status is now: NodeNotReady: {message}", desired.name);
            Some(Note { severity: Severity::Warning, reason: "NodeNotReady", message })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
