//! Which rules pods and instances need.

use std::collections::{BTreeMap, BTreeSet};

use provider::names::tag;
use triton::grammar::firewall::{
    Action, FirewallRule, MAX_PROTOCOL_TARGETS, Ports, Protocol as RuleProtocol, Side, Target,
};
use triton::types::{TagValue, Tags};

use super::{Membership, RuleKey};
use crate::pod::{FirewallDemand, Port, Protocol};

/// Whether all that may need a rule is in a [`Wanted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All pods and all of the account's instances: what they do not need, nobody needs.
    Everything,
    /// The caches are not complete, or not to be trusted: no rule is removed.
    InPart,
}

/// The rules that a cluster's pods and instances need.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    cluster: Box<str>,
    known: Known,
    rules: BTreeMap<RuleKey, FirewallRule>,
    /// Whose rules are in `rules`.
    demanded: BTreeSet<Membership>,
    /// Whose rules are to stay.
    held: BTreeSet<Membership>,
}

impl Wanted {
    /// Nothing is needed yet.
    pub fn new(cluster: &str, known: Known) -> Self {
        let (rules, demanded, held) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { cluster: cluster.into(), known, rules, demanded, held }
    }

    /// A pod that has, or may get, an instance. `tags` are the tags of its [`Demand`](crate::pod::Demand), which
    /// say by which values rules find the instance.
    pub fn add_pod(&mut self, namespace: &str, firewall: &FirewallDemand, tags: &Tags) {
        if let Some(ports) = membership(tags, tag::PORTS) {
            self.add_ports(ports, &firewall.ports);
        }
        if let (Some(tagged), Some(group)) = (membership(tags, tag::GROUP), &firewall.group) {
            self.add_group(tagged, namespace, group);
        }
    }

    /// An instance in the store, by its tags. It needs its rules as long as it exists, whether there is a pod or
    /// not; but what they should say, only a pod can tell.
    pub fn add_instance(&mut self, tags: &Tags) {
        if tags.get(tag::CLUSTER).and_then(TagValue::as_str) != Some(&*self.cluster) {
            return;
        }
        for key in [tag::PORTS, tag::GROUP] {
            if let Some(held) = membership(tags, key).filter(|held| !self.held.contains(held)) {
                self.held.insert(held);
            }
        }
    }

    /// The rules that there must be.
    pub fn rules(&self) -> &BTreeMap<RuleKey, FirewallRule> {
        &self.rules
    }

    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether what is not wanted is needed by nobody.
    pub(super) fn knows_everything(&self) -> bool {
        self.known == Known::Everything
    }

    /// Whether instances need the rules of this membership although no pod does.
    pub(super) fn is_only_held(&self, membership: &Membership) -> bool {
        self.held.contains(membership) && !self.demanded.contains(membership)
    }

    fn add_ports(&mut self, membership: Membership, ports: &BTreeSet<Port>) {
        if !self.demanded.insert(membership.clone()) {
            return;
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let of_protocol = ports.iter().filter(|port| port.protocol == protocol);
            let numbers: Vec<u16> = of_protocol.map(|port| port.number).collect();
            for chunk in numbers.chunks(MAX_PROTOCOL_TARGETS) {
                let key = RuleKey::ports(
                    &self.cluster,
                    membership.value(),
                    protocol,
                    &chunk.iter().copied().collect(),
                );
                self.add(key, Side::Any, &membership, protocol, chunk.iter().copied().collect());
            }
        }
    }

    fn add_group(&mut self, membership: Membership, namespace: &str, group: &str) {
        if !self.demanded.insert(membership.clone()) {
            return;
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let key = RuleKey::group(&self.cluster, membership.value(), protocol, namespace, group);
            self.add(key, target(&membership).into(), &membership, protocol, Ports::All);
        }
    }

    fn add(&mut self, key: RuleKey, from: Side, to: &Membership, protocol: Protocol, ports: Ports) {
        let protocol = match protocol {
            Protocol::Tcp => RuleProtocol::Tcp(ports),
            Protocol::Udp => RuleProtocol::Udp(ports),
        };
        match FirewallRule::new(from, target(to), Action::Allow, protocol) {
            Ok(rule) => drop(self.rules.insert(key, rule)),
            // Only port 0 leads here, which no demand has.
            Err(error) => tracing::warn!(rule = key.as_str(), %error, "a firewall rule cannot be made"),
        }
    }
}

