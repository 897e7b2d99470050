use serde_json::{Value, json};

use super::*;
use crate::world::testing::{KEYS, Stage, params, refusal};

fn user(stage: &mut Stage, login: &str) -> Uuid {
    let user = params(json!({"login": login, "email": "a@example.com", "password": "secret123"}));
    stage.world.create_user(stage.now, stage.ids.acme, &user).unwrap().id
}

fn policy(stage: &mut Stage, name: &str, rules: Value) -> Result<Policy, WorldError> {
    stage.world.create_policy(stage.ids.acme, &params(json!({"name": name, "rules": rules})))
}

fn role(stage: &mut Stage, role: Value) -> Result<Role, WorldError> {
    stage.world.create_role(stage.ids.acme, &params(role), 9)
}

#[test]
fn a_sub_user_may_do_what_its_roles_allow_on_what_they_are_tagged_on() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let (bob, eve) = (user(&mut stage, "bob"), user(&mut stage, "eve"));
    policy(&mut stage, "read", json!("CAN getmachine, listmachines")).unwrap();
    policy(&mut stage, "stop", json!(["CAN stopmachine AND rebootmachine"])).unwrap();
    let members =
        json!([{"type": "subuser", "login": "bob", "default": true}, {"type": "subuser", "id": eve}]);
    let ops =
        role(&mut stage, json!({"name": "ops", "policies": [{"name": "read"}], "members": members})).unwrap();
    stage.world.set_role_tags(acme, "machines/M", &["ops".to_owned()]).unwrap();
    stage.world.set_role_tags(acme, "machines", &["ops".to_owned()]).unwrap();

    let of_bob = stage.world.active_roles(acme, bob, None).unwrap();
    assert_eq!(of_bob, [ops.id]);
    for (action, path, allowed) in [
        ("getmachine", "machines/M", true),
        ("getmachine", "machines/M/tags/x", true),
        ("getmachine", "machines/N", false),
        ("listmachines", "machines", true),
        ("stopmachine", "machines/M", false),
        ("getmachines", "machines/M", false),
        ("getmachine", "", false),
    ] {
        assert_eq!(stage.world.is_allowed(acme, &of_bob, action, path), allowed, "{action} {path}");
    }
    assert!(stage.world.active_roles(acme, eve, None).unwrap().is_empty());
    assert_eq!(stage.world.active_roles(acme, eve, Some("ops")).unwrap(), [ops.id]);
    let other = role(&mut stage, json!({"name": "other"})).unwrap();
    assert_eq!(stage.world.active_roles(acme, bob, Some("other")).unwrap_err().status(), 403);
    assert_eq!(stage.world.active_roles(acme, bob, Some("nonesuch")).unwrap_err().status(), 409);
    assert!(!stage.world.is_allowed(acme, &[other.id], "getmachine", "machines/M"));
    assert!(!stage.world.is_allowed(stage.ids.initech, &of_bob, "getmachine", "machines/M"));

    stage.world.update_role(acme, "ops", &params(json!({"policies": [{"name": "stop"}]})), 9).unwrap();
    assert!(stage.world.is_allowed(acme, &of_bob, "rebootmachine", "machines/M"));
    stage.world.delete_policy(acme, "stop").unwrap();
    assert!(!stage.world.is_allowed(acme, &of_bob, "rebootmachine", "machines/M"));
    stage.world.delete_role(acme, "ops").unwrap();
    assert!(stage.world.role_tags(acme, "machines/M").is_empty());
}

#[test]
fn administrators_may_do_everything_without_policies() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let bob = user(&mut stage, "bob");
    policy(&mut stage, "read", json!("CAN getmachine")).unwrap();
    let members = json!([{"type": "subuser", "login": "bob"}]);
    let with_policies = json!({"name": "administrator", "policies": [{"name": "read"}]});
    assert_eq!(refusal(role(&mut stage, with_policies)), (409, "InvalidArgument".to_owned()));
    role(&mut stage, json!({"name": "administrator", "members": members})).unwrap();
    let active = stage.world.active_roles(acme, bob, Some("administrator")).unwrap();
    assert!(stage.world.is_allowed(acme, &active, "deletemachine", "machines/X"));
}

