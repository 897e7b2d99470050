//! What must be so when nothing goes wrong any more: exactly what Kubernetes wants is there.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use super::virtual_node::VirtualNode;

/// Whether there are so many pods, each with one instance, running, and no other instance; and the firewall rules of
/// their ports, and no other.
pub(super) fn is_exact(node: &VirtualNode, pods: usize) -> Result<(), String> {
    let now = node.pods_now();
    let mut uids: Vec<String> = now.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
    let truth = node.truth();
    let active = truth.iter().filter(|truth| truth.is_active);
    let mut instances: Vec<String> = active.map(|truth| truth.uid.clone()).collect();
    uids.sort();
    instances.sort();
    if uids.len() != pods || uids != instances {
        return Err(format!("{} of {pods} pods are there, and {} instances", uids.len(), instances.len()));
    }
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    if let Some(pod) = now.iter().find(|pod| phase(pod).as_deref() != Some("Running")) {
        return Err(format!("{:?} is {:?}", pod.metadata.name, phase(pod)));
    }
    let ports = now.iter().filter_map(|pod| {
        let container = pod.spec.as_ref()?.containers.first()?;
        Some(format!("tcp {}", container.ports.as_ref()?.first()?.container_port))
    });
    let ports: BTreeSet<String> = ports.collect();
    let mut rules = node.rules();
    rules.iter_mut().for_each(|rule| *rule = rule.rsplit(':').next().unwrap_or_default().to_owned());
    rules.sort();
    if !rules.iter().eq(&ports) {
        return Err(format!("the rules are {rules:?}, not {ports:?}"));
    }
    Ok(())
}

/// Nothing that happens here is the pods' fault, so none may ever have failed.
pub(super) fn never_failed(node: &VirtualNode) -> Result<(), String> {
    let seen = node.cluster.seen_in(&node.name);
    let wrong = seen.iter().find(|seen| seen.phases.iter().any(|it| it != "Pending" && it != "Running"));
    wrong.map_or(Ok(()), |seen| Err(format!("{:?}: {:?}", seen.phases, seen.pod)))
}
