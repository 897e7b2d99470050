//! `fwrule` and `instance fwrules`.

use super::stage::{Stage, column, texts};

#[tokio::test(flavor = "multi_thread")]
async fn firewall_rules() {
    let Some(stage) = Stage::up().await else { return };
    let web = stage.instance("web", &["-t", "role=web", "--firewall"]).await;
    stage.instance("database", &["-t", "role=db"]).await;

    // Rules come back in their canonical form.
    let rule = "FROM any TO tag role = web ALLOW tcp (PORT 443 AND PORT 80)";
    let said = stage.ok(&["fwrule", "create", "-D", "web", "-l", rule]).await.out;
    let id = said.strip_prefix("Created firewall rule ").unwrap_or_else(|| panic!("{said:?}")).trim();
    let made = stage.json(&["fwrule", "get", "-j", id]).await;
    let canonical = r#"FROM any TO tag "role" = "web" ALLOW tcp (PORT 80 AND PORT 443)"#;
    assert_eq!(texts(&made, ["rule", "description"]), [canonical, "web"]);
    assert_eq!((&made["enabled"], &made["log"]), (&true.into(), &true.into()));
    let all = ["fwrule", "create", "-d", "FROM any TO all vms ALLOW icmp TYPE 8 CODE 0"];
    let said = stage.ok(&all).await.out;
    let second = said.strip_prefix("Created firewall rule ").and_then(|it| it.strip_suffix(" (disabled)\n"));
    let second = second.unwrap_or_else(|| panic!("{said:?}"));

    assert_eq!(stage.json(&["fwrule", "get", "-j", &id[..8]]).await, made);
    let mut ids = [id, second];
    ids.sort_unstable();
    assert_eq!(column(&stage.lines(&["fwrule", "list", "-j"]).await, "id"), ids);
    assert_eq!(column(&stage.lines(&["fwrules", "-j"]).await, "id"), ids);
    let instances = stage.lines(&["fwrule", "instances", "-j", id]).await;
    assert_eq!(column(&instances, "id"), [&web]);
    let instances = stage.lines(&["fwrule", "instances", "-j", second]).await;
    assert_eq!(column(&instances, "name"), ["database", "web"]);
    assert_eq!(column(&stage.lines(&["inst", "fwrules", "-j", "web"]).await, "id"), ids);
    assert_eq!(column(&stage.lines(&["inst", "fwrule", "list", "-j", "database"]).await, "id"), [second]);

    let said = stage.ok(&["fwrule", "enable", second]).await.out;
    assert_eq!(said, format!("Enabled firewall rule {second}\n"));
    assert_eq!(stage.json(&["fwrule", "get", "-j", second]).await["enabled"], true);
    stage.ok(&["fwrule", "disable", second]).await;
    assert_eq!(stage.json(&["fwrule", "get", "-j", second]).await["enabled"], false);
    let said = stage.ok(&["fwrule", "update", id, "rule=FROM any TO tag role = web BLOCK udp PORT 53"]).await;
    assert_eq!(said.out, format!("Updated firewall rule {id} (fields: rule)\n"));
    let updated = stage.json(&["fwrule", "get", "-j", id]).await;
    assert_eq!(updated["rule"], r#"FROM any TO tag "role" = "web" BLOCK udp PORT 53"#);

    let refused = stage.refused(1, &["fwrule", "create", "FROM nowhere TO nowhere"]).await;
    assert!(refused.starts_with("triton fwrule create: error (InvalidParameters): "), "{refused}");
    let refused = stage.refused(1, &["fwrule", "create", "FROM any TO any ALLOW tcp PORT 22"]).await;
    assert!(refused.starts_with("triton fwrule create: error (InvalidParameters): "), "{refused}");

    let said = stage.ok(&["fwrule", "delete", "-f", id, &second[..8]]).await.out;
    assert!(said.contains(&format!("Deleted rule {id}\n")), "{said}");
    assert_eq!(stage.lines(&["fwrule", "list", "-j"]).await.len(), 0);
    let refused = stage.refused(3, &["fwrule", "get", id]).await;
    assert!(refused.starts_with("triton fwrule get: error (ResourceNotFound): "), "{refused}");
}