#[test]
fn policy_rules_are_read() {
    let with_rules = |rules: &[&str]| Policy {
        id: Uuid::nil(),
        name: "p".to_owned(),
        rules: rules.iter().map(ToString::to_string).collect(),
        description: None,
    };
    for (rules, action, allowed) in [
        (&["CAN getmachine"][..], "getmachine", true),
        (&["can GetMachine and listmachines"], "listmachines", true),
        (&["CAN getmachine,listmachines"], "listmachines", true),
        (&["CAN *"], "anything", true),
        (&["* CAN getmachine"], "getmachine", true),
        (&["CAN getmachine WHEN sourceip = 10.0.0.0/8"], "getmachine", false),
        (&["CAN stopmachine", "CAN getmachine"], "getmachine", true),
        (&["CAN getmachine"], "get", false),
        (&[], "getmachine", false),
    ] {
        assert_eq!(with_rules(rules).allows(action), allowed, "{rules:?} {action}");
    }
    let mut stage = Stage::new();
    for rules in [json!("get machines"), json!("CAN"), json!("CAN WHEN x"), json!(["CAN x", "y"])] {
        let refused = policy(&mut stage, "p", rules.clone());
        assert_eq!(refusal(refused), (409, "InvalidArgument".to_owned()), "{rules}");
    }
    for rules in [json!(""), json!([]), json!(null)] {
        let refused = policy(&mut stage, "p", rules.clone());
        assert_eq!(refusal(refused), (409, "MissingParameter".to_owned()), "{rules}");
    }
    assert_eq!(policy(&mut stage, "p", json!("[\"CAN a\",\"CAN b\"]")).unwrap().rules.len(), 2);
    assert_eq!(refusal(policy(&mut stage, "p", json!("CAN a"))), (409, "InvalidArgument".to_owned()));
}

#[test]
fn roles_have_two_formats() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let bob = user(&mut stage, "bob");
    policy(&mut stage, "read", json!("CAN getmachine")).unwrap();
    let old = params(
        json!({"name": "old", "members": "bob", "default_members": ["bob"], "policies": "[\"read\"]"}),
    );
    let made = stage.world.create_role(acme, &old, 8).unwrap();
    assert_eq!(made.members, [Member { kind: MemberKind::SubUser, id: bob, default: true }]);
    assert_eq!(made.policies.len(), 1);
    let account = json!([{"type": "account", "login": "initech"}]);
    let made = role(&mut stage, json!({"name": "cross", "members": account})).unwrap();
    assert_eq!(made.members[0].id, Uuid::from(stage.ids.initech));
    for bad in [
        json!({}),
        json!({"name": "true"}),
        json!({"name": "old"}),
        json!({"name": "r", "members": "bob"}),
        json!({"name": "r", "members": ["bob"]}),
        json!({"name": "r", "members": [{"login": "bob"}]}),
        json!({"name": "r", "members": [{"type": "robot", "login": "bob"}]}),
        json!({"name": "r", "members": [{"type": "subuser", "login": "eve"}]}),
        json!({"name": "r", "members": [{"type": "subuser", "login": "bob", "default": 1}]}),
        json!({"name": "r", "members": [{"type": "subuser", "login": "bob", "color": 1}]}),
        json!({"name": "r", "policies": [{"name": "write"}]}),
        json!({"name": "r", "policies": [{"name": "read", "color": 1}]}),
    ] {
        assert_eq!(role(&mut stage, bad.clone()).unwrap_err().status(), 409, "{bad}");
    }
    stage.world.delete_user(acme, "bob").unwrap();
    assert!(stage.world.role(acme, "old").unwrap().members.is_empty());
}

