//! What must have been so at every moment of a life. Pure, but for looking at the data centre.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Service};
use serde_json::Value;
use triton_sim::Simulator;

use super::phase::Phase;

/// What a data centre is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scene {
    /// What went on.
    pub(super) phase: &'static str,
    /// The tags of each machine that is there, by its name.
    pub(super) tags: BTreeMap<String, BTreeMap<String, String>>,
    /// The routes of the fabric network.
    pub(super) routes: BTreeMap<String, String>,
}

/// The phase of a scene that somebody saw when the Service had just vanished.
pub(super) const GONE: &str = "the Service is gone";

pub(super) fn scene(simulator: &Simulator, phase: &'static str) -> Scene {
    let (owner, fabric) = (simulator.ids().acme, simulator.ids().fabric);
    simulator.control().read(|world| {
        let machines = world.machines().filter(|machine| machine.owner == owner && machine.is_active());
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let tags = machines.map(|machine| {
            let tags = machine.tags.iter().map(|(key, value)| (key.clone(), text(value))).collect();
            (machine.name.clone(), tags)
        });
        let tags = tags.collect();
        let routes = world.network_by_id(fabric).map(|network| network.routes.clone()).unwrap_or_default();
        Scene { phase, tags, routes }
    })
}

impl Scene {
    fn tag(&self, machine: &str, key: &str) -> &str {
        self.tags.get(machine).and_then(|tags| tags.get(key)).map_or("", String::as_str)
    }

    /// The names of CNS services that a machine carries.
    fn names(&self, machine: &str) -> Vec<&str> {
        let entries = self.tag(machine, "triton.cns.services").split(',');
        entries.filter_map(|entry| entry.split(':').next()).filter(|name| !name.is_empty()).collect()
    }
}

/// What a life's objects are called and what of it is others'.
pub(super) struct Facts<'a> {
    /// The CNS names of the Service: at first, and in the end.
    pub(super) names: [&'a str; 2],
    /// Tags and routes of the others, as they were at the start.
    pub(super) start: &'a Scene,
}

/// What is wrong with a state of the data centre: somebody else's is changed, or something of ours is missing that nobody
/// asked to go.
pub(super) fn wrong_scene(scene: &Scene, facts: &Facts<'_>) -> Option<String> {
    let [first, last] = facts.names;
    let start = facts.start;
    for (key, value) in &start.routes {
        if scene.routes.get(key) != Some(value) {
            return Some(format!("the foreign route {key} is {:?}", scene.routes.get(key)));
        }
    }
    if scene.tags.get("c") != start.tags.get("c") {
        return Some("the tags of a machine that is no Node have changed".to_owned());
    }
    if scene.tags.contains_key("a") {
        let is_kept = |key| {
            let (now, before) = (scene.tag("a", key), start.tag("a", key));
            now == before || now.strip_prefix(before).is_some_and(|more| more.starts_with(','))
        };
        let keys = ["role", "triton.cns.services", "triton.cmon.groups"];
        if let Some(key) = keys.into_iter().find(|key| !is_kept(key)) {
            return Some(format!("the foreign tag {key} of machine a is {:?}", scene.tag("a", key)));
        }
    }
    if scene.phase == GONE {
        let carried = ["a", "b"].into_iter().flat_map(|machine| scene.names(machine));
        let left: Vec<&str> = carried.filter(|name| facts.names.contains(name)).collect();
        return (!left.is_empty()).then(|| format!("the finalizer went while {left:?} were carried"));
    }
    let phase = Phase::named(scene.phase)?;
    let carries = |name: &str| scene.names("b").contains(&name);
    let lasts = |from: Phase, until: Phase| from < phase && phase < until;
    if lasts(Phase::Rename, Phase::Unserve) && !carries(last) {
        return Some("machine b has left the Service".to_owned());
    }
    if phase == Phase::Rename && !carries(first) && !carries(last) {
        return Some("machine b is in the Service under neither name".to_owned());
    }
    let groups = |machine: &str| scene.tag(machine, "triton.cmon.groups").ends_with("k8s-kubernetes");
    let routed = |cidr: &str| scene.routes.contains_key(cidr);
    for (machine, cidr, from, until) in
        [("b", CIDRS[1], Phase::JoinB, None), ("a", CIDRS[0], Phase::JoinA, Some(Phase::Destroy))]
    {
        let lasts = from < phase && until.is_none_or(|until| phase < until);
        if lasts && !(groups(machine) && routed(cidr)) {
            return Some(format!("machine {machine} has lost its CMON group or its route"));
        }
    }
    None
}

