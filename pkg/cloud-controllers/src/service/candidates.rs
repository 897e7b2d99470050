//! How each node stands towards one Service. Pure.

use std::collections::{BTreeMap, BTreeSet};

use triton::id::InstanceId;

use super::backends::{Backends, Serving};
use super::hosts::{Host, HostKind, HostState, Hosts};
use super::membership::Standing;

/// By which way clients reach a Service's pods at a node's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By node ports, from which every node passes on to all endpoints: `externalTrafficPolicy: Cluster`.
    AnyNode,
    /// By node ports, from which a node passes on to its own endpoints: `externalTrafficPolicy: Local`.
    OwnNode,
    /// By the ports of pods that are in the host's network: the Service has no node ports.
    HostNetwork,
}

/// Everything that says how nodes stand towards a Service.
#[derive(Debug)]
pub struct Observed<'a> {
    /// All Nodes.
    pub hosts: &'a Hosts,
    /// The Service's endpoints.
    pub backends: &'a Backends,
    /// How they are reached.
    pub way: Way,
    /// The nodes that are in the Service now.
    pub current: &'a BTreeSet<InstanceId>,
}

/// How each machine stands, those that are in without having a Node any more among them. `is_running` tells what Triton
/// says of a machine.
pub fn candidates(
    observed: &Observed<'_>,
    is_running: impl Fn(InstanceId) -> bool,
) -> BTreeMap<InstanceId, Standing> {
    let mut candidates = BTreeMap::new();
    let scene = Scene::of(observed);
    for (name, host) in observed.hosts {
        let HostKind::Machine(id) = host.kind else { continue };
        let standing = match host.state {
            HostState::Unusable => Standing::Out,
            // Triton says so, which is no loss of sight; CNS does not answer with it either.
            _ if !is_running(id) => Standing::Out,
            HostState::Cordoned => Standing::Draining,
            HostState::NotReady if scene.of_node(name, host) == Standing::Out => Standing::Out,
            HostState::NotReady => Standing::Troubled,
            HostState::Ready => scene.of_node(name, host),
        };
        // Where two Nodes are one machine, the better one counts.
        let best = candidates.entry(id).or_insert(standing);
        *best = standing.min(*best);
    }
    for id in observed.current {
        // Its Node is gone. That may be the control plane's loss of all Nodes.
        let vanished = if is_running(*id) { Standing::Troubled } else { Standing::Out };
        candidates.entry(*id).or_insert(vanished);
    }
    candidates
}

/// What is true of all nodes together.
struct Scene<'a> {
    observed: &'a Observed<'a>,
    /// The best of all endpoints that machines are to serve.
    ordinary: Serving,
    /// The best of all endpoints that are instances.
    instances: Serving,
    /// The best in the host's network of a machine.
    in_host_network: Serving,
}

impl<'a> Scene<'a> {
    fn of(observed: &'a Observed<'a>) -> Self {
        let is_virtual =
            |name: &str| observed.hosts.get(name).is_some_and(|host| host.kind == HostKind::Virtual);
        let hosts = observed.hosts.iter().filter(|(_, host)| matches!(host.kind, HostKind::Machine(_)));
        let in_host_network = hosts.map(|(name, host)| host_network(observed.backends, name, host));
        Self {
            observed,
            ordinary: observed.backends.best(|name| !is_virtual(name)),
            instances: observed.backends.best(is_virtual),
            in_host_network: in_host_network.max().unwrap_or_default(),
        }
    }

    /// How a node stands by the endpoints alone.
    fn of_node(&self, name: &str, host: &Host) -> Standing {
        let backends = self.observed.backends;
        let (here, best) = match self.observed.way {
            Way::AnyNode if self.ordinary > Serving::None => return Standing::Serving,
            Way::AnyNode => (Serving::None, Serving::None),
            Way::OwnNode => (backends.on(name).map_or(Serving::None, |here| here.state), self.ordinary),
            Way::HostNetwork => (host_network(backends, name, host), self.in_host_network),
        };
        match here {
            Serving::Ready => Standing::Serving,
            // They serve when nobody else does.
            Serving::Ending if best == Serving::Ending => Standing::Serving,
            Serving::Ending => Standing::Idle,
            Serving::Unready => Standing::Troubled,
            // All that serves is instances, which are in CNS themselves.
            Serving::None if best == Serving::None && self.instances == Serving::Ready => Standing::Out,
            Serving::None => Standing::Idle,
        }
    }
}