#[test]
fn resources_are_named_by_the_beginning_of_their_paths() {
    for (path, resource) in [
        ("", ""),
        ("machines", "machines"),
        ("machines/M", "machines/M"),
        ("/machines/M/tags/role", "machines/M"),
        ("machines/M/snapshots/S", "machines/M"),
        ("users/U/keys", "users/U/keys"),
        ("users/U/keys/K", "users/U/keys/K"),
        ("users/U/change_password", "users/U"),
        ("fwrules/F/machines", "fwrules/F"),
        ("images/I", "images/I"),
        ("fabrics/default/vlans/2", "fabrics/default/vlans"),
    ] {
        assert_eq!(resource_of(path), resource, "{path}");
    }
}

#[test]
fn only_some_resources_can_be_tagged() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    for name in ["b", "a"] {
        role(&mut stage, json!({"name": name})).unwrap();
    }
    let names = ["b".to_owned(), "a".to_owned()];
    assert_eq!(stage.world.set_role_tags(acme, "", &names).unwrap(), ["a", "b"]);
    assert_eq!(stage.world.set_role_tags(acme, "volumes/V", &names).unwrap_err().status(), 404);
    let unknown = ["c".to_owned()];
    assert_eq!(stage.world.set_role_tags(acme, "images", &unknown).unwrap_err().status(), 409);
    stage.world.set_role_tags(acme, "images/I", &names).unwrap();
    stage.world.forget_role_tags(acme, "images/I");
    assert!(stage.world.role_tags(acme, "images/I").is_empty());
    assert!(stage.world.set_role_tags(acme, "", &[]).unwrap().is_empty());
}

#[test]
fn sub_users_have_fields_and_keys() {
    let mut stage = Stage::new();
    let (now, acme) = (stage.now, stage.ids.acme);
    let bob = user(&mut stage, "bob");
    for bad in [
        json!({"login": "eve", "email": "e@example.com"}),
        json!({"login": "eve", "password": "secret123"}),
        json!({"login": "eve", "email": "nobody", "password": "secret123"}),
        json!({"login": "eve", "email": "e@example.com", "password": "short"}),
        json!({"login": "e", "email": "e@example.com", "password": "secret123"}),
        json!({"login": "bob", "email": "e@example.com", "password": "secret123"}),
    ] {
        assert_eq!(
            stage.world.create_user(now, acme, &params(bad.clone())).unwrap_err().status(),
            409,
            "{bad}"
        );
    }
    let change = params(json!({"login": "rob", "firstName": "Robert", "phone": "1"}));
    let changed = stage.world.update_user(now, acme, "bob", &change).unwrap();
    assert_eq!(
        (changed.id, changed.login.as_str(), changed.profile["firstName"].as_str()),
        (bob, "rob", "Robert")
    );
    let cleared = stage.world.update_user(now, acme, "rob", &params(json!({"phone": ""}))).unwrap();
    assert!(!cleared.profile.contains_key("phone"));
    let differ = params(json!({"password": "secret123", "password_confirmation": "secret124"}));
    assert_eq!(stage.world.change_password(now, acme, "rob", &differ).unwrap_err().status(), 409);
    let same = params(json!({"password": "secret123", "password_confirmation": "secret123"}));
    stage.world.change_password(now, acme, &bob.to_string(), &same).unwrap();
    let key = stage.world.create_user_key(now, acme, "rob", &params(json!({"key": KEYS[1]}))).unwrap();
    assert_eq!(stage.world.user_key(acme, "rob", &key.fingerprint).unwrap().name, key.fingerprint);
    stage.world.delete_user_key(acme, "rob", &key.name).unwrap();
    assert_eq!(stage.world.user_key(acme, "rob", &key.name).unwrap_err().status(), 404);
    stage.world.delete_user(acme, "rob").unwrap();
    assert_eq!(stage.world.user(acme, "rob").unwrap_err().status(), 404);
}
