//! What the process would do now, for people to read before they let it. Pure.
//!
//! The controller makes the same plans as ever and hands them here instead of carrying them out: see
//! [`Controller::preview`](crate::controller::Controller::preview).

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use provider::owner::Owner;
use serde::Serialize;
use triton::id::InstanceId;
use triton::types::{InstanceAction, Metadata, Tags};

use crate::firewall::RuleStep;
use crate::lifecycle::{Plan, Step, recorded_instance};
use crate::node::plan::{Plan as NodePlan, Step as NodeStep};
use crate::pod::{PodKey, Refusal};

/// What is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Node.
    Node,
    /// A pod, or its instance.
    Pod,
    /// An instance of ours without a pod.
    Orphan,
    /// A firewall rule.
    Rule,
}

/// What would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Make it.
    Create,
    /// Take an instance that is there for the pod's, and write it into the pod's status.
    Adopt,
    /// Look for what a lost create may have made.
    Find,
    /// Start the instance, or reboot it.
    Restart,
    /// Stop the instance and leave it.
    Stop,
    /// Change it.
    Update,
    /// Delete the instance, the rule, or the pod object whose instance is gone.
    Delete,
    /// Read it again, because nothing is known for certain.
    Check,
    /// Write the status, and nothing else.
    Status,
    /// Make no instance, and say why.
    Refuse,
    /// Wait for something that has not been read.
    Wait,
}

/// One thing that would be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Intent {
    /// To what.
    pub kind: Kind,
    /// What.
    pub action: Action,
    /// The name: `namespace/name` of a pod.
    pub name: String,
    /// The instance, where there is one.
    pub instance: Option<InstanceId>,
    /// More, for people. No values of tags and metadata, which may be secret.
    pub detail: String,
}

/// All that would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What would be done, in the order in which it is shown.
    pub intents: Vec<Intent>,
    /// How many pods and nodes were looked at.
    pub seen: usize,
    /// How many of them would stay as they are.
    pub unchanged: usize,
    /// What could not be found out, one line each.
    pub unknown: Vec<String>,
}

impl Report {
    /// Adds what would be done to one pod or node: nothing, or some.
    pub fn add(&mut self, intents: Vec<Intent>) {
        self.seen += 1;
        self.unchanged += usize::from(intents.is_empty());
        self.intents.extend(intents);
    }

    /// For programs: an object with the fields of this type, on one line.
    ///
    /// # Errors
    ///
    /// None that can happen: all keys are texts.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| text + "\n")
    }
}

/// What would be written to a node.
pub fn of_node(name: &str, plan: &NodePlan) -> Vec<Intent> {
    let intent = |action, detail: &str| Intent {
        kind: Kind::Node,
        action,
        name: name.to_owned(),
        instance: None,
        detail: detail.to_owned(),
    };
    let refused = plan.refusal.as_deref().map(|why| intent(Action::Refuse, why));
    let steps = plan.steps.iter().map(|step| match step {
        NodeStep::Create(_) => intent(Action::Create, "the node and its lease"),
        NodeStep::PatchNode(_) => intent(Action::Update, "labels, annotations or taints"),
        NodeStep::PatchStatus(_) => intent(Action::Status, "conditions, addresses or capacity"),
    });
    steps.chain(refused).collect()
}

