use serde_json::json;

use super::*;
use crate::world::testing::{Stage, foreign, params, refusal};

const TEXT: &str = "from any to tag role = web allow tcp (port 443 and port 80)";
const CANONICAL: &str = "FROM any TO tag \"role\" = \"web\" ALLOW tcp (PORT 80 AND PORT 443)";

fn create(stage: &mut Stage, rule: Value) -> Result<Rule, WorldError> {
    stage.world.create_rule(stage.ids.acme, &params(rule))
}

fn global(stage: &mut Stage) -> FirewallRuleId {
    let id = "f1ae0001-0000-4000-8000-000000000000".parse().unwrap();
    let rule = "FROM any TO all vms ALLOW icmp TYPE all".parse().unwrap();
    stage.world.add_global_rule(id, rule, Some("ping".to_owned()));
    id
}

#[test]
fn a_rule_is_made_changed_and_deleted() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let rule = create(&mut stage, json!({"rule": TEXT})).unwrap();
    assert_eq!((rule.rule.to_string(), rule.enabled, rule.log), (CANONICAL.to_owned(), false, false));
    assert!(stage.world.enable_rule(acme, rule.id, true).unwrap().enabled);
    let change = params(json!({"log": "true", "description": "web"}));
    let changed = stage.world.update_rule(acme, rule.id, &change).unwrap();
    assert_eq!((changed.rule.to_string(), changed.enabled, changed.log), (CANONICAL.to_owned(), true, true));
    assert_eq!(changed.description.as_deref(), Some("web"));
    let cleared = stage.world.update_rule(acme, rule.id, &params(json!({"description": ""}))).unwrap();
    assert_eq!(cleared.description, None);
    assert_eq!(stage.world.rule(foreign(&stage), rule.id).unwrap_err().status(), 404);
    stage.world.delete_rule(acme, rule.id).unwrap();
    assert_eq!(stage.world.rule(acme, rule.id).unwrap_err().status(), 404);
}

#[test]
fn bad_rules_are_refused() {
    let mut stage = Stage::new();
    for (rule, status, field) in [
        (json!({}), 409, ""),
        (json!({"rule": ""}), 409, ""),
        (json!({"rule": "FROM any TO any ALLOW tcp PORT 80"}), 422, "rule"),
        (json!({"rule": "allow everything"}), 422, "rule"),
        (json!({"rule": TEXT, "enabled": "maybe"}), 422, "enabled"),
        (json!({"rule": TEXT, "log": 7}), 422, "log"),
        (json!({"rule": TEXT, "description": "x".repeat(256)}), 422, "description"),
        (json!({"rule": TEXT, "description": ["x"]}), 422, "description"),
    ] {
        let error = create(&mut stage, rule.clone()).unwrap_err();
        let refusal = error.refusal().unwrap();
        let found = refusal.errors.first().map_or("", |error| &error.field);
        assert_eq!((refusal.status, found), (status, field), "{rule}");
    }
    assert_eq!(stage.world.list_rules(stage.ids.acme).count(), 0);
}

#[test]
fn global_rules_are_seen_but_not_changed() {
    let mut stage = Stage::new();
    let (acme, id) = (stage.ids.acme, global(&mut stage));
    assert!(stage.world.rule(acme, id).unwrap().is_global());
    assert_eq!(stage.world.list_rules(acme).count(), 0);
    let refused = (409, "InvalidArgument".to_owned());
    assert_eq!(refusal(stage.world.update_rule(acme, id, &Params::new())), refused);
    assert_eq!(refusal(stage.world.enable_rule(acme, id, false)), refused);
    assert_eq!(refusal(stage.world.delete_rule(acme, id)), refused);
}

#[test]
fn rules_affect_the_instances_they_select() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    global(&mut stage);
    let web = stage.running(json!({"name": "web", "tag.role": "web", "tag.tier": 2}));
    stage.running(json!({"name": "db", "tag.role": "db"}));
    let gone = stage.running(json!({"name": "gone", "tag.role": "web"}));
    stage.delete(gone).unwrap();
    stage.settle();
    for (text, expected) in [
        ("FROM any TO tag role = web ALLOW tcp PORT 80", vec!["web"]),
        ("FROM tag role = db TO ip 192.0.2.1 BLOCK tcp PORT all", vec!["db"]),
        ("FROM any TO tag tier = 2 ALLOW tcp PORT 80", vec!["web"]),
        ("FROM any TO tag tier = 3 ALLOW tcp PORT 80", vec![]),
        ("FROM any TO tag role ALLOW tcp PORT 80", vec!["db", "web"]),
        ("FROM any TO all vms ALLOW tcp PORT 80", vec!["db", "web"]),
        ("FROM tag role = db TO tag role = web ALLOW tcp PORT 80", vec!["db", "web"]),
        ("FROM subnet 192.168.128.0/22 TO tag no = x ALLOW tcp PORT 80", vec![]),
    ] {
        let rule = create(&mut stage, json!({"rule": text})).unwrap();
        let machines = stage.world.machines_of_rule(acme, rule.id).unwrap();
        let mut names: Vec<&str> = machines.map(|machine| machine.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{text}");
        let affects = stage.world.rules_of_machine(acme, web).unwrap().any(|other| other.id == rule.id);
        assert_eq!(affects, expected.contains(&"web"), "{text}");
        stage.world.delete_rule(acme, rule.id).unwrap();
    }
    let rule =
        create(&mut stage, json!({"rule": format!("FROM any TO vm {web} ALLOW tcp PORT 22")})).unwrap();
    let texts: Vec<bool> = stage.world.rules_of_machine(acme, web).unwrap().map(Rule::is_global).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(stage.world.machines_of_rule(acme, rule.id).unwrap().count(), 1);
}
