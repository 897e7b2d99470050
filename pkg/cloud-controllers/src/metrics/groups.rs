//! Which instances of machines are in the cluster's CMON group.

use std::collections::BTreeSet;

use provider::cmon::{Change, NoChange, membership};
use provider::names::tag::CMON_GROUPS;
use provider::owner::Owner;
use triton::id::InstanceId;
use triton::types::Instance;

/// What is to be written on one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The instance.
    pub id: InstanceId,
    /// What becomes of its tag.
    pub change: Change,
}

/// An instance whose tag cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The instance.
    pub id: InstanceId,
    /// Why.
    pub why: NoChange,
}

/// What to write so that the machines that are Nodes are in the group, and those that are no longer Nodes are not.
/// Instances behind pods are the virtual kubelet's to write.
pub fn plan<'a>(
    instances: impl IntoIterator<Item = &'a Instance>,
    nodes: &BTreeSet<InstanceId>,
    group: &str,
) -> (Vec<Write>, Vec<Refusal>) {
    let (mut writes, mut refusals) = (Vec::new(), Vec::new());
    for instance in instances {
        let id = instance.id;
        let member = nodes.contains(&id);
        // What is on its way in or out is not written: it would fail.
        if Owner::of(instance).is_some() || !instance.state.is_active() {
            continue;
        }
        match membership(instance.tags.get(CMON_GROUPS), group, member) {
            Ok(Change::Same) => {}
            Ok(change) => writes.push(Write { id, change }),
            // Whose tag is malformed is their business, unless it is a Node.
            Err(why) if member => refusals.push(Refusal { id, why }),
            Err(_) => {}
        }
    }
    (writes, refusals)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn instance(number: u128, state: &str, tags: &Value) -> Instance {
        let id = Uuid::from_u128(number).to_string();
        serde_json::from_value(json!({"id": id, "name": "x", "state": state, "tags": tags})).unwrap()
    }

    #[test]
    fn nodes_join_former_ones_leave_and_pods_and_strangers_are_not_written() {
        let pod = json!({
            "k8s.cluster": "kubernetes", "k8s.node": "v", "k8s.namespace": "default", "k8s.pod": "p", "k8s.uid": "u",
        });
        let instances = [
            instance(1, "running", &json!({})),
            instance(2, "running", &json!({"triton.cmon.groups": "a,k8s-c"})),
            instance(3, "stopped", &json!({"triton.cmon.groups": "a,k8s-c"})),
            instance(4, "running", &json!({"triton.cmon.groups": "a"})),
            instance(5, "running", &pod),
            instance(6, "failed", &json!({})),
            instance(7, "running", &json!({"triton.cmon.groups": "a,,b"})),
            instance(8, "running", &json!({"triton.cmon.groups": "a,,b"})),
        ];
        let nodes = [1, 2, 5, 6, 7].map(|number| Uuid::from_u128(number).into()).into();
        let (writes, refusals) = plan(&instances, &nodes, "k8s-c");
        let id = |number| InstanceId::from(Uuid::from_u128(number));
        let set = |number, value: &str| Write { id: id(number), change: Change::Set(value.to_owned()) };
        assert_eq!(writes, [set(1, "k8s-c"), set(3, "a")]);
        assert_eq!(refusals.iter().map(|it| it.id).collect::<Vec<_>>(), [id(7)]);
    }
}
