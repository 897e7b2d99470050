//! `profile`, `profiles` and `env`, but for the certificates of profiles.

use serde_json::json;
use triton_sim::cloudapi::Operation;

use super::stage::{Stage, column};

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_made_chosen_and_deleted() {
    let Some(stage) = Stage::up().await else { return };
    let env = stage.json(&["profile", "get", "-j"]).await;
    assert_eq!((&env["name"], &env["account"]), (&"env".into(), &"acme".into()));

    let profile = json!({"name": "sim", "url": stage.simulator.url(), "account": "acme",
        "keyId": stage.key.fingerprint, "insecure": false});
    let file = stage.cli.home().join("sim.json");
    std::fs::write(&file, profile.to_string()).unwrap();
    let create = ["profile", "create", "--no-docker", "-y", "-f", file.to_str().unwrap()];
    let made = stage.ok(&create).await;
    assert!(made.out.contains("Saved profile \"sim\"."), "{made:?}");
    let again = stage.refused(1, &create).await;
    assert!(again.contains("profile \"sim\" already exists"), "{again}");

    let profiles = stage.lines(&["profile", "list", "-j"]).await;
    assert_eq!(column(&profiles, "name"), ["env", "sim"]);
    let account = stage.json(&["-p", "sim", "account", "get", "-j"]).await;
    assert_eq!(account["login"], "acme");
    let exports = stage.ok(&["env", "-t", "sim"]).await.out;
    assert!(exports.contains("export TRITON_PROFILE=\"sim\"\n"), "{exports}");
    let none = stage.refused(1, &["env", "-d", "sim"]).await;
    assert!(none.contains("could not find Docker environment setup for profile \"sim\""), "{none}");

    let said = stage.ok(&["profile", "set-current", "sim"]).await.out;
    assert_eq!(said, "Set \"sim\" as current profile\n");
    let profiles = stage.lines(&["profiles", "-j"]).await;
    let current: Vec<_> = profiles.iter().filter(|it| it["curr"] == true).collect();
    assert_eq!(column(current, "name"), ["sim"]);
    let current = stage.refused(1, &["profile", "delete", "sim"]).await;
    assert!(current.contains("cannot delete the current profile"), "{current}");
    let said = stage.ok(&["profile", "delete", "-f", "sim"]).await.out;
    assert!(said.contains("Deleted profile \"sim\"\n"), "{said}");
    let gone = stage.refused(1, &["-p", "sim", "account", "get"]).await;
    assert_eq!(gone, "triton account: error (Config): no such profile: sim\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_with_a_key_that_is_nowhere_sends_nothing() {
    let Some(mut stage) = Stage::up().await else { return };
    stage.cli.set("TRITON_KEY_ID", "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff");
    let refused = stage.refused(1, &["account", "get"]).await;
    assert!(refused.starts_with("triton account get: error"), "{refused}");
    assert_eq!(stage.requests(Operation::GetAccount), 0);
}
