//! `instance nic`, `instance disk` and `instance snapshot`.

use serde_json::json;
use tokio::join;
use triton_sim::cloudapi::Operation;

use super::stage::{Stage, column, texts};

/// Together, for most of their time passes with waiting.
#[tokio::test(flavor = "multi_thread")]
async fn nics_disks_and_snapshots() {
    join!(nics(), disks(), snapshots());
}

async fn nics() {
    let Some(stage) = Stage::slow().await else { return };
    let id = stage.instance("web", &["-N", "external"]).await;
    let fabric = stage.simulator.ids().fabric.to_string();

    let said = stage.lines(&["inst", "nic", "create", "-w", "-j", "web", "My-Fabric-Network"]).await;
    let nic = said.last().unwrap();
    assert_eq!(texts(nic, ["state", "network"]), ["running", &fabric]);
    assert!(stage.requests(Operation::GetNic) > 1, "it asked more than once");
    let mac = nic["mac"].as_str().unwrap();
    let nics = stage.lines(&["inst", "nic", "list", "-j", "web"]).await;
    assert_eq!(nics.len(), 2);
    assert_eq!(column(&nics, "network")[1], fabric);
    let found = stage.json(&["inst", "nic", "get", "-j", &id, mac]).await;
    assert_eq!(texts(&found, ["mac", "ip"]), texts(nic, ["mac", "ip"]));
    let again = stage.refused(1, &["inst", "nic", "create", "web", "My-Fabric-Network"]).await;
    assert!(again.contains("Instance already has a NIC on that network"), "{again}");

    let said = stage.ok(&["inst", "nic", "delete", "-f", "web", mac]).await.out;
    assert_eq!(said, format!("Deleted NIC {mac}\n"));
    stage.until("the NIC is gone", || stage.simulator.control().read(|world| world.pending() == 0)).await;
    assert_eq!(stage.lines(&["inst", "nic", "list", "-j", "web"]).await.len(), 1);
    let gone = stage.refused(1, &["inst", "nic", "get", "web", mac]).await;
    assert!(gone.contains("(ResourceNotFound)"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nic_with_a_chosen_address() {
    let Some(stage) = Stage::up().await else { return };
    stage.instance("web", &["-N", "external"]).await;
    let network = format!("ipv4_uuid={}", stage.simulator.ids().fabric);
    let nic = ["inst", "nic", "create", "-j", "web", &network, "ipv4_ips=192.168.130.5"];
    assert_eq!(stage.json(&nic).await["ip"], "192.168.130.5");
}

async fn disks() {
    let Some(stage) = Stage::slow().await else { return };
    let create = ["create", "-w", "-j", "-n", "vm", "--disk", "{}", "--disk", r#"{"size": 2048}"#];
    let said = stage.lines(&[&create[..], &["ubuntu-24.04", "b1.medium"]].concat()).await;
    let (id, brand) = (said[1]["id"].as_str().unwrap(), &said[1]["brand"]);
    assert_eq!((brand, &said[1]["state"]), (&"bhyve".into(), &"running".into()));

    let disks = stage.lines(&["inst", "disk", "list", "-j", "vm"]).await;
    let sizes: Vec<_> = disks.iter().map(|disk| disk["size"].as_u64().unwrap()).collect();
    assert_eq!((sizes, &disks[0]["boot"]), (vec![10_240, 2_048], &true.into()));
    let refused = stage.refused(1, &["inst", "disk", "add", "vm", "1024"]).await;
    assert!(refused.contains("(VmNotStopped)"), "{refused}");

    stage.ok(&["inst", "stop", "-w", id]).await;
    let said = stage.ok(&["inst", "disk", "add", "-w", "vm", "1024"]).await.out;
    assert!(said.contains("Added disk \""), "{said}");
    let disks = stage.lines(&["inst", "disk", "list", "-j", "vm"]).await;
    let added = disks.iter().find(|disk| disk["size"] == 1024).unwrap()["id"].as_str().unwrap();
    stage.ok(&["inst", "disk", "resize", "-w", "vm", added, "4096"]).await;
    // It has no option for JSON, and prints nothing else.
    assert_eq!(stage.json(&["inst", "disk", "get", "vm", added]).await["size"], 4096);
    stage.ok(&["inst", "disk", "delete", "-w", "vm", added]).await;
    assert_eq!(stage.lines(&["inst", "disks", "-j", "vm"]).await.len(), 2);
    let gone = stage.refused(3, &["inst", "disk", "get", "vm", added]).await;
    assert!(gone.contains("(ResourceNotFound)"), "{gone}");
    let refused = stage.refused(1, &["inst", "disk", "add", "vm", "999999999"]).await;
    assert!(refused.contains("(InsufficientDiskSpace)"), "{refused}");
}

async fn snapshots() {
    let Some(stage) = Stage::slow().await else { return };
    let id = stage.instance("web", &[]).await;
    let said = stage.ok(&["inst", "snapshot", "create", "-w", "-n", "before", "web"]).await.out;
    assert!(said.contains("Created snapshot \"before\" in "), "{said}");
    assert!(stage.requests(Operation::GetMachineSnapshot) > 1, "it asked more than once");
    let snapshots = stage.lines(&["inst", "snapshot", "list", "-j", "web"]).await;
    assert_eq!(texts(&snapshots[0], ["name", "state"]), ["before", "created"]);
    assert_eq!(snapshots.len(), 1);
    assert_eq!(stage.json(&["inst", "snapshot", "get", "-j", &id, "before"]).await["name"], "before");
    assert_eq!(column(&stage.lines(&["inst", "snapshots", "-j", "web"]).await, "name"), ["before"]);

    stage.ok(&["inst", "start", "-w", "--snapshot", "before", "web"]).await;
    stage.until("it is rolled back", || stage.simulator.control().read(|world| world.pending() == 0)).await;
    let audit = stage.lines(&["inst", "audit", "-j", "web"]).await;
    assert_eq!(texts(&audit[0], ["action", "success"]), ["rollback_snapshot", "yes"]);

    let said = stage.ok(&["inst", "snapshot", "delete", "-f", "-w", "web", "before"]).await.out;
    assert!(said.contains("Deleted snapshot \"before\" in "), "{said}");
    assert_eq!(stage.lines(&["inst", "snapshot", "list", "-j", "web"]).await, [] as [serde_json::Value; 0]);
    let gone = stage.refused(1, &["inst", "snapshot", "get", "web", "before"]).await;
    assert!(gone.contains("(ResourceNotFound)"), "{gone}");
    assert_eq!(stage.json(&["inst", "get", "-j", "web"]).await["tags"], json!({}));
}
