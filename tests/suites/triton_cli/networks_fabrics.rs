//! `network` and `vlan`.
//!
//! `vlan update` is left out: the released CLI asserts that an id is a number that it has as a text, and ends
//! before it sends anything (reference 7.3). There is no command that updates a network.

use serde_json::json;

use super::stage::{Stage, column, texts};

#[tokio::test(flavor = "multi_thread")]
async fn networks_and_their_addresses() {
    let Some(stage) = Stage::up().await else { return };
    let networks = stage.lines(&["network", "list", "-j"]).await;
    assert_eq!(
        column(&networks, "name"),
        ["Example-Fabric-Network", "My-Fabric-Network", "external", "public-pool", "sdc-private"]
    );
    assert_eq!(
        column(&stage.lines(&["networks", "-j", "public=false"]).await, "name"),
        ["Example-Fabric-Network", "My-Fabric-Network", "sdc-private"]
    );
    let fabric = stage.simulator.ids().fabric.to_string();
    for name in ["My-Fabric-Network", &fabric] {
        let network = stage.json(&["network", "get", "-j", name]).await;
        assert_eq!(
            texts(&network, ["id", "subnet", "gateway"]),
            [&fabric, "192.168.128.0/22", "192.168.128.1"]
        );
        assert_eq!((&network["fabric"], &network["vlan_id"]), (&true.into(), &2.into()));
    }
    let refused = stage.refused(3, &["network", "get", "nowhere"]).await;
    assert!(refused.starts_with("triton network get: error (ResourceNotFound): "), "{refused}");

    stage.instance("web", &["-N", "My-Fabric-Network"]).await;
    let address = stage.ok(&["inst", "ip", "web"]).await.out;
    let address = address.trim();
    let known = stage.lines(&["network", "ip", "list", "-j", "My-Fabric-Network"]).await;
    let row = known.iter().find(|row| row["ip"] == address).unwrap();
    assert_eq!((&row["managed"], &row["belongs_to_uuid"].is_string()), (&false.into(), &true), "{row}");

    let free = "192.168.131.7";
    let updated = stage.json(&["network", "ip", "update", "-j", &fabric, free, "reserved=true"]).await;
    assert_eq!((&updated["ip"], &updated["reserved"]), (&free.into(), &true.into()));
    assert_eq!(stage.json(&["network", "ip", "get", "-j", &fabric, free]).await["reserved"], true);
    let nic = format!("ipv4_uuid={fabric},ipv4_ips={free}");
    let fixed = stage.instance("fixed", &["--nic", &nic]).await;
    assert_eq!(stage.json(&["inst", "get", "-j", &fixed]).await["ips"], json!([free]));
    let refused =
        stage.refused(1, &["network", "ip", "update", &fabric, "192.168.128.1", "reserved=true"]).await;
    assert!(refused.starts_with("triton network ip update: error ("), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vlans_and_fabric_networks() {
    let Some(stage) = Stage::up().await else { return };
    let vlan = stage.json(&["vlan", "create", "-j", "-n", "dmz", "-D", "Demilitarised", "73"]).await;
    assert_eq!(vlan, json!({"vlan_id": 73, "name": "dmz", "description": "Demilitarised"}));
    let vlans = stage.lines(&["vlan", "list", "-j"]).await;
    assert_eq!(column(&vlans, "name"), ["Example-VLAN", "My-Fabric-VLAN", "dmz"]);
    for name in ["dmz", "73"] {
        assert_eq!(stage.json(&["vlan", "get", "-j", name]).await, vlan);
    }

    let arguments = ["network", "create", "-j", "-n", "front", "-D", "Front", "-s", "10.73.0.0/24"]
        .into_iter()
        .chain(["-S", "10.73.0.10", "-E", "10.73.0.99", "-g", "10.73.0.1", "-r", "9.9.9.9"])
        .chain(["-R", "10.99.0.0/16=10.73.0.2", "--no-nat", "73"]);
    let network = stage.json(&arguments.collect::<Vec<_>>()).await;
    assert_eq!(
        texts(
            &network,
            ["name", "description", "subnet", "provision_start_ip", "provision_end_ip", "gateway"]
        ),
        ["front", "Front", "10.73.0.0/24", "10.73.0.10", "10.73.0.99", "10.73.0.1"]
    );
    assert_eq!(
        [&network["resolvers"], &network["routes"], &network["internet_nat"], &network["vlan_id"]],
        [&json!(["9.9.9.9"]), &json!({"10.99.0.0/16": "10.73.0.2"}), &false.into(), &73.into()]
    );
    let id = network["id"].as_str().unwrap();
    assert_eq!(column(&stage.lines(&["vlan", "networks", "-j", "dmz"]).await, "id"), [id]);
    let web = stage.instance("web", &["-N", "front"]).await;
    assert_eq!(stage.json(&["inst", "get", "-j", "web"]).await["ips"], json!(["10.73.0.10"]));

    let default = stage.simulator.ids().fabric.to_string();
    assert_eq!(stage.json(&["network", "get-default", "-j"]).await["id"], default);
    let said = stage.ok(&["network", "set-default", "front"]).await.out;
    assert_eq!(said, format!("Set network front ({id}) as default.\n"));
    assert_eq!(stage.json(&["network", "get-default", "-j"]).await["id"], id);
    stage.ok(&["network", "set-default", &default]).await;

    // Neither can go while it is used.
    let used = stage.refused(1, &["network", "delete", "front"]).await;
    assert!(used.contains("network must have no NICs provisioned"), "{used}");
    let used = stage.refused(1, &["vlan", "delete", "dmz"]).await;
    assert!(used.starts_with("triton vlan delete: error"), "{used}");
    stage.ok(&["rm", "-f", "-w", &web]).await;
    assert_eq!(stage.ok(&["network", "delete", "front"]).await.out, "Deleted network front\n");
    assert_eq!(stage.ok(&["vlan", "delete", "73"]).await.out, "Deleted vlan 73\n");
    assert_eq!(
        column(&stage.lines(&["vlan", "list", "-j"]).await, "name"),
        ["Example-VLAN", "My-Fabric-VLAN"]
    );
    let refused = stage.refused(3, &["vlan", "get", "dmz"]).await;
    assert!(refused.starts_with("triton vlan get: error (ResourceNotFound): "), "{refused}");

    let arguments = ["network", "create", "-n", "bad", "-s", "10.73.0.0/24", "-S", "10.74.0.10"];
    let arguments = [&arguments[..], &["-E", "10.74.0.99", "--no-nat", "2"]].concat();
    let refused = stage.refused(1, &arguments).await;
    assert!(refused.contains("error (InvalidArgument): "), "{refused}");
}