/// What would be done about a pod. `refusal` is why it can have no instance; `known` says whether everything that
/// decides about it has been read.
pub fn of_pod(key: &PodKey, pod: &Pod, plan: &Plan, refusal: Option<&Refusal>, known: bool) -> Vec<Intent> {
    let intent = |action, instance: Option<InstanceId>, detail: String| Intent {
        kind: Kind::Pod,
        action,
        name: key.to_string(),
        instance,
        detail,
    };
    let is_ending = pod.metadata.deletion_timestamp.is_some();
    let (main, recorded) = (plan.memory.instance(), recorded_instance(pod));
    let mut intents = Vec::new();
    if main.is_some() && main != recorded && !is_ending {
        intents.push(intent(Action::Adopt, main, "it has the pod's tags".to_owned()));
    }
    let mut changes = Vec::new();
    for step in &plan.steps {
        let (action, instance, detail) = match step {
            Step::Create(_) => {
                let creating = plan.notes.iter().find(|note| note.reason == "Creating");
                (Action::Create, None, creating.map(|note| note.message.clone()).unwrap_or_default())
            }
            Step::FindByName(name) => (Action::Find, None, format!("what a create of {name} may have made")),
            Step::Delete(id) if is_ending => {
                (Action::Delete, Some(*id), "the pod is being deleted".to_owned())
            }
            Step::Delete(id) => (Action::Delete, Some(*id), "it is not the pod's one".to_owned()),
            Step::PreStop(id) => (Action::Delete, Some(*id), "after its preStop hook".to_owned()),
            Step::RemovePod => (Action::Delete, recorded, "the pod object: nothing else is left".to_owned()),
            Step::Recheck(id) => (Action::Check, Some(*id), "whether it is there".to_owned()),
            Step::Act { id, action: InstanceAction::Start } => {
                (Action::Restart, Some(*id), "it has stopped by itself".to_owned())
            }
            Step::Act { id, action: InstanceAction::Reboot } => {
                (Action::Restart, Some(*id), "its probes fail".to_owned())
            }
            Step::Act { id, action: InstanceAction::Stop } if is_ending => {
                (Action::Delete, Some(*id), "after a stop: the pod is being deleted".to_owned())
            }
            Step::Act { id, action: InstanceAction::Stop } => {
                (Action::Stop, Some(*id), "the pod is over".to_owned())
            }
            Step::Act { id, action } => {
                changes.push((*id, action.as_str().to_owned()));
                continue;
            }
            Step::AddTags { id, tags } => {
                changes.push((*id, format!("tags {}", names(tags))));
                continue;
            }
            Step::RemoveTag { id, key } => {
                changes.push((*id, format!("no tag {key}")));
                continue;
            }
            Step::AddMetadata { id, metadata } => {
                changes.push((*id, format!("metadata {}", keys(metadata))));
                continue;
            }
            Step::RemoveMetadata { id, key } => {
                changes.push((*id, format!("no metadata {key}")));
                continue;
            }
        };
        intents.push(intent(action, instance, detail));
    }
    if let Some((id, _)) = changes.first() {
        let id = *id;
        let changes: Vec<String> = changes.into_iter().map(|(_, change)| change).collect();
        intents.push(intent(Action::Update, Some(id), changes.join("; ")));
    }
    if !intents.is_empty() {
        return intents;
    }
    if let Some(refusal) = refusal.filter(|_| main.is_none() && !is_ending) {
        return vec![intent(Action::Refuse, None, refusal.to_string())];
    }
    if let Some(status) = &plan.status {
        let shown = [status.phase.as_deref(), status.reason.as_deref()].into_iter().flatten();
        return vec![intent(Action::Status, main, shown.collect::<Vec<_>>().join(", "))];
    }
    if !known && main.is_none() && !is_ending {
        let detail = "for ConfigMaps, Secrets, packages, images or networks that could not be read";
        return vec![intent(Action::Wait, None, detail.to_owned())];
    }
    Vec::new()
}

/// An instance of ours without a pod, which goes when that stays so for `grace`.
pub fn of_orphan(id: InstanceId, owner: &Owner, grace: Duration) -> Intent {
    Intent {
        kind: Kind::Orphan,
        action: Action::Delete,
        name: format!("{}/{}", owner.namespace, owner.pod),
        instance: Some(id),
        detail: format!("there is no such pod; it goes when that stays so for {grace:?}"),
    }
}

/// What would be done to a firewall rule.
pub fn of_rule(step: &RuleStep) -> Intent {
    let (action, name, detail) = match step {
        RuleStep::Create { key, rule } => (Action::Create, key.as_str().to_owned(), rule.to_string()),
        RuleStep::Update { id, rule } => (Action::Update, id.to_string(), rule.to_string()),
        RuleStep::Enable(id) => (Action::Update, id.to_string(), "enabled".to_owned()),
        RuleStep::Delete(id) => {
            (Action::Delete, id.to_string(), "it goes when nothing needs it for a while".to_owned())
        }
    };
    Intent { kind: Kind::Rule, action, name, instance: None, detail }
}

fn names(tags: &Tags) -> String {
    tags.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn keys(metadata: &Metadata) -> String {
    metadata.keys().collect::<Vec<_>>().join(", ")
}

impl Kind {
    /// For the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Pod => "pod",
            Self::Orphan => "orphan",
            Self::Rule => "rule",
        }
    }
}

impl Action {
    /// For the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Find => "find",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Check => "check",
            Self::Status => "status",
            Self::Refuse => "refuse",
            Self::Wait => "wait",
        }
    }
}

/// A table, then what could not be found out, then the sums.
impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 5]> = self.intents.iter().map(row).collect();
        let header = ["WHAT", "ACTION", "NAME", "INSTANCE", "DETAIL"].map(str::to_owned);
        let width = |column: usize| {
            let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths = [0, 1, 2, 3].map(width);
        if !rows.is_empty() {
            for row in [&header].into_iter().chain(&rows) {
                let mut line = String::new();
                for (cell, width) in row.iter().zip(widths) {
                    write!(line, "{cell:width$}  ")?;
                }
                let [.., detail] = row;
                writeln!(f, "{}", format!("{line}{detail}").trim_end())?;
            }
        }
        for unknown in &self.unknown {
            writeln!(f, "unknown: {unknown}")?;
        }
        let Self { seen, unchanged, .. } = self;
        writeln!(f, "{unchanged} of {seen} nodes and pods stay as they are; nothing was written.")
    }
}

fn row(intent: &Intent) -> [String; 5] {
    let instance = intent.instance.map_or_else(|| "-".to_owned(), |id| id.to_string());
    // One line each, whatever somebody wrote into a name or a message.
    let detail = intent.detail.split_whitespace().collect::<Vec<_>>().join(" ");
    [
        intent.kind.as_str().to_owned(),
        intent.action.as_str().to_owned(),
        intent.name.clone(),
        instance,
        detail,
    ]
}

#[cfg(test)]
mod tests;
