use serde_json::json;
use triton::id::InstanceId;

use super::*;
use crate::view::VmState;
use crate::world::testing::Stage;

/// Places an instance under these rules, where `web-0` and `web-1` are on the first two nodes. Says the number of the
/// node, or `None` when it failed.
fn place(more: Value) -> Option<usize> {
    let mut stage = Stage::new();
    let nodes = stage.ids.nodes;
    let id = create(&mut stage, more);
    let node = stage.machine(id).compute_node;
    (stage.state(id) == VmState::Running)
        .then(|| nodes.iter().position(|other| Some(*other) == node))
        .flatten()
}

fn create(stage: &mut Stage, more: Value) -> InstanceId {
    for (name, role) in [("web-0", "web"), ("web-1", "web")] {
        stage.running(json!({"name": name, "tag.role": role, "tag.tier": 1}));
    }
    let id = stage.create(more);
    stage.settle();
    id
}

#[test]
fn rules_choose_the_node() {
    let table = [
        (json!({}), Some(2)),
        (json!({"affinity": "instance==web-1"}), Some(1)),
        (json!({"affinity": "instance==~web-1"}), Some(1)),
        (json!({"affinity": "role==web"}), Some(0)),
        (json!({"affinity": "tier==1"}), Some(0)),
        (json!({"affinity": "no==1"}), None),
        (json!({"affinity": "no==~1"}), Some(2)),
        (json!({"affinity": "no!=1"}), Some(2)),
        (json!({"affinity": "instance!=web-0"}), Some(2)),
        (json!({"affinity": ["instance!=web-0", "instance==/^web-[01]$/"]}), None),
        (json!({"affinity": ["instance==web*", "instance==~web-1"]}), Some(0)),
        (json!({"affinity": ["role==~web", "instance!=~web-0"]}), Some(0)),
        (json!({"affinity": "instance==/(web)\\1/"}), None),
    ];
    for (more, node) in table {
        assert_eq!(place(more.clone()), node, "{more}");
    }
}

#[test]
fn instances_are_found_by_id_and_its_beginning() {
    let mut stage = Stage::new();
    let web = stage.running(json!({"name": "web"}));
    let node = stage.machine(web).compute_node;
    let short = web.as_uuid().simple().to_string()[..8].to_owned();
    for value in [web.to_string(), short] {
        let id = stage.running(json!({"affinity": format!("instance=={value}")}));
        assert_eq!(stage.machine(id).compute_node, node, "{value}");
    }
    let id = stage.create(json!({"affinity": format!("instance=={}", &web.to_string()[..4])}));
    stage.settle();
    assert_eq!(stage.state(id), VmState::Failed);
}

#[test]
fn instances_that_are_made_at_the_same_time_see_each_other() {
    let mut stage = Stage::new();
    let ids: Vec<_> = (0..5).map(|_| stage.create(json!({"tag.app": "db", "affinity": "app!=db"}))).collect();
    stage.settle();
    let nodes: BTreeSet<_> = ids.iter().filter_map(|id| stage.machine(*id).compute_node).collect();
    assert_eq!(nodes.len(), 4);
    assert_eq!(ids.iter().filter(|id| stage.state(**id) == VmState::Failed).count(), 1);
}

#[test]
fn an_account_is_spread_over_the_nodes() {
    let mut stage = Stage::new();
    let ids: Vec<_> = (0..8).map(|_| stage.running(json!({}))).collect();
    for node in stage.ids.nodes {
        assert_eq!(ids.iter().filter(|id| stage.machine(**id).compute_node == Some(node)).count(), 2);
        assert_eq!(stage.world.compute_node(node).unwrap().instances(), 2);
    }
}

#[test]
fn a_lost_node_gets_nothing_new() {
    let mut stage = Stage::new();
    let (now, nodes) = (stage.now, stage.ids.nodes);
    for node in &nodes[1..] {
        stage.world.set_compute_node_up(now, *node, false);
    }
    let ids: Vec<_> = (0..3).map(|_| stage.running(json!({}))).collect();
    assert!(ids.iter().all(|id| stage.machine(*id).compute_node == Some(nodes[0])));
}

#[test]
fn the_old_locality_places_too() {
    let mut stage = Stage::new();
    let web = stage.running(json!({"name": "web"}));
    let node = stage.machine(web).compute_node;
    let web = web.to_string();
    let near = stage.running(json!({"locality": {"strict": true, "near": [web]}}));
    assert_eq!(stage.machine(near).compute_node, node);
    let far = stage.running(json!({"locality": {"strict": false, "far": web}}));
    assert_ne!(stage.machine(far).compute_node, node);
    stage.running(json!({"locality": {"strict": false}}));
}

#[test]
fn encrypted_instances_need_an_encrypted_node() {
    let mut stage = Stage::new();
    let id = stage.create(json!({"encrypted": true}));
    stage.settle();
    assert_eq!(stage.state(id), VmState::Failed);
    let mut node = stage.world.compute_node(stage.ids.nodes[3]).unwrap().clone();
    node.encrypted = true;
    stage.world.add_compute_node(node);
    let id = stage.running(json!({"encrypted": true}));
    assert_eq!(stage.machine(id).compute_node, Some(stage.ids.nodes[3]));
}