fn target(membership: &Membership) -> Target {
    Target::tag_value(membership.tag(), membership.value())
}

/// The membership that a tag gives; a value that is no text, or that no rule can name, gives none.
fn membership(tags: &Tags, key: &str) -> Option<Membership> {
    let value = tags.get(key)?.as_str().filter(|value| !value.is_empty() && !value.contains(':'))?;
    Some(if key == tag::PORTS { Membership::Ports(value.into()) } else { Membership::Group(value.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect()
    }

    fn texts(wanted: &Wanted) -> Vec<String> {
        wanted.rules().iter().map(|(key, rule)| format!("{} = {rule}", key.as_str())).collect()
    }

    fn ports(ports: &[(Protocol, u16)]) -> FirewallDemand {
        let ports = ports.iter().map(|&(protocol, number)| Port { protocol, number }).collect();
        FirewallDemand { enabled: None, group: None, ports }
    }

    #[test]
    fn pods_with_the_same_ports_share_a_rule_per_protocol() {
        let mut wanted = Wanted::new("kubernetes", Known::Everything);
        let demand = ports(&[(Protocol::Tcp, 80), (Protocol::Udp, 53), (Protocol::Tcp, 22)]);
        for namespace in ["default", "prod"] {
            wanted.add_pod(namespace, &demand, &tags(&[(tag::PORTS, "1f0c")]));
        }
        let expected = [
            r#"k8s:kubernetes:ports:1f0c:tcp 22, 80 = FROM any TO tag "k8s.ports" = "1f0c" ALLOW tcp (PORT 22 AND PORT 80)"#,
            r#"k8s:kubernetes:ports:1f0c:udp 53 = FROM any TO tag "k8s.ports" = "1f0c" ALLOW udp PORT 53"#,
        ];
        assert_eq!(texts(&wanted), expected);
    }

    #[test]
    fn more_ports_than_a_rule_takes_are_several_rules() {
        let mut wanted = Wanted::new("kubernetes", Known::Everything);
        let many: Vec<_> = (1..=50).map(|number| (Protocol::Tcp, number)).collect();
        wanted.add_pod("default", &ports(&many), &tags(&[(tag::PORTS, "1f0c")]));
        assert_eq!(wanted.rules().len(), 3);
        let all: BTreeSet<String> = wanted
            .rules()
            .values()
            .flat_map(|rule| {
                let text = rule.to_string();
                text.split("PORT ")
                    .skip(1)
                    .map(|port| port.split([' ', ')']).next().unwrap().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(all, (1..=50).map(|number: u16| number.to_string()).collect());
    }

    #[test]
    fn members_of_a_group_reach_each_other_on_all_ports() {
        let mut wanted = Wanted::new("kubernetes", Known::Everything);
        let demand = FirewallDemand { group: Some("web".into()), ..FirewallDemand::default() };
        wanted.add_pod("default", &demand, &tags(&[(tag::GROUP, "web-1f0c")]));
        let expected = ["tcp", "udp"].map(|protocol| {
            format!(
                r#"k8s:kubernetes:group:web-1f0c:{protocol} default/web = FROM tag "k8s.group" = "web-1f0c" TO tag "k8s.group" = "web-1f0c" ALLOW {protocol} PORT all"#
            )
        });
        assert_eq!(texts(&wanted), expected);
    }

    #[test]
    fn an_instance_holds_its_rules_but_only_in_its_own_cluster() {
        let mut wanted = Wanted::new("kubernetes", Known::Everything);
        wanted.add_instance(&tags(&[(tag::CLUSTER, "kubernetes"), (tag::PORTS, "a"), (tag::GROUP, "b")]));
        wanted.add_instance(&tags(&[(tag::CLUSTER, "other"), (tag::PORTS, "c")]));
        wanted.add_instance(&tags(&[(tag::PORTS, "d")]));
        let held: Vec<_> = wanted.held.iter().map(Membership::value).collect();
        assert_eq!(held, ["a", "b"]);
        assert!(wanted.rules().is_empty());
        assert!(wanted.is_only_held(&Membership::Ports("a".into())));
        wanted.add_pod("default", &ports(&[(Protocol::Tcp, 1)]), &tags(&[(tag::PORTS, "a")]));
        assert!(!wanted.is_only_held(&Membership::Ports("a".into())), "a pod says what its rules are");
    }
}
