use serde_json::json;

use super::*;
use crate::world::testing::{Stage, foreign, params, refusal};

fn names(stage: &Stage, query: Value) -> Vec<String> {
    let filter = MachineFilter::from_params(&params(query)).unwrap();
    let mut names: Vec<String> =
        stage.world.list_machines(stage.ids.acme, &filter).map(|machine| machine.name.clone()).collect();
    names.sort();
    names
}

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.running(json!({"name": "web-1", "tag.role": "web", "tag.tier": 2, "tag.canary": true}));
    stage.running(json!({"name": "web-10", "tag.role": "web", "tag.tier": "2", "tag.canary": "false"}));
    let db = stage.running(json!({"name": "db", "tag.role": "db", "package": "g1.small"}));
    stage.act(db, json!({"action": "stop"})).unwrap();
    let hvm = stage.hvm(json!({"name": "vm"}));
    stage.try_create(&hvm).unwrap();
    let gone = stage.running(json!({"name": "gone", "tag.role": "web"}));
    stage.delete(gone).unwrap();
    stage.settle();
    stage.world.settings_mut().provision_failures = 1.0;
    stage.create(json!({"name": "failed"}));
    stage.settle();
    stage
}

#[test]
fn filters_select_what_cloudapi_selects() {
    let stage = stage();
    let active = ["db", "vm", "web-1", "web-10"];
    let everything = ["db", "failed", "gone", "vm", "web-1", "web-10"];
    let table = [
        (json!({}), &active[..]),
        (json!({"state": "active"}), &active),
        (json!({"state": "provisioning"}), &active),
        (json!({"state": "stopping"}), &active),
        (json!({"state": "running"}), &["vm", "web-1", "web-10"]),
        (json!({"state": "stopped"}), &["db"]),
        (json!({"state": "destroyed"}), &["gone"]),
        (json!({"state": "unknown"}), &[]),
        (json!({"tombstone": true}), &everything),
        (json!({"tombstone": "false"}), &everything),
        (json!({"tombstone": false}), &active),
        (json!({"tombstone": true, "state": "active"}), &active),
        (json!({"name": "web-1"}), &["web-1", "web-10"]),
        (json!({"name": "eb"}), &[]),
        (json!({"type": "virtualmachine"}), &["vm"]),
        (json!({"type": "smartmachine"}), &["db", "web-1", "web-10"]),
        (json!({"brand": "bhyve"}), &["vm"]),
        (json!({"brand": "kvm"}), &[]),
        (json!({"memory": 2048}), &["db"]),
        (json!({"memory": "2048"}), &["db"]),
        (json!({"memory": "much"}), &[]),
        (json!({"image": stage.ids.ubuntu_hvm.to_string()}), &["vm"]),
        (json!({"image": "nonsense"}), &[]),
        (json!({"docker": "true"}), &[]),
        (json!({"docker": false}), &active),
        (json!({"tag.role": "web"}), &["web-1", "web-10"]),
        (json!({"tag.role": "w*"}), &["web-1", "web-10"]),
        (json!({"tag.role": "*"}), &["db", "web-1", "web-10"]),
        (json!({"tag.role": "we"}), &[]),
        (json!({"tag.tier": "2"}), &["web-1", "web-10"]),
        (json!({"tag.canary": "true"}), &["web-1"]),
        (json!({"tag.canary": "false"}), &["web-10"]),
        (json!({"tag.role": "web", "tag.canary": "true"}), &["web-1"]),
        (json!({"tag.role": "web", "name": "web-10"}), &["web-10"]),
        (json!({"tags": "*"}), &["db", "gone", "web-1", "web-10"]),
        (json!({"tags": "*", "name": "db", "state": "running"}), &["db", "gone", "web-1", "web-10"]),
    ];
    for (query, expected) in table {
        assert_eq!(names(&stage, query.clone()), expected, "{query}");
    }
}

#[test]
fn unknown_words_are_refused() {
    for query in [
        json!({"state": "deleted"}),
        json!({"state": "failed"}),
        json!({"state": "offline"}),
        json!({"state": "ready"}),
        json!({"type": "machine"}),
        json!({"docker": "yes"}),
    ] {
        let refused = refusal(MachineFilter::from_params(&params(query.clone())));
        assert_eq!(refused, (409, "InvalidArgument".to_owned()), "{query}");
    }
}

#[test]
fn lists_go_from_the_highest_id_and_show_nothing_of_other_accounts() {
    let stage = stage();
    let filter = MachineFilter { state: StateFilter::Any, ..MachineFilter::default() };
    let ids: Vec<_> = stage.world.list_machines(stage.ids.acme, &filter).map(|machine| machine.id).collect();
    assert!(ids.len() == 6 && ids.is_sorted_by(|a, b| a > b));
    assert_eq!(stage.world.list_machines(foreign(&stage), &filter).count(), 0);
}

#[test]
fn a_lost_node_does_not_change_what_filters_find() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"name": "web"}));
    let (now, node) = (stage.now, stage.machine(id).compute_node.unwrap());
    stage.world.set_compute_node_up(now, node, false);
    assert_eq!(stage.machine(id).public_state(), "unknown");
    assert_eq!(names(&stage, json!({"state": "running"})), ["web"]);
    assert!(names(&stage, json!({"state": "unknown"})).is_empty());
}

#[test]
fn stars_stand_for_anything() {
    for (pattern, text, fits) in [
        ("", "", true),
        ("", "a", false),
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("*", "abc", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "ab", false),
        ("ab*bc", "abc", false),
        ("ab*bc", "abbc", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "acb", false),
        ("**", "x", true),
        ("*ü*", "grün", true),
    ] {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
}
