//! How a rule of ours is told from all others: by its description.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use provider::names::tag;
use provider::rule_mark::prefix;

use crate::pod::Protocol;

/// The longest description that CloudAPI takes, in bytes (reference 2.21 says characters; fewer is safe).
const MAX_DESCRIPTION: usize = 255;

/// The tag, and its value, by which rules find their instances.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Membership {
    /// Tag `k8s.ports`: the instances on which the same ports are open.
    Ports(Box<str>),
    /// Tag `k8s.group`: the instances that reach each other.
    Group(Box<str>),
}

impl Membership {
    /// The tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Ports(_) => tag::PORTS,
            Self::Group(_) => tag::GROUP,
        }
    }

    /// Its value.
    pub fn value(&self) -> &str {
        match self {
            Self::Ports(value) | Self::Group(value) => value,
        }
    }
}

/// Which rule of a cluster a rule is: its description, which is at once the mark that it is ours. Text for people:
/// `k8s:kubernetes:ports:1f0c…:tcp 22, 80`, `k8s:kubernetes:group:web-1f0c…:udp default/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey(String);

impl RuleKey {
    /// The rule that opens ports, of which a rule takes no more than 24.
    pub(super) fn ports(cluster: &str, value: &str, protocol: Protocol, ports: &BTreeSet<u16>) -> Self {
        let mut text = format!("{}ports:{value}:{} ", prefix(cluster), word(protocol));
        for (index, port) in ports.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{port}");
        }
        Self(cut(text))
    }

    /// One of the two rules of a group.
    pub(super) fn group(
        cluster: &str,
        value: &str,
        protocol: Protocol,
        namespace: &str,
        group: &str,
    ) -> Self {
        let protocol = word(protocol);
        Self(cut(format!("{}group:{value}:{protocol} {namespace}/{group}", prefix(cluster))))
    }

    /// The description.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose members a rule of this description serves; `None` when it is not a rule of `cluster`.
pub(super) fn membership_of(description: &str, cluster: &str) -> Option<Membership> {
    let rest = description.strip_prefix(prefix(cluster).as_str())?;
    let (kind, rest) = rest.split_once(':')?;
    let (value, _) = rest.split_once(':')?;
    match kind {
        "ports" => Some(Membership::Ports(value.into())),
        "group" => Some(Membership::Group(value.into())),
        _ => None,
    }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn cut(mut text: String) -> String {
    while text.len() > MAX_DESCRIPTION {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provider::digest;

    use super::*;

    #[test]
    fn a_description_says_what_the_rule_is_for() {
        let ports = RuleKey::ports("kubernetes", "1f0c", Protocol::Tcp, &[80, 22].into());
        assert_eq!(ports.as_str(), "k8s:kubernetes:ports:1f0c:tcp 22, 80");
        let group = RuleKey::group("prod", "web-1f0c", Protocol::Udp, "default", "web");
        assert_eq!(group.as_str(), "k8s:prod:group:web-1f0c:udp default/web");
    }

    #[test]
    fn only_descriptions_of_the_cluster_are_ours() {
        let ours = Some(Membership::Ports("1f0c".into()));
        assert_eq!(membership_of("k8s:prod:ports:1f0c:tcp 22", "prod"), ours);
        assert_eq!(membership_of("k8s:prod:ports:1f0c:whatever: else", "prod"), ours);
        for other in
            ["", "web", "k8s:prod", "k8s:prod:ports:1f0c", "k8s:prod:other:1f0c:x", "K8S:prod:ports:1f0c:x"]
        {
            assert_eq!(membership_of(other, "prod"), None, "{other}");
        }
        assert_eq!(membership_of("k8s:prod:ports:1f0c:tcp 22", "pro"), None);
        assert_eq!(membership_of("k8s:prod:ports:ports:1f0c:tcp 22", "prod:ports"), None);
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_written(
            cluster in "\\PC{0,80}", other in "\\PC{0,80}", value in "[a-z0-9-]{1,51}",
            namespace in "[a-z0-9-]{1,63}", group in "\\PC{0,300}",
            ports in prop::collection::btree_set(1..=u16::MAX, 1..=24),
        ) {
            prop_assume!(cluster != other);
            let digest = digest::short([value.as_str()]);
            let opened = RuleKey::ports(&cluster, &digest, Protocol::Tcp, &ports);
            let grouped = RuleKey::group(&cluster, &value, Protocol::Udp, &namespace, &group);
            for (key, membership) in [
                (&opened, Membership::Ports(digest.as_str().into())),
                (&grouped, Membership::Group(value.as_str().into())),
            ] {
                prop_assert!(key.as_str().len() <= MAX_DESCRIPTION);
                prop_assert_eq!(membership_of(key.as_str(), &cluster), Some(membership));
                prop_assert_eq!(membership_of(key.as_str(), &other), None);
            }
            prop_assert!(opened.as_str().ends_with(&ports.last().unwrap().to_string()), "all ports are shown");
            let udp = RuleKey::ports(&cluster, &digest, Protocol::Udp, &ports);
            prop_assert_ne!(opened, udp);
        }
    }
}
