use super::{ID, OTHER, check, check_delete, check_get, check_objects, id, object, objects};
use crate::server::Answer;
use serde_json::{Value, json};
use triton::Kind;
use triton::client::AddedNic;
use triton::types::{AddNic, CreateDisk, CreateSnapshot, DiskSize, NetworkRequest, ResizeDisk};

const MAC: &str = "90:b8:d0:80:ec:ae";

#[tokio::test(start_paused = true)]
async fn nics_are_found_by_mac_without_colons() {
    let mac = MAC.parse().unwrap();
    let nic = json!({"mac": MAC, "primary": true, "state": "running"});
    let nics =
        check_get("/acme/machines/ID/nics", json!([nic, {"mac": 7}]), async |c| c.list_nics(id()).await)
            .await;
    check_objects(&nics);
    let target = "/acme/machines/ID/nics/90b8d080ecae";
    assert!(check_get(target, nic, async |c| c.get_nic(id(), mac).await).await.primary);
    check_delete(target, async |c| c.remove_nic(id(), mac).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_nic_is_added_or_there_already() {
    let any = AddNic { network: NetworkRequest::Any(id()), primary: Some(true) };
    let request = "POST /acme/machines/ID/nics";
    let answer = Answer::json(201, json!({"mac": MAC, "state": "provisioning"}));
    let body = json!({"network": ID, "primary": true});
    let added = check(request, body, answer, async |c| c.add_nic(id(), &any).await).await.unwrap();
    assert!(matches!(&added, AddedNic::Added(nic) if nic.mac.to_string() == MAC), "{added:?}");

    let chosen = AddNic {
        network: NetworkRequest::Address { network: id(), ip: [10, 0, 0, 5].into() },
        primary: None,
    };
    let add = async |answer| {
        let body = json!({"network": {"ipv4_uuid": ID, "ipv4_ips": ["10.0.0.5"]}});
        check(request, body, answer, async |c| c.add_nic(id(), &chosen).await).await
    };
    let there = Answer::text(302, "").header("location", "/acme/machines/x/nics/90b8d080ecae");
    assert_eq!(add(there).await.unwrap(), AddedNic::AlreadyThere(MAC.parse().unwrap()));
    for answer in [Answer::text(302, ""), Answer::text(302, "").header("location", "/acme")] {
        assert_eq!(add(answer).await.unwrap_err().kind(), Kind::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn disks_are_listed_made_resized_and_deleted() {
    let disks = check_get("/acme/machines/ID/disks", objects(), async |c| c.list_disks(id()).await).await;
    check_objects(&disks);
    let disk = OTHER.parse().unwrap();
    let target = format!("/acme/machines/ID/disks/{OTHER}");
    check_get(&target, object(), async |c| c.get_disk(id(), disk).await).await;
    let create =
        |pci_slot: Option<&str>| CreateDisk { size: DiskSize::Remaining, pci_slot: pci_slot.map(Into::into) };
    let made = check(
        "POST /acme/machines/ID/disks",
        json!({"size": "remaining"}),
        Answer::text(202, ""),
        async |c| c.create_disk(id(), &create(None)).await,
    );
    assert_eq!(made.await.unwrap(), None);
    let made = check(
        "POST /acme/machines/ID/disks",
        json!({"size": "remaining", "pci_slot": "0:4:1"}),
        Answer::json(200, object()),
        async |c| c.create_disk(id(), &create(Some("0:4:1"))).await,
    );
    assert_eq!(made.await.unwrap().unwrap().id.to_string(), ID);
    let resize = ResizeDisk { size_mib: 20_480, dangerous_allow_shrink: false };
    check(&format!("POST {target}"), json!({"size": 20480}), Answer::text(200, ""), async |c| {
        c.resize_disk(id(), disk, &resize).await
    })
    .await
    .unwrap();
    check_delete(&target, async |c| c.delete_disk(id(), disk).await).await;
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_listed_made_restored_and_deleted() {
    let snapshot = json!({"name": "before/upgrade", "state": "queued"});
    let answer = json!([snapshot, {"state": "created"}]);
    let all = check_get("/acme/machines/ID/snapshots", answer, async |c| c.list_snapshots(id()).await).await;
    check_objects(&all);
    let target = "/acme/machines/ID/snapshots/before%2Fupgrade";
    let name = "before/upgrade";
    check_get(target, snapshot.clone(), async |c| c.get_snapshot(id(), name).await).await;
    let create = CreateSnapshot { name: Some(name.into()) };
    let body = json!({"name": name});
    check("POST /acme/machines/ID/snapshots", body, Answer::json(201, snapshot), async |c| {
        c.create_snapshot(id(), &create).await
    })
    .await
    .unwrap();
    let request = format!("POST {target}");
    check(&request, Value::Null, Answer::text(202, ""), async |c| c.start_from_snapshot(id(), name).await)
        .await
        .unwrap();
    check_delete(target, async |c| c.delete_snapshot(id(), name).await).await;
}
