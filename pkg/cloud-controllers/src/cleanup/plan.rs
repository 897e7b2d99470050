//! What is the cluster's, and what is done about it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use provider::cmon;
use provider::cns::wanted;
use provider::names::tag;
use provider::rule_mark;
use triton::id::{FirewallRuleId, InstanceId, NetworkId};
use triton::types::{FirewallRule, Instance, InstanceState, Network, Routes, TagValue, Tags};

/// What there is in the account.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// All instances.
    pub instances: &'a [Instance],
    /// All firewall rules.
    pub rules: &'a [FirewallRule],
    /// The fabric networks.
    pub networks: &'a [Network],
    /// The addresses of the cluster's pods; without any, routes are left alone.
    pub pods: &'a [IpNet],
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What could be the cluster's and is left alone all the same, and why. One line each.
    pub kept: Vec<String>,
    /// How many instances are going already.
    pub going: usize,
}

/// A thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Take the cluster's tags off the machine of a node.
    Untag {
        /// The instance.
        id: InstanceId,
        /// Its name.
        name: String,
        /// Tags to write: what is left of others' entries.
        set: Tags,
        /// Tags to remove.
        remove: Vec<&'static str>,
    },
    /// Delete the instance of a pod or a load balancer.
    Delete {
        /// The instance.
        id: InstanceId,
        /// The object that it stood for: `pod default/web`.
        object: String,
        /// Whether it is protected against deletion, which is lifted first.
        protected: bool,
    },
    /// Delete a firewall rule.
    DeleteRule {
        /// The rule.
        id: FirewallRuleId,
        /// Its text.
        rule: String,
    },
    /// Write the routes of a fabric network without the cluster's.
    Unroute {
        /// The fabric VLAN.
        vlan: u16,
        /// The network.
        id: NetworkId,
        /// Its name.
        name: String,
        /// The destinations that go.
        removed: Vec<String>,
    },
}

/// As it is told to people.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untag { id, name, set, remove } => {
                let keys = set.keys().map(|key| format!("shorten {key}"));
                let keys = keys.chain(remove.iter().map(|key| format!("remove {key}")));
                let keys: Vec<String> = keys.collect();
                write!(f, "untag machine {id} ({name}): {}", keys.join(", "))
            }
            Self::Delete { id, object, protected: false } => write!(f, "delete instance {id} of {object}"),
            Self::Delete { id, object, protected: true } => {
                write!(f, "delete instance {id} of {object}, and lift its protection before")
            }
            Self::DeleteRule { id, rule } => write!(f, "delete firewall rule {id}: {rule}"),
            Self::Unroute { id, name, removed, .. } => {
                write!(f, "remove routes of network {id} ({name}): {}", removed.join(", "))
            }
        }
    }
}

/// Finds what is the cluster's. Routes go first, because machines are told from others' by their tags; then the tags, so
/// that clients are no longer sent to what is going; and rules after the instances that they protect.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    for network in observed.networks {
        unroute(&mut plan, network, observed);
    }
    let mut deletes = Vec::new();
    for instance in observed.instances {
        match object_of(instance, observed.cluster) {
            Some(_) if is_going(instance) => plan.going += 1,
            Some(object) => {
                deletes.push(Step::Delete {
                    id: instance.id,
                    object,
                    protected: instance.deletion_protection,
                });
            }
            None => untag(&mut plan, instance, observed.cluster),
        }
    }
    plan.steps.extend(deletes);
    let mark = rule_mark::prefix(observed.cluster);
    let is_marked = |rule: &&FirewallRule| {
        !rule.global && rule.description.as_deref().is_some_and(|text| text.starts_with(&mark))
    };
    let rules = observed.rules.iter().filter(is_marked);
    plan.steps.extend(rules.map(|rule| Step::DeleteRule { id: rule.id, rule: rule.rule.to_string() }));
    plan
}

/// The object of the cluster that an instance was made for; `None` when the tags do not say one.
fn object_of(instance: &Instance, cluster: &str) -> Option<String> {
    let text = |key| instance.tags.get(key).and_then(TagValue::as_str).filter(|text| !text.is_empty());
    if text(tag::CLUSTER)? != cluster {
        return None;
    }
    let (namespace, _uid) = (text(tag::NAMESPACE)?, text(tag::UID)?);
    let pod = text(tag::POD).zip(text(tag::NODE)).map(|(pod, _)| format!("pod {namespace}/{pod}"));
    pod.or_else(|| Some(format!("service {namespace}/{}", text(tag::SERVICE)?)))
}

