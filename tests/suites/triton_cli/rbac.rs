//! `rbac`: sub-users, roles, policies, role tags, and what a sub-user may do.
//!
//! Left out are the editors (`-e`) and `--dev-create-keys-and-profiles`. `rbac apply` changes no users or roles that
//! are there: the released CLI breaks off when it tries to. For the same reason nothing is said here about what
//! `rbac info` shows of roles: it expects them as they were before version 9 of the API.

use serde_json::{Value, json};
use suites::triton_cli::{KeyFiles, KeyType};

use super::stage::{Stage, column, texts};

/// Adds an object from a file.
async fn add(stage: &Stage, kind: &str, object: Value) -> String {
    let file = stage.cli.home().join("object.json");
    std::fs::write(&file, object.to_string()).unwrap();
    stage.ok(&["rbac", kind, "-a", file.to_str().unwrap()]).await.out
}

/// Adds the sub-user `bob`.
async fn add_bob(stage: &Stage) {
    let bob =
        json!({"login": "bob", "password": "s3cret-word", "email": "bob@example.com", "firstName": "Bob"});
    assert_eq!(add(stage, "user", bob).await, "Created user \"bob\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_keys_policies_and_roles() {
    let Some(stage) = Stage::up().await else { return };
    add_bob(&stage).await;
    let users = stage.lines(&["rbac", "users", "-j"]).await;
    assert_eq!(texts(&users[0], ["login", "email", "firstName"]), ["bob", "bob@example.com", "Bob"]);
    let id = users[0]["id"].as_str().unwrap();

    let key = KeyFiles::make(&stage.cli.home().join("bob"), KeyType::Ecdsa).await.unwrap();
    let public = key.path.with_extension("pub");
    let said = stage.ok(&["rbac", "key", "-a", "-n", "laptop", "bob", public.to_str().unwrap()]).await.out;
    assert_eq!(said, format!("Added user bob key \"{}\" (laptop)\n", key.fingerprint));
    let keys = stage.lines(&["rbac", "keys", "-j", "bob"]).await;
    assert_eq!(texts(&keys[0], ["name", "fingerprint"]), ["laptop", &key.fingerprint]);
    assert_eq!(stage.json(&["rbac", "key", "-j", "bob", "laptop"]).await, keys[0]);

    let policy = json!({"name": "look", "rules": ["CAN listmachines, getmachine"], "description": "Look"});
    assert_eq!(add(&stage, "policy", policy).await, "Created policy \"look\"\n");
    let policy = stage.json(&["rbac", "policy", "-j", "look"]).await;
    assert_eq!(texts(&policy, ["name", "description"]), ["look", "Look"]);
    assert_eq!(column(&stage.lines(&["rbac", "policies", "-j"]).await, "name"), ["look"]);

    let member = json!({"type": "subuser", "login": "bob", "default": true});
    let role = json!({"name": "watchers", "members": [member], "policies": [{"name": "look"}]});
    assert_eq!(add(&stage, "role", role).await, "Created role \"watchers\"\n");
    let role = stage.json(&["rbac", "role", "-j", "watchers"]).await;
    assert_eq!(texts(&role["members"][0], ["type", "login", "id"]), ["subuser", "bob", id]);
    assert_eq!(
        (&role["members"][0]["default"], &role["policies"][0]["name"]),
        (&true.into(), &"look".into())
    );
    assert_eq!(column(&stage.lines(&["rbac", "roles", "-j"]).await, "name"), ["watchers"]);

    let bob = stage.json(&["rbac", "user", "-j", "-r", "-k", id]).await;
    assert_eq!((&bob["roles"], &bob["default_roles"]), (&json!(["watchers"]), &json!(["watchers"])));
    assert_eq!(bob["keys"][0]["name"], "laptop");
    let info = stage.ok(&["rbac", "info", "--no-color", "-a"]).await.out;
    assert!(info.starts_with("users (1):\n    bob (Bob): role "), "{info}");
    assert!(info.ends_with("look (Look) rules:\n        CAN listmachines, getmachine\n"), "{info}");

    let again = stage.cli.home().join("object.json");
    let again = stage.refused(1, &["rbac", "role", "-a", again.to_str().unwrap()]).await;
    assert!(again.starts_with("triton rbac role: error ("), "{again}");
    for (kind, name, said) in [
        ("role", "watchers", "Deleted role \"watchers\"\n"),
        ("policy", "look", "Deleted policy \"look\"\n"),
        ("user", "bob", "Deleted user \"bob\"\n"),
    ] {
        if kind == "user" {
            let said = stage.ok(&["rbac", "key", "-d", "-y", "bob", "laptop"]).await.out;
            assert_eq!(said, "Deleted user bob key \"laptop\"\n");
        }
        assert_eq!(stage.ok(&["rbac", kind, "-d", "-y", name]).await.out, said);
        let gone = stage.cli.run(&["rbac", kind, name]).await.unwrap();
        assert!(gone.code != Some(0) && gone.err.contains("(ResourceNotFound)"), "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_applied() {
    let Some(stage) = Stage::up().await else { return };
    let file = stage.cli.home().join("rbac.json");
    let apply = async |config: Value| {
        std::fs::write(&file, config.to_string()).unwrap();
        stage.ok(&["rbac", "apply", "-y", "-f", file.to_str().unwrap()]).await.out
    };
    let user = |login: &str| json!({"login": login, "email": format!("{login}@example.com")});
    apply(json!({
        "users": [user("ann"), user("bob")],
        "policies": [{"name": "look", "rules": ["CAN listmachines"]}],
        "roles": [{"name": "watchers", "policies": [{"name": "look"}],
            "members": [{"type": "subuser", "login": "ann", "default": true}]}],
    }))
    .await;
    assert_eq!(column(&stage.lines(&["rbac", "users", "-j"]).await, "login"), ["ann", "bob"]);
    let role = stage.json(&["rbac", "role", "-j", "watchers"]).await;
    assert_eq!(role["members"][0]["login"], "ann");

    // What is not in the new configuration goes, what differs is updated.
    apply(json!({
        "users": [user("ann")],
        "policies": [{"name": "look", "rules": ["CAN listmachines", "CAN getmachine"]}],
        "roles": [],
    }))
    .await;
    let users = stage.lines(&["rbac", "users", "-j"]).await;
    assert_eq!(column(&users, "login"), ["ann"]);
    let policy = stage.json(&["rbac", "policy", "-j", "look"]).await;
    assert_eq!(policy["rules"], json!(["CAN getmachine", "CAN listmachines"]));
    assert_eq!(stage.lines(&["rbac", "roles", "-j"]).await.len(), 0);

    stage.ok(&["rbac", "reset", "-y"]).await;
    for kind in ["users", "roles", "policies"] {
        assert_eq!(stage.lines(&["rbac", kind, "-j"]).await, [] as [Value; 0], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_user_may_do_what_its_roles_allow_on_what_they_tag() {
    let Some(mut stage) = Stage::up().await else { return };
    let instance = stage.instance("web", &[]).await;
    let key = KeyFiles::make(&stage.cli.key_path("id_bob"), KeyType::Ed25519).await.unwrap();
    add_bob(&stage).await;
    let public = key.path.with_extension("pub");
    stage.ok(&["rbac", "key", "-a", "bob", public.to_str().unwrap()]).await;
    add(&stage, "policy", json!({"name": "look", "rules": ["CAN getmachine", "CAN listmachines"]})).await;
    let member = json!({"type": "subuser", "login": "bob", "default": false});
    add(&stage, "role", json!({"name": "watchers", "members": [member], "policies": [{"name": "look"}]}))
        .await;

    let said = stage.ok(&["rbac", "instance-role-tags", "-a", "watchers", "web"]).await.out;
    assert_eq!(said, "Adding 1 role tag (watchers) to instance \"web\"\n");
    assert_eq!(stage.json(&["rbac", "instance-role-tags", "-j", "web"]).await, json!(["watchers"]));
    stage.ok(&["rbac", "role-tags", "-y", "-s", "watchers", "/acme/machines"]).await;
    assert_eq!(stage.json(&["rbac", "role-tags", "-j", "/acme/machines"]).await, json!(["watchers"]));

    stage.cli.set("TRITON_USER", "bob");
    stage.cli.set("TRITON_KEY_ID", &key.fingerprint);
    // He must say the role, for it is none of his default ones.
    let refused = stage.refused(1, &["inst", "get", &instance]).await;
    assert!(refused.starts_with("triton instance get: error (NotAuthorized): "), "{refused}");
    assert_eq!(stage.json(&["-r", "watchers", "inst", "get", "-j", &instance]).await["name"], "web");
    assert_eq!(stage.json(&["-r", "watchers", "cloudapi", "/acme/machines"]).await[0]["name"], "web");
    let refused = stage.refused(1, &["-r", "watchers", "inst", "tag", "set", &instance, "a=b"]).await;
    assert!(refused.starts_with("triton instance tag set: error (NotAuthorized): "), "{refused}");
    let refused = stage.refused(1, &["-r", "nobody", "inst", "get", &instance]).await;
    assert!(refused.starts_with("triton instance get: error (NotAuthorized): "), "{refused}");

    stage.cli.set("TRITON_USER", "");
    stage.cli.set("TRITON_KEY_ID", &stage.key.fingerprint.clone());
    stage.ok(&["rbac", "instance-role-tags", "-d", "watchers", "-y", "web"]).await;
    assert_eq!(stage.json(&["rbac", "instance-role-tags", "-j", "web"]).await, json!([]));
    for (command, name) in [
        ("image-role-tags", "base-64-lts"),
        ("network-role-tags", "external"),
        ("package-role-tags", "g1.nano"),
    ] {
        stage.ok(&["rbac", command, "-y", "-s", "watchers", name]).await;
        assert_eq!(stage.json(&["rbac", command, "-j", name]).await, json!(["watchers"]), "{command}");
    }
    stage.ok(&["rbac", "role-tags", "-D", "-y", "/acme/machines"]).await;
    assert_eq!(stage.json(&["rbac", "role-tags", "-j", "/acme/machines"]).await, json!([]));
}