/// The addresses for the pods of Node `a` and of Node `b`.
pub(super) const CIDRS: [&str; 2] = ["10.244.1.0/24", "10.244.2.0/24"];

/// What is wrong with the states of a Node, in their order. Only one whose machine was destroyed may be gone, and then for
/// good.
pub(super) fn wrong_node(history: &[Option<Node>], is_destroyed: bool) -> Option<String> {
    let gone = history.iter().filter(|state| state.is_none()).count();
    if gone != usize::from(is_destroyed) || (is_destroyed && history.last().is_some_and(Option::is_some)) {
        return Some(format!("the Node was deleted {gone} times"));
    }
    let mut provider_id: Option<String> = None;
    let (mut initialised, mut shut, mut changes) = (false, false, 0);
    for node in history.iter().flatten() {
        let spec = node.spec.clone().unwrap_or_default();
        let taints = spec.taints.unwrap_or_default();
        let has = |name: &str| {
            taints.iter().any(|taint| taint.key == format!("node.cloudprovider.kubernetes.io/{name}"))
        };
        let addresses = node.status.as_ref().and_then(|status| status.addresses.as_ref());
        let addresses = addresses.map_or(0, Vec::len);
        if !has("uninitialized") && addresses < 3 {
            return Some(format!("the Node was initialised with {addresses} addresses"));
        }
        if initialised && (has("uninitialized") || spec.provider_id.is_none()) {
            return Some("the Node was initialised and then not".to_owned());
        }
        initialised |= !has("uninitialized");
        if provider_id.is_some() && provider_id != spec.provider_id {
            return Some(format!("the provider ID became {:?}", spec.provider_id));
        }
        provider_id = spec.provider_id;
        changes += u32::from(has("shutdown") != shut);
        shut = has("shutdown");
    }
    // Once there and back; and once more there, while the machine is being destroyed.
    (changes > 3).then(|| format!("the shutdown taint came and went {changes} times"))
}

/// What is said of a Service that goes as it should.
const REASONS: [&str; 3] = ["Pending", "Published", "Leaving"];

/// What is wrong with the states of the Service: between the finalizer and the deletion it keeps both finalizer and
/// hostname, and nobody is sent to mend what is not broken.
pub(super) fn wrong_service(history: &[Option<Service>]) -> Option<String> {
    let (mut guarded, mut named) = (false, false);
    for service in history.iter().flatten() {
        let conditions = service.status.as_ref().and_then(|status| status.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        if let Some(odd) = conditions.find(|condition| !REASONS.contains(&condition.reason.as_str())) {
            return Some(format!("the Service was called {}: {}", odd.reason, odd.message));
        }
        if service.metadata.deletion_timestamp.is_some() {
            break;
        }
        let is_guarded = service.metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty());
        let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let is_named = balancer.is_some_and(|it| it.ingress.as_ref().is_some_and(|all| !all.is_empty()));
        if (guarded && !is_guarded) || (named && !is_named) || (is_named && !is_guarded) {
            return Some(format!("finalizer {guarded} -> {is_guarded}, hostname {named} -> {is_named}"));
        }
        (guarded, named) = (is_guarded, is_named);
    }
    None
}
