//! `profile`, `profiles` and `env`, but for the certificates of profiles.

use serde_json::json;

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
async fn a_profile_that_leads_nowhere_fails() {
    let Some(mut stage) = Stage::up().await else { return };
    // Nobody listens on port 1.
    stage.cli.set("TRITON_URL", "http://127.0.0.1:1");
    let refused = stage.refused(1, &["account", "get"]).await;
    assert!(
        refused.starts_with("triton account get: error") && refused.contains("ECONNREFUSED"),
        "{refused}"
    );
    stage.cli.set("TRITON_URL", stage.simulator.url().to_owned().as_str());
    stage.cli.set("TRITON_KEY_ID", "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff");
    let refused = stage.refused(1, &["account", "get"]).await;
    assert!(refused.starts_with("triton account get: error"), "{refused}");
    // It has not even asked.
    assert_eq!(stage.requests(triton_sim::cloudapi::Operation::GetAccount), 0);
}
