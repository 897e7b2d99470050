//! The endpoints of a Service, as far as they decide which nodes serve it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// The endpoints of one Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backends {
    /// By the name of their Node; those without a Node are under the empty name.
    by_node: BTreeMap<Box<str>, Here>,
}

/// The endpoints on one Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Here {
    /// What they all are together.
    pub state: Serving,
    /// The same of those that have an address each, by which pods in the host's network are told.
    pub addresses: BTreeMap<IpAddr, Serving>,
    /// The ports of endpoints by address: number, and whether it is TCP.
    pub ports: BTreeMap<IpAddr, BTreeSet<(u16, bool)>>,
}

/// How endpoints serve, the best of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serving {
    /// There is none.
    #[default]
    None,
    /// There are some, none of which is ready.
    Unready,
    /// Some are ready but about to end. They serve where nobody else does, as with kube-proxy.
    Ending,
    /// Some are ready.
    Ready,
}

impl Backends {
    /// Reads the slices of a Service. Slices of names lead to no node and are passed over.
    pub fn read<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Self {
        let mut backends = Self::default();
        for slice in slices.into_iter().filter(|slice| slice.address_type != "FQDN") {
            let ports: BTreeSet<(u16, bool)> = slice.ports.iter().flatten().filter_map(port).collect();
            for endpoint in &slice.endpoints {
                let node = endpoint.node_name.as_deref().unwrap_or_default();
                let here = backends.by_node.entry(node.into()).or_default();
                let serving = serving(endpoint);
                here.state = here.state.max(serving);
                for address in endpoint.addresses.iter().filter_map(|text| text.parse().ok()) {
                    let best = here.addresses.entry(address).or_default();
                    *best = serving.max(*best);
                    here.ports.entry(address).or_default().extend(&ports);
                }
            }
        }
        backends
    }

    /// The endpoints on a Node.
    pub fn on(&self, node: &str) -> Option<&Here> {
        self.by_node.get(node)
    }

    /// How the endpoints serve whose Node passes. Those without a Node have the empty name.
    pub fn best(&self, node: impl Fn(&str) -> bool) -> Serving {
        let passing = self.by_node.iter().filter(|(name, _)| node(name));
        passing.map(|(_, here)| here.state).max().unwrap_or_default()
    }
}

fn port(port: &k8s_openapi::api::discovery::v1::EndpointPort) -> Option<(u16, bool)> {
    let number = u16::try_from(port.port?).ok().filter(|number| *number > 0)?;
    Some((number, port.protocol.as_deref().unwrap_or("TCP") == "TCP"))
}

/// What is not said is as the API has it: ready unless it says otherwise.
fn serving(endpoint: &Endpoint) -> Serving {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let terminating = conditions.terminating.unwrap_or(false);
    match (ready, conditions.serving.unwrap_or(ready), terminating) {
        (true, _, false) => Serving::Ready,
        (true, ..) | (_, true, true) => Serving::Ending,
        _ => Serving::Unready,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn slices(endpoints: &Value) -> Backends {
        let slice = json!({
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"port": 8080}, {"port": 53, "protocol": "UDP"}, {"name": "unnumbered"}],
        });
        Backends::read(&[serde_json::from_value(slice).unwrap()])
    }

    #[rstest]
    #[case(json!({}), Serving::Ready)]
    #[case(json!({"ready": true, "serving": true, "terminating": false}), Serving::Ready)]
    #[case(json!({"ready": false, "serving": false, "terminating": false}), Serving::Unready)]
    #[case(json!({"ready": false}), Serving::Unready)]
    #[case(json!({"ready": false, "serving": true, "terminating": true}), Serving::Ending)]
    #[case(json!({"ready": false, "serving": false, "terminating": true}), Serving::Unready)]
    #[case::of_a_service_that_publishes_all(json!({"ready": true, "serving": true, "terminating": true}), Serving::Ending)]
    fn conditions_say_how_an_endpoint_serves(#[case] conditions: Value, #[case] serving: Serving) {
        let backends =
            slices(&json!([{"addresses": ["10.0.0.1"], "nodeName": "a", "conditions": conditions}]));
        assert_eq!(backends.on("a").unwrap().state, serving);
        assert_eq!(backends.on("a").unwrap().addresses[&"10.0.0.1".parse().unwrap()], serving);
    }

    #[test]
    fn the_best_of_several_counts_for_a_node_and_for_those_that_pass() {
        let unready = json!({"ready": false});
        let backends = slices(&json!([
            {"addresses": ["10.0.0.1"], "nodeName": "a", "conditions": unready},
            {"addresses": ["10.0.0.2"], "nodeName": "a"},
            {"addresses": ["10.0.0.3"], "nodeName": "b", "conditions": unready},
            {"addresses": ["10.0.0.4"], "conditions": unready},
        ]));
        assert_eq!(backends.on("a").unwrap().state, Serving::Ready);
        assert_eq!(backends.on("b").unwrap().state, Serving::Unready);
        assert_eq!(backends.on("c"), None);
        assert_eq!(backends.best(|_| true), Serving::Ready);
        assert_eq!(backends.best(|name| name != "a"), Serving::Unready);
        assert_eq!(backends.best(str::is_empty), Serving::Unready);
        assert_eq!(backends.best(|name| name == "c"), Serving::None);
        let ports = &backends.on("b").unwrap().ports[&"10.0.0.3".parse().unwrap()];
        assert_eq!(ports.iter().copied().collect::<Vec<_>>(), [(53, false), (8080, true)]);
    }

    #[test]
    fn names_are_passed_over() {
        let slice =
            json!({"addressType": "FQDN", "endpoints": [{"addresses": ["a.example"], "nodeName": "a"}]});
        let slice = serde_json::from_value(slice).unwrap();
        assert_eq!(Backends::read(&[slice]), Backends::default());
    }
}
