//! Writes to Nodes. Each is bound to the Node's UID, and where it replaces a whole list also to its version.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, Taint};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use runtime::clients::ApiError;
use serde_json::{Map, Value, json};

/// Writes to Nodes under one name.
#[derive(Clone)]
pub(super) struct NodeWriter {
    nodes: Api<Node>,
    manager: &'static str,
}

/// What to write on a Node but its status.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    pub(super) labels: Option<&'a BTreeMap<&'static str, String>>,
    pub(super) provider_id: Option<&'a str>,
    pub(super) taints: Option<&'a [Taint]>,
}

impl NodeWriter {
    /// `client` is one that writes only while leading; `manager` names the field manager.
    pub(super) fn new(client: kube::Client, manager: &'static str) -> Self {
        Self { nodes: Api::all(client), manager }
    }

    /// Writes addresses and a condition; gives the Node as it then is.
    pub(super) async fn patch_status(
        &self,
        node: &Node,
        addresses: Option<&[NodeAddress]>,
        condition: Option<&NodeCondition>,
    ) -> Result<Node, ApiError> {
        let patch = status_patch(node, addresses, condition);
        Ok(self.nodes.patch_status(name(node), &self.params(), &Patch::Strategic(patch)).await?)
    }

    /// Writes labels, provider ID and taints in one; gives the Node as it then is.
    pub(super) async fn patch(&self, node: &Node, change: &Change<'_>) -> Result<Node, ApiError> {
        let patch = node_patch(node, change);
        Ok(self.nodes.patch(name(node), &self.params(), &Patch::Strategic(patch)).await?)
    }

    /// Deletes this very Node, unless it has changed.
    pub(super) async fn delete(&self, node: &Node) -> Result<(), ApiError> {
        let preconditions = Preconditions {
            uid: node.metadata.uid.clone(),
            resource_version: node.metadata.resource_version.clone(),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        Ok(self.nodes.delete(name(node), &params).await.map(drop)?)
    }

    fn params(&self) -> PatchParams {
        PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() }
    }
}

fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// A strategic merge merges addresses by type, so that one of two of a type is lost: the list is replaced instead.
fn status_patch(node: &Node, addresses: Option<&[NodeAddress]>, condition: Option<&NodeCondition>) -> Value {
    let mut status = Map::new();
    if let Some(addresses) = addresses {
        let mut list: Vec<Value> = addresses.iter().map(|address| json!(address)).collect();
        list.push(json!({"$patch": "replace"}));
        status.insert("addresses".to_owned(), Value::Array(list));
    }
    if let Some(condition) = condition {
        status.insert("conditions".to_owned(), json!([condition]));
    }
    json!({"metadata": {"uid": node.metadata.uid}, "status": status})
}

/// Taints are one list without merging: whoever writes it must have seen it.
fn node_patch(node: &Node, change: &Change<'_>) -> Value {
    let mut metadata = Map::from_iter([("uid".to_owned(), json!(node.metadata.uid))]);
    let mut spec = Map::new();
    if let Some(labels) = change.labels.filter(|labels| !labels.is_empty()) {
        metadata.insert("labels".to_owned(), json!(labels));
    }
    if let Some(provider_id) = change.provider_id {
        spec.insert("providerID".to_owned(), json!(provider_id));
    }
    if let Some(taints) = change.taints {
        metadata.insert("resourceVersion".to_owned(), json!(node.metadata.resource_version));
        spec.insert("taints".to_owned(), json!(taints));
    }
    json!({"metadata": metadata, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n", "uid": "u", "resourceVersion": "7"}}))
            .unwrap()
    }

    #[test]
    fn addresses_replace_the_list_and_conditions_join_it() {
        let address = |ip: &str| NodeAddress { type_: "InternalIP".to_owned(), address: ip.to_owned() };
        let condition =
            NodeCondition { type_: "A".into(), status: "True".into(), ..NodeCondition::default() };
        assert_eq!(
            status_patch(&node(), Some(&[address("10.0.0.1"), address("fd00::1")]), Some(&condition)),
            json!({"metadata": {"uid": "u"}, "status": {
                "addresses": [
                    {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"},
                    {"$patch": "replace"},
                ],
                "conditions": [{"type": "A", "status": "True"}],
            }})
        );
    }

    #[test]
    fn only_taints_need_the_version() {
        let labels = BTreeMap::from([("a", "b".to_owned())]);
        let change = Change { labels: Some(&labels), provider_id: Some("triton://x"), taints: None };
        assert_eq!(
            node_patch(&node(), &change),
            json!({"metadata": {"uid": "u", "labels": {"a": "b"}}, "spec": {"providerID": "triton://x"}})
        );
        let change = Change { taints: Some(&[]), ..Change::default() };
        assert_eq!(
            node_patch(&node(), &change),
            json!({"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"taints": []}})
        );
    }
}
