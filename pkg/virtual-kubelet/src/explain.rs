//! What operators are shown of one pod: the plan that would be carried out, and what it is made of. Pure.
//!
//! No values of the environment, of tags and of metadata, which may be secret.

use std::sync::Arc;
use std::time::Duration;

use diagnostics::{Explanation, Remark};
use k8s_openapi::api::core::v1::Pod;
use runtime::events::Severity;
use triton::reflector::Entry;

use crate::dry_run::{Action, Intent};
use crate::lifecycle::{Plan, recorded_instance};
use crate::pod::{Desired, PodKey, Refusal};

/// Shows what is known of a pod, and its plan as `intents`. `desired` is `None` while something that decides about it has
/// not been read; `instances` are those that stand for it.
pub fn of_pod(
    key: &PodKey,
    pod: &Pod,
    desired: Option<&Result<Desired, Refusal>>,
    instances: &[Arc<Entry>],
    plan: &Plan,
    intents: &[Intent],
) -> Explanation {
    let mut shown = Explanation::of("pod", format!("{}/{}", key.namespace, key.name));
    match desired {
        None => shown.desire("instance", "not known: something that decides about it has not been read"),
        Some(Err(refusal)) => shown.desire("instance", format!("none: {refusal}")),
        Some(Ok(desired)) => wish(&mut shown, desired),
    }
    let status = pod.status.as_ref();
    shown.observe("phase", status.and_then(|it| it.phase.as_deref()).unwrap_or("none"));
    if let Some(reason) = status.and_then(|it| it.reason.as_deref()) {
        shown.observe("reason", reason);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        shown.observe("deletion", "under way");
    }
    let recorded = recorded_instance(pod);
    shown.observe("recorded instance", recorded.map_or_else(|| "none".to_owned(), |id| id.to_string()));
    for entry in instances {
        let instance = entry.observed();
        let doubted = if entry.doubt().is_some() { ", but not found of late" } else { "" };
        let ip = instance.primary_ip.map(|ip| format!(", {ip}")).unwrap_or_default();
        let value = format!("{}, {}{ip}{doubted}", instance.name, instance.state.as_str());
        shown.observe(format!("instance {}", entry.id()), value);
    }
    for intent in intents {
        let instance = intent.instance.map(|id| format!(" instance {id}")).unwrap_or_default();
        match intent.action {
            // Only reads.
            Action::Check => {}
            Action::Refuse => {
                shown.notes.push(Remark::new(Severity::Warning, "Refused", intent.detail.clone()));
            }
            Action::Wait => shown.notes.push(Remark::new(
                Severity::Warning,
                "Waiting",
                format!("it waits {}", intent.detail),
            )),
            action => shown.plan.push(format!("{}{instance}: {}", action.as_str(), intent.detail)),
        }
    }
    for note in &plan.notes {
        shown.notes.push(Remark::new(note.severity, note.reason, note.message.clone()));
    }
    let again = plan.again.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
    shown.again(again.filter(|pause| *pause > Duration::ZERO));
    shown
}

fn wish(shown: &mut Explanation, desired: &Desired) {
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    shown.desire("instance", desired.demand.instance_name.clone());
    shown.desire("image", format!("{} {} ({})", desired.image.name, desired.image.version, desired.image.id));
    shown.desire("package", desired.package.name.to_string());
    shown.desire("networks", list(desired.networks.iter().map(ToString::to_string).collect()));
    shown.desire("affinity", list(desired.demand.affinity.clone()));
    shown.desire("tags", list(desired.request.tags.keys().cloned().collect()));
    shown.desire("metadata", list(desired.request.metadata.keys().map(str::to_owned).collect()));
    let word = |on: bool| if on { "yes" } else { "no" };
    shown.desire("firewall", word(desired.request.firewall_enabled == Some(true)));
    shown.desire("deletion protection", word(desired.demand.deletion_protection));
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use triton::id::InstanceId;
    use uuid::Uuid;

    use super::*;
    use crate::dry_run::Kind;
    use crate::lifecycle::Note;
    use crate::pod::RefusalReason;

    /// Columns are as wide as their widest cell.
    fn squeezed(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn intent(action: Action, detail: &str) -> Intent {
        let instance = Some(InstanceId::from(Uuid::from_u128(1)));
        let (name, detail) = ("default/web".to_owned(), detail.to_owned());
        Intent { kind: Kind::Pod, action, name, instance, detail }
    }

    #[test]
    fn what_is_done_is_a_step_and_what_is_in_the_way_is_a_warning() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"namespace": "default", "name": "web", "uid": "u"},
            "status": {"phase": "Pending", "reason": "Because"},
        }))
        .unwrap();
        let key = PodKey::of(&pod).unwrap();
        let refusal = Err(Refusal {
            field: "metadata.annotations[package]".to_owned(),
            reason: RefusalReason::Package,
            message: "no such package".to_owned(),
        });
        let note = Note { severity: Severity::Normal, reason: "Creating", message: "soon".to_owned() };
        let plan = Plan { notes: vec![note], ..Plan::default() };
        let intents = [
            intent(Action::Restart, "it has stopped"),
            intent(Action::Check, "whether it is there"),
            intent(Action::Refuse, "no such package"),
            intent(Action::Wait, "for a Secret"),
        ];
        let shown = of_pod(&key, &pod, Some(&refusal), &[], &plan, &intents);
        let text = shown.to_string();
        for line in [
            "pod/default/web",
            "  instance:  none: metadata.annotations[package]: no such package",
            "  phase:              Pending",
            "  reason:             Because",
            "  1. restart instance 00000000-0000-0000-0000-000000000001: it has stopped",
            "  Warning  Refused: no such package",
            "  Warning  Waiting: it waits for a Secret",
            "  Normal   Creating: soon",
        ] {
            assert!(text.lines().any(|it| squeezed(it) == squeezed(line)), "{line} is not in\n{text}");
        }
        assert_eq!((shown.plan.len(), shown.warnings()), (1, 2));
        let unknown = of_pod(&key, &pod, None, &[], &Plan::default(), &[]);
        assert!(unknown.to_string().contains("has not been read") && unknown.is_settled());
    }
}
