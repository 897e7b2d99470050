//! What is shown of one Node.

use diagnostics::Explanation;
use k8s_openapi::api::core::v1::{Node, NodeAddress, Taint};
use triton::reflector::Proof;

use super::{pause, remark};
use crate::identity::{Evidence, Identity, is_uninitialized, provider_id};
use crate::instances::Known;
use crate::names::TAINT_UNINITIALIZED;
use crate::node::addresses::addresses;
use crate::node::labels::labels;
use crate::node::{Observed, Plan, Step};
use crate::node_lifecycle::{self, is_ready};

/// Shows what is known of a Node, and the plans of the two controllers that look after it: the one that initialises it
/// and the one that deletes it.
pub fn explain_node(
    name: &str,
    observed: &Observed<'_>,
    plan: &Plan,
    life: &node_lifecycle::Plan,
) -> Explanation {
    let mut shown = Explanation::of("node", name);
    desired(&mut shown, observed);
    facts(&mut shown, observed);
    shown.plan.extend(plan.steps.iter().filter_map(node_step));
    shown.plan.extend(life.step.iter().filter_map(life_step));
    shown.notes.extend(plan.notes.iter().chain(&life.notes).map(remark));
    shown.again(pause(plan.again.into_iter().chain(life.again).min(), observed.now));
    shown
}

fn desired(shown: &mut Explanation, observed: &Observed<'_>) {
    let (node, Known::Present(seen)) = (observed.node, observed.known) else { return };
    if observed.identity.instance().is_none() {
        return;
    }
    match addresses(node, &seen.instance, observed.networks) {
        Ok(found) => shown.desire("addresses", list(&found.list)),
        Err(_) => shown.desire("addresses", "not known: CloudAPI does not show which networks are public"),
    }
    for (key, value) in labels(&seen.instance, observed.place) {
        shown.desire(format!("label {key}"), value);
    }
}

fn facts(shown: &mut Explanation, observed: &Observed<'_>) {
    let node = observed.node;
    let identity = match observed.identity {
        Identity::Named(id) => format!("{id}, by its provider ID"),
        Identity::Found(id, Evidence::SystemUuid) => format!("{id}, by its system UUID"),
        Identity::Found(id, Evidence::Name) => format!("{id}, by its name and an address"),
        Identity::Unmatched(mismatch) => format!("none: {mismatch}"),
        Identity::Foreign => "none: it is a virtual node, or somebody else's".to_owned(),
    };
    shown.observe("instance", identity);
    match observed.known {
        Known::Present(seen) => {
            let doubted = if seen.doubted { ", but was not found of late" } else { "" };
            shown.observe("state", format!("{}{doubted}", seen.instance.state.as_str()));
        }
        Known::Gone { proof: Proof::Destroyed, .. } => shown.observe("state", "destroyed"),
        Known::Gone { proof: Proof::NotFound, .. } => shown.observe("state", "not found, again and again"),
        Known::Unknown if observed.identity.instance().is_some() => {
            shown.observe("state", "this account does not have it");
        }
        Known::Unknown => {}
    }
    let id = provider_id(node).map(|id| id.map_or_else(|error| error.to_string(), |id| id.to_string()));
    shown.observe("provider ID", id.unwrap_or_else(|| "none".to_owned()));
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    shown.observe("addresses", list(listed));
    shown.observe("ready", if is_ready(node) { "yes" } else { "no" });
    shown.observe("initialised", if is_uninitialized(node) { "no" } else { "yes" });
    shown.observe("taints", taints(taints_of(node)));
}

/// What is written on a Node by the one controller; `None` for what is only read.
pub(crate) fn node_step(step: &Step) -> Option<String> {
    match step {
        // Only reads.
        Step::LearnNetworks(_) | Step::Recheck(_) => None,
        Step::PatchStatus { addresses, condition } => {
            let addresses = addresses.as_ref().map(|addresses| format!("addresses {}", list(addresses)));
            let condition = condition.as_ref().map(|it| format!("condition {}={}", it.type_, it.status));
            let parts: Vec<String> = addresses.into_iter().chain(condition).collect();
            Some(format!("write into the status: {}", parts.join("; ")))
        }
        Step::PatchNode { labels, provider_id, taints: left } => {
            let id = provider_id.as_ref().map(|id| format!("provider ID {id}"));
            let labels = labels.iter().map(|(key, value)| format!("label {key}={value}"));
            let taint = left.as_ref().map(|_| format!("no taint {TAINT_UNINITIALIZED}"));
            let parts: Vec<String> = id.into_iter().chain(labels).chain(taint).collect();
            Some(format!("write into the Node: {}", parts.join("; ")))
        }
    }
}

/// What the other controller does with it; `None` for what is only read.
pub(crate) fn life_step(step: &node_lifecycle::Step) -> Option<String> {
    use node_lifecycle::Step;
    match step {
        // Only reads.
        Step::Read(_) | Step::Recheck(_) => None,
        Step::Delete(Proof::Destroyed) => Some("delete the Node: its instance is destroyed".to_owned()),
        Step::Delete(Proof::NotFound) => {
            Some("delete the Node: its instance is proved not to be there".to_owned())
        }
        Step::Taints(left) => Some(format!("write into the Node: taints {}", taints(left))),
    }
}

fn list(addresses: &[NodeAddress]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    addresses.iter().map(|it| format!("{} {}", it.type_, it.address)).collect::<Vec<_>>().join(", ")
}

fn taints_of(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn taints(taints: &[Taint]) -> String {
    if taints.is_empty() {
        return "none".to_owned();
    }
    taints.iter().map(|it| format!("{}:{}", it.key, it.effect)).collect::<Vec<_>>().join(", ")
}
