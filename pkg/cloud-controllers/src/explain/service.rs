//! What is shown of one Service.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::Explanation;
use provider::cns::{Exposure, ServiceKey};
use triton::grammar::cns::CnsService;
use triton::id::InstanceId;

use super::{pause, remark};
use crate::service::candidates::{self, candidates};
use crate::service::hosts::HostKind;
use crate::service::membership::Standing;
use crate::service::plan::{has_finalizer, hostname_of};
use crate::service::{Observed, Plan, Publication, StatusChange, entries, instance};

/// Shows what is known of a Service, its plan, and what that comes to for each instance: `instances` are the plans of all
/// that are concerned.
pub fn explain_service(
    key: &ServiceKey,
    observed: &Observed<'_>,
    plan: &Plan,
    instances: &BTreeMap<InstanceId, instance::Plan>,
) -> Explanation {
    let mut shown = Explanation::of("service", key.to_string());
    desired(&mut shown, observed, plan);
    facts(&mut shown, observed);
    shown.plan.extend(plan.status.iter().flat_map(status_steps));
    for (id, plan) in instances {
        let name = format!("{id}{}", node_of(observed, *id));
        shown.plan.extend(instance_step(&name, plan));
        shown.notes.extend(plan.notes.iter().map(remark));
    }
    shown.notes.splice(0..0, plan.notes.iter().map(remark));
    let again = instances.values().filter_map(|plan| plan.again).chain(plan.again).min();
    shown.again(pause(again, observed.now));
    shown
}

fn desired(shown: &mut Explanation, observed: &Observed<'_>, plan: &Plan) {
    let is_deleting = observed.service.metadata.deletion_timestamp.is_some();
    let exposure = match observed.exposure {
        _ if is_deleting => "no: it is being deleted",
        None => "no: it has another load balancer's class, or asks for none",
        Some(Exposure::LoadBalancer) => "yes, as a load balancer",
        Some(Exposure::Annotated) => "yes, by its annotation",
        Some(Exposure::Balanced) => "yes, behind load-balancer instances",
    };
    shown.desire("in CNS", exposure);
    match &observed.name {
        Ok(name) => shown.desire("name", *name),
        Err(note) => shown.desire("name", format!("none: {}", note.text)),
    }
    match &plan.publication {
        Publication::AsItIs => shown.desire("instances", "those that are in"),
        Publication::Withdrawn => shown.desire("instances", "none"),
        Publication::Members(members) if members.is_empty() => shown.desire("instances", "no machines"),
        Publication::Members(members) => {
            for (id, entries) in members {
                shown.desire(format!("instance {id}{}", node_of(observed, *id)), words(entries));
            }
        }
    }
}

fn facts(shown: &mut Explanation, observed: &Observed<'_>) {
    let service = observed.service;
    shown.observe("hostname", hostname_of(service).unwrap_or("none"));
    shown.observe("finalizer", if has_finalizer(service) { "there" } else { "none" });
    for (id, carrier) in observed.carriers {
        let kind = if carrier.is_pod { ", a pod's" } else { "" };
        let seen = if carrier.is_seen { "" } else { ", not shown yet" };
        let state = carrier.instance.state.as_str();
        let text = format!("{} ({state}{kind}{seen})", words(&carrier.entries));
        shown.observe(format!("instance {id}{}", node_of(observed, *id)), text);
    }
    for id in observed.leftovers {
        shown.observe(format!("instance {id}"), "still has a name that the Service had");
    }
    let current: BTreeSet<InstanceId> =
        observed.carriers.iter().filter(|(_, carrier)| !carrier.is_pod).map(|(id, _)| *id).collect();
    let scene = candidates::Observed {
        hosts: observed.hosts,
        backends: observed.backends,
        way: entries::way(service),
        current: &current,
    };
    for (id, standing) in candidates(&scene, |id| !observed.stopped.contains(&id)) {
        let standing = match standing {
            Standing::Serving => "serves the Service",
            Standing::Troubled => "seems to fail",
            Standing::Idle => "has nothing to serve the Service with",
            Standing::Draining => "is about to be emptied",
            Standing::Out => "is not to be in",
        };
        let name = node_of(observed, id);
        shown.observe(format!("machine {id}{name}"), standing);
    }
}

/// What is written to an instance; `None` for nothing.
pub(crate) fn instance_step(name: &str, plan: &instance::Plan) -> Option<String> {
    let set = plan.set.iter().map(|(key, value)| format!("{key}={value}"));
    let removed = plan.remove.iter().map(|key| format!("no {key}"));
    let tags: Vec<String> = set.chain(removed).collect();
    (!tags.is_empty()).then(|| format!("tag instance {name}: {}", tags.join("; ")))
}

/// What is written on a Service.
pub(crate) fn status_steps(change: &StatusChange) -> Vec<String> {
    let finalizer = change.finalizer.map(|wanted| match wanted {
        true => "add the finalizer".to_owned(),
        false => "remove the finalizer".to_owned(),
    });
    let hostname = change.hostname.as_deref().map(|hostname| match hostname {
        "" => "remove the hostname from the status".to_owned(),
        hostname => format!("write hostname {hostname} into the status"),
    });
    let condition = change
        .condition
        .as_ref()
        .map(|it| format!("write condition {}={} ({}): {}", it.type_, it.status, it.reason, it.message));
    let removes = change.removes_condition.then(|| "remove the condition".to_owned());
    [finalizer, hostname, condition, removes].into_iter().flatten().collect()
}

fn words(entries: &[CnsService]) -> String {
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The Node of a machine, in brackets; nothing where there is none.
fn node_of(observed: &Observed<'_>, id: InstanceId) -> String {
    let mut named = observed.hosts.iter().filter(|(_, host)| host.kind == HostKind::Machine(id));
    named.next().map(|(name, _)| format!(" (node {name})")).unwrap_or_default()
}
