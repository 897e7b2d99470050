//! Nodes that are none of ours.

use serde_json::json;

use super::stage::Stage;

#[tokio::test]
async fn virtual_and_foreign_nodes_are_left_alone() {
    let mut stage = Stage::set().await;
    let (ours, gone) = (stage.machine("m1").await, stage.machine("gone").await);
    stage.account.delete_instance(gone.id).await.unwrap();
    let mut others = Vec::new();
    let virtual_label = json!({"type": "virtual-kubelet"});
    for (name, system_uuid, difference) in [
        // Each would be initialised or deleted but for what makes it somebody else's.
        ("virtual", ours.id.to_string(), json!({"metadata": {"labels": virtual_label}})),
        (
            "virtual-gone",
            String::new(),
            json!({"metadata": {"labels": virtual_label}, "spec": {"providerID": format!("triton:///{}", gone.id)}}),
        ),
        ("other-cloud", ours.id.to_string(), json!({"spec": {"providerID": "aws:///us-east-1a/i-1"}})),
        (
            "other-datacenter",
            String::new(),
            json!({"spec": {"providerID": format!("triton://elsewhere/{}", gone.id)}}),
        ),
        ("unmatched", "4c4c4544-0000-2010-8020-80c04f202020".to_owned(), json!({})),
        ("not-asked", ours.id.to_string(), json!({"spec": {"taints": []}})),
    ] {
        stage.register(name, &system_uuid, difference).await;
        stage.say_ready(name, false).await;
        others.push(stage.node(name).await.unwrap());
    }
    stage.start_controllers().await;
    // Whatever would happen to them has happened by the time that these two are dealt with.
    stage.register("m1", &ours.id.to_string(), json!({})).await;
    stage.register("gone", "", json!({"spec": {"providerID": format!("triton:///{}", gone.id)}})).await;
    stage.until_initialised("m1").await;
    stage
        .until("the Node of the destroyed machine is gone", async || stage.node("gone").await.is_none())
        .await;
    for before in others {
        let name = before.metadata.name.as_deref().unwrap();
        let after = stage.node(name).await.unwrap_or_else(|| panic!("{name} was deleted"));
        assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "{name} was written");
    }
}

#[tokio::test]
async fn a_node_that_matches_nothing_is_told_so_and_initialised_once_it_does() {
    let mut stage = Stage::set().await;
    stage.start_controllers().await;
    // The name is that of a machine, but its address is not.
    let machine = stage.machine("m1").await;
    stage.register("m1", "", json!({})).await;
    stage
        .until_noted("m1", "NoMatchingInstance", &format!("instance {} has the node's name", machine.id))
        .await;
    assert_eq!(stage.taints("m1").await.len(), 1);
    let address = machine.primary_ip.unwrap().to_string();
    let patch = json!({"status": {"addresses": [{"type": "InternalIP", "address": address}]}});
    let patch = kube::api::Patch::Strategic(patch);
    stage.nodes.patch_status("m1", &Default::default(), &patch).await.unwrap();
    stage.until_initialised("m1").await;
}
