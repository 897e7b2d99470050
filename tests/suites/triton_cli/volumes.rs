//! `volume`, and volumes of instances.

use serde_json::json;
use triton_sim::cloudapi::Operation;

use super::stage::{Stage, column, texts};

#[tokio::test(flavor = "multi_thread")]
async fn volumes() {
    let Some(stage) = Stage::slow().await else { return };
    let sizes = stage.lines(&["volume", "sizes", "-j"]).await;
    assert_eq!(sizes[0], json!({"type": "tritonnfs", "size": 10_240}));

    let create = ["volume", "create", "-w", "-j", "-n", "data", "-s", "20G", "-N", "My-Fabric-Network"];
    let volume = stage.json(&[&create[..], &["--tag", "role=db"]].concat()).await;
    assert!(stage.requests(Operation::GetVolume) > 1, "it asked more than once");
    assert_eq!(texts(&volume, ["name", "type", "state"]), ["data", "tritonnfs", "ready"]);
    let networks = json!([stage.simulator.ids().fabric.to_string()]);
    assert_eq!(
        (&volume["size"], &volume["networks"], &volume["tags"]),
        (&20_480.into(), &networks, &json!({"role": "db"}))
    );
    let id = volume["id"].as_str().unwrap();
    for name in ["data", id, &id[..8]] {
        assert_eq!(stage.json(&["volume", "get", "-j", name]).await["id"], id, "{name}");
    }
    assert_eq!(column(&stage.lines(&["volumes", "-j", "state=ready", "name=data"]).await, "name"), ["data"]);
    assert_eq!(stage.lines(&["volume", "list", "-j", "name=other"]).await.len(), 0);

    let again = stage.refused(1, &["volume", "create", "-n", "data", "-s", "20G"]).await;
    assert!(again.starts_with("triton volume create: error (VolumeAlreadyExists): "), "{again}");
    let size = stage.refused(1, &["volume", "create", "-n", "odd", "-s", "11G"]).await;
    assert!(size.starts_with("triton volume create: error: volume size not available, "), "{size}");

    // An instance that mounts it keeps it.
    let mount = ["-N", "My-Fabric-Network", "-v", "data:/data:rw"];
    let web = stage.instance("web", &mount).await;
    let used = stage.refused(1, &["volume", "delete", "-f", "data"]).await;
    assert!(used.contains("VolumeInUse"), "{used}");
    stage.ok(&["rm", "-f", "-w", &web]).await;
    let said = stage.ok(&["volume", "delete", "-f", "-w", "data"]).await.out;
    assert!(said.ends_with("Deleted volume data\n"), "{said}");
    let gone = stage.refused(3, &["volume", "get", "data"]).await;
    assert!(gone.starts_with("triton volume get: error (ResourceNotFound): "), "{gone}");
}