fn is_going(instance: &Instance) -> bool {
    matches!(instance.state, InstanceState::Deleted)
}

/// Takes off a machine what the cluster has put on it.
fn untag(plan: &mut Plan, instance: &Instance, cluster: &str) {
    let (id, tags) = (instance.id, &instance.tags);
    if is_going(instance) {
        return;
    }
    let (mut set, mut remove) = (Tags::new(), Vec::new());
    if tags.get(tag::CLUSTER).and_then(TagValue::as_str) == Some(cluster) {
        let stands_for_something =
            [tag::POD, tag::SERVICE, tag::UID].into_iter().find(|key| tags.contains_key(*key));
        if let Some(key) = stands_for_something {
            plan.kept.push(format!(
                "instance {id} has tags {} and {key}, but not all that say what it stands for; delete it by hand",
                tag::CLUSTER
            ));
            return;
        }
        let merge = wanted(None, &[]).against(tags);
        if let Some(conflict) = merge.conflicts.first() {
            plan.kept.push(format!("CNS services of machine {id}: {conflict}"));
            return;
        }
        set = merge.change.set;
        remove = merge.change.remove;
        remove.push(tag::CLUSTER);
    }
    match cmon::membership(tags.get(tag::CMON_GROUPS), &cmon::group(cluster), false) {
        Ok(cmon::Change::Same) => {}
        Ok(cmon::Change::Set(groups)) => {
            set.insert(tag::CMON_GROUPS.to_owned(), TagValue::from(groups.as_str()));
        }
        Ok(cmon::Change::Remove) => remove.push(tag::CMON_GROUPS),
        // It names nothing that could be the cluster's.
        Err(_) => {}
    }
    if !(set.is_empty() && remove.is_empty()) {
        plan.steps.push(Step::Untag { id, name: instance.name.to_string(), set, remove });
    }
}

fn unroute(plan: &mut Plan, network: &Network, observed: &Observed<'_>) {
    let (removed, kept) = left_behind(network, observed);
    plan.kept.extend(kept);
    if let (Some(vlan), false) = (network.vlan_id, removed.is_empty()) {
        let name = network.name.to_string();
        plan.steps.push(Step::Unroute { vlan, id: network.id, name, removed });
    }
}

/// The routes of a network without the cluster's; `None` where none is.
pub(super) fn routes_without(network: &Network, observed: &Observed<'_>) -> Option<Routes> {
    let (removed, _) = left_behind(network, observed);
    let mut routes = network.routes.clone();
    routes.retain(|destination, _| !removed.iter().any(|it| *it == **destination));
    (!removed.is_empty()).then_some(routes)
}

/// The destinations, as they are written, that are the cluster's; and why some that are inside its addresses are not.
fn left_behind(network: &Network, observed: &Observed<'_>) -> (Vec<String>, Vec<String>) {
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    let addresses = |member: bool| -> BTreeSet<IpAddr> {
        let members = observed.instances.iter().filter(|it| is_member(it, observed.cluster) == member);
        members.flat_map(|it| it.nics.iter().filter_map(|nic| nic.ip)).collect()
    };
    let (own, others) = (addresses(true), addresses(false));
    for (text, gateway) in &network.routes {
        let destination = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let Ok(destination) = destination.map(|net| net.trunc()) else { continue };
        if !observed.pods.iter().any(|pods| pods.contains(&destination)) {
            continue;
        }
        let on_network = |ip: &IpAddr| network.subnet.is_some_and(|subnet| subnet.contains(ip));
        let via: Option<IpAddr> = gateway.parse().ok().filter(on_network);
        match via {
            Some(ip) if own.contains(&ip) => removed.push(text.to_string()),
            Some(ip) if others.contains(&ip) => kept.push(format!(
                "route {text} of network {} leads to {ip}, an instance that has no tag of the cluster",
                network.id
            )),
            Some(ip) if network.gateway != Some(ip) => removed.push(text.to_string()),
            _ => kept.push(format!(
                "route {text} of network {} leads to {gateway}, which no machine could have had",
                network.id
            )),
        }
    }
    (removed, kept)
}

/// Whether an instance has a mark of the cluster.
fn is_member(instance: &Instance, cluster: &str) -> bool {
    let tagged = instance.tags.get(tag::CLUSTER).and_then(TagValue::as_str) == Some(cluster);
    let group = cmon::membership(instance.tags.get(tag::CMON_GROUPS), &cmon::group(cluster), false);
    tagged || group.is_ok_and(|change| change != cmon::Change::Same)
}
