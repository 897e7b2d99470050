//! The commands that stand for others, such as `images` for `image list`, and `ssh`, which starts another program.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use tokio::join;

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_the_same_by_their_short_names() {
    let Some(stage) = Stage::up().await else { return };
    stage.instance("web", &["-t", "role=web", "-N", "My-Fabric-Network"]).await;
    stage.ok(&["inst", "snapshot", "create", "-w", "-n", "before", "web"]).await;
    for (short, long) in [
        (&["instances"][..], &["instance", "list"][..]),
        (&["keys"], &["key", "list"]),
        (&["profiles"], &["profile", "list"]),
        (&["instance", "snapshots", "web"], &["instance", "snapshot", "list", "web"]),
        (&["instance", "tags", "web"], &["instance", "tag", "list", "web"]),
        (&["instance", "metadatas", "web"], &["instance", "metadata", "list", "web"]),
    ] {
        let (short, long) = ([short, &["-j"]].concat(), [long, &["-j"]].concat());
        let (mut said, mut expected) = join!(stage.lines(&short), stage.lines(&long));
        for row in said.iter_mut().chain(&mut expected) {
            // It differs between the two.
            row.as_object_mut().unwrap().remove("age");
        }
        assert_eq!(said, expected, "{short:?}");
        assert!(said.iter().any(|row| *row != json!({})), "{short:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_lives_by_short_commands() {
    let Some(stage) = Stage::up().await else { return };
    let made = stage.lines(&["create", "-w", "-j", "-n", "web", "base-64-lts", "g1.nano"]).await;
    let id = made[1]["id"].as_str().unwrap();
    assert!(stage.ok(&["stop", "-w", "web"]).await.out.starts_with("Stop instance web ("));
    assert_eq!(stage.state(id), "stopped");
    assert!(stage.ok(&["start", "-w", "web"]).await.out.starts_with("Start instance web ("));
    assert_eq!(stage.state(id), "running");
    assert_eq!(
        stage.ok(&["reboot", "-w", "web"]).await.out,
        "Rebooting instance web\nRebooted instance web\n"
    );
    let address = stage.ok(&["ip", "web"]).await.out;
    let instance: Value = stage.json(&["instance", "get", "-j", "web"]).await;
    assert_eq!(instance["primaryIp"], address.trim());
    stage.ok(&["delete", "-f", "-w", "web"]).await;
    assert_eq!(stage.state(id), "deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_is_told_where_to_and_as_whom() {
    let Some(mut stage) = Stage::up().await else { return };
    // In its place, a program that says how it was called, and ends with a code of its own.
    let programs = stage.cli.home().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let ssh = programs.join("ssh");
    std::fs::write(&ssh, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    stage.cli.set("PATH", &format!("{}:{path}", programs.display()));

    let bastion = stage.instance("bastion", &["-N", "external"]).await;
    let more =
        ["-N", "My-Fabric-Network", "-t", "tritoncli.ssh.proxy=bastion", "-t", "tritoncli.ssh.port=2222"];
    let hidden = stage.instance("hidden", &more).await;
    let address = async |id: &str| stage.ok(&["ip", id]).await.out.trim().to_owned();
    let (bastion, hidden) = (address(&bastion).await, address(&hidden).await);
    for (command, expected) in [
        (&["ssh", "bastion", "uname", "-a"][..], format!("-p 22 -l root {bastion} uname -a")),
        (&["instance", "ssh", "joe@bastion"], format!("-p 22 -l joe {bastion}")),
        (&["ssh", "hidden"], format!("-p 2222 -o ProxyJump=root@{bastion} -l root {hidden}")),
    ] {
        let said = stage.cli.run(command).await.unwrap();
        assert_eq!(said.code, Some(7), "{said:?}");
        assert!(said.out.trim_end().ends_with(&expected), "{said:?}");
    }
    let missing = stage.refused(3, &["ssh", "nobody"]).await;
    assert!(missing.starts_with("triton instance ssh: error (ResourceNotFound): "), "{missing}");
}