/// How the endpoints serve that are in the host's network on a Node: they have its addresses.
fn host_network(backends: &Backends, name: &str, host: &Host) -> Serving {
    let here = backends.on(name).map(|here| &here.addresses);
    let own = here.into_iter().flatten().filter(|(address, _)| host.addresses.contains(address));
    own.map(|(_, serving)| *serving).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn id(number: u8) -> InstanceId {
        Uuid::from_u128(u128::from(number)).into()
    }

    /// Machines 1, 2, … as `m1`, … with these states, and a virtual node. Machine 9 is stopped.
    fn hosts(states: &[HostState]) -> Hosts {
        let numbered = (1_u8..).zip(states);
        let mut hosts: Hosts = numbered
            .map(|(number, state)| {
                let addresses = vec![format!("10.0.0.{number}").parse().unwrap()];
                let kind = HostKind::Machine(id(number));
                (Arc::from(format!("m{number}")), Host { kind, state: *state, addresses })
            })
            .collect();
        let instances = Host { kind: HostKind::Virtual, state: Ready, addresses: Vec::new() };
        hosts.insert("virtual".into(), instances);
        hosts
    }

    /// Endpoints as `node` or `node:r` ready, `node:u` unready, `node:e` ending, `node:h` ready in the host's network.
    fn backends(text: &str) -> Backends {
        let endpoint = |word: &str| {
            let (node, how) = word.split_once(':').unwrap_or((word, "r"));
            let conditions =
                json!({"ready": how == "r" || how == "h", "serving": how != "u", "terminating": how == "e"});
            let address = match (how, node.strip_prefix('m')) {
                ("h", Some(number)) => format!("10.0.0.{number}"),
                _ => "10.1.0.1".to_owned(),
            };
            let node = Some(node).filter(|node| *node != "none");
            json!({"addresses": [address], "nodeName": node, "conditions": conditions})
        };
        let endpoints: Vec<_> = text.split_whitespace().map(endpoint).collect();
        let slice = json!({"addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 80}]});
        Backends::read(&[serde_json::from_value(slice).unwrap()])
    }

    fn stand(way: Way, states: &[HostState], endpoints: &str, current: &[u8]) -> Vec<Standing> {
        let (hosts, backends) = (hosts(states), backends(endpoints));
        let current = current.iter().copied().map(id).collect();
        let observed = Observed { hosts: &hosts, backends: &backends, way, current: &current };
        candidates(&observed, |it| it != id(9)).into_values().collect()
    }

    use HostState::{Cordoned, NotReady, Ready, Unusable};
    use Standing::{Draining, Idle, Out, Serving as In, Troubled};

    #[rstest]
    #[case::any_endpoint_is_reached_from_everywhere(Way::AnyNode, "m1", &[In, In, In])]
    #[case::ready_or_not(Way::AnyNode, "m1:u", &[In, In, In])]
    #[case::made_by_hand(Way::AnyNode, "none", &[In, In, In])]
    #[case::no_endpoints(Way::AnyNode, "", &[Idle, Idle, Idle])]
    #[case::instances_only(Way::AnyNode, "virtual", &[Out, Out, Out])]
    #[case::instances_that_are_not_ready(Way::AnyNode, "virtual:u", &[Idle, Idle, Idle])]
    #[case::instances_beside_others(Way::AnyNode, "virtual m1", &[In, In, In])]
    #[case::own_endpoints(Way::OwnNode, "m1 m2:u", &[In, Troubled, Idle])]
    #[case::two_on_one(Way::OwnNode, "m1 m1:u m2:e m2", &[In, In, Idle])]
    #[case::an_ending_one_beside_a_ready_one(Way::OwnNode, "m1 m2:e", &[In, Idle, Idle])]
    #[case::only_ending_ones(Way::OwnNode, "m1:e m2:u", &[In, Troubled, Idle])]
    #[case::own_instances_only(Way::OwnNode, "virtual", &[Out, Out, Out])]
    #[case::none_of_its_own(Way::OwnNode, "", &[Idle, Idle, Idle])]
    #[case::in_the_hosts_network(Way::HostNetwork, "m1:h m2", &[In, Idle, Idle])]
    #[case::not_in_the_hosts_network(Way::HostNetwork, "m1 m2", &[Idle, Idle, Idle])]
    #[case::instances_have_no_hosts_network(Way::HostNetwork, "virtual", &[Out, Out, Out])]
    fn endpoints_say_who_serves(#[case] way: Way, #[case] endpoints: &str, #[case] expected: &[Standing]) {
        assert_eq!(stand(way, &[Ready; 3], endpoints, &[]), expected);
    }

    #[rstest]
    #[case(Way::AnyNode, "m1", &[In, Troubled, Draining, Out])]
    #[case(Way::AnyNode, "", &[Idle, Troubled, Draining, Out])]
    #[case(Way::OwnNode, "m1 m2 m3 m4", &[In, Troubled, Draining, Out])]
    #[case(Way::AnyNode, "virtual", &[Out, Out, Draining, Out])]
    fn the_state_of_a_node_goes_before_its_endpoints(
        #[case] way: Way,
        #[case] endpoints: &str,
        #[case] expected: &[Standing],
    ) {
        assert_eq!(stand(way, &[Ready, NotReady, Cordoned, Unusable], endpoints, &[]), expected);
    }

    #[rstest]
    #[case::ready(Ready)]
    #[case::not_ready(NotReady)]
    #[case::cordoned(Cordoned)]
    fn a_node_whose_machine_is_stopped_is_out(#[case] state: HostState) {
        let mut states = [Ready; 9];
        states[8] = state;
        assert_eq!(stand(Way::AnyNode, &states, "m1", &[])[8], Out);
    }

    #[test]
    fn machines_without_a_node_are_lost_from_sight_unless_triton_has_stopped_them() {
        assert_eq!(stand(Way::AnyNode, &[Ready], "m1", &[1, 5, 9]), [In, Troubled, Out]);
        assert_eq!(stand(Way::AnyNode, &[], "", &[1, 2]), [Troubled, Troubled]);
    }
}
