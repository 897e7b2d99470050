use serde_json::json;

use super::*;
use crate::world::testing::{Stage, foreign, message, params, refusal};

fn network(more: Value) -> Params {
    let mut all = params(json!({
        "name": "pods", "subnet": "10.1.0.0/24", "provision_start_ip": "10.1.0.10", "provision_end_ip": "10.1.0.20",
        "gateway": "10.1.0.1", "resolvers": ["8.8.8.8"], "routes": {},
    }));
    all.extend(params(more));
    all.retain(|_, value| !value.is_null());
    all
}

#[test]
fn a_network_is_made_changed_and_deleted() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let vlan = stage.world.create_vlan(acme, &params(json!({"vlan_id": "7", "name": "pods"}))).unwrap();
    assert_eq!(vlan.vlan_id, 7);
    let made = stage.world.create_fabric_network(acme, 7, &network(json!({}))).unwrap();
    assert!(made.fabric && made.internet_nat && !made.public);
    let list: Vec<_> = stage.world.list_fabric_networks(acme, 7).unwrap().map(|network| network.id).collect();
    assert_eq!(list, [made.id]);
    let routes = json!({"10.9.0.0/16": "10.1.0.10", "10.8.0.1": "10.1.0.11"});
    let change = params(
        json!({"name": "pods2", "routes": routes, "provision_end_ip": "10.1.0.10", "description": "d"}),
    );
    let changed = stage.world.update_fabric_network(acme, 7, made.id, &change).unwrap();
    assert_eq!((&*changed.name, json!(changed.routes)), ("pods2", routes));

    let id = stage.running(json!({"networks": [made.id.to_string()]}));
    assert_eq!(stage.machine(id).nics[0].ip.to_string(), "10.1.0.10");
    let in_use = stage.world.delete_fabric_network(acme, 7, made.id);
    assert!(message(in_use).contains("no NICs"));
    assert!(message(stage.world.delete_vlan(acme, 7)).contains("no networks"));
    stage.delete(id).unwrap();
    stage.settle();
    stage.world.delete_fabric_network(acme, 7, made.id).unwrap();
    stage.world.delete_vlan(acme, 7).unwrap();
    assert_eq!(stage.world.vlan(acme, 7).unwrap_err().status(), 404);
}

#[test]
fn properties_are_checked() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let table = [
        (json!({"name": null}), "property \"name\""),
        (json!({"name": "1x"}), "property \"name\""),
        (json!({"name": "x"}), "property \"name\""),
        (json!({"name": "My-Fabric-Network"}), "name is in use"),
        (json!({"subnet": null}), "property \"subnet\""),
        (json!({"subnet": "10.1.0.0"}), "CIDR"),
        (json!({"subnet": "10.1.0.1/24"}), "Subnet IP invalid"),
        (json!({"subnet": "10.1.0.0/31"}), "Subnet bits invalid"),
        (json!({"subnet": "8.8.8.0/24"}), "private ranges"),
        (
            json!({"subnet": "192.168.130.0/24", "gateway": "192.168.130.1", "provision_start_ip": "192.168.130.2",
            "provision_end_ip": "192.168.130.3"}),
            "overlaps",
        ),
        (json!({"provision_start_ip": null}), "property \"provision_start_ip\""),
        (json!({"provision_start_ip": "10.2.0.1"}), "provision_start_ip cannot be outside subnet"),
        (json!({"provision_start_ip": "10.1.0.0"}), "network address"),
        (json!({"provision_start_ip": "10.1.0.30"}), "must be before"),
        (json!({"provision_end_ip": "10.1.0.255"}), "broadcast"),
        (json!({"provision_end_ip": "x"}), "must be an IPv4 address"),
        (json!({"gateway": null}), "must be set if internet_nat"),
        (json!({"gateway": "10.2.0.1"}), "gateway cannot be outside subnet"),
        (json!({"internet_nat": "maybe"}), "property \"internet_nat\""),
        (json!({"resolvers": "8.8.8.8"}), "property \"resolvers\""),
        (json!({"resolvers": ["x"]}), "must be an IPv4 address"),
        (
            json!({"resolvers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"]}),
            "maximum of 4 resolvers",
        ),
        (json!({"routes": []}), "property \"routes\""),
        (json!({"routes": {"x": "10.1.0.1"}}), "invalid destination"),
        (json!({"routes": {"10.0.0.0/8": "fd00::1"}}), "invalid gateway"),
        (json!({"routes": {"10.0.0.0/8": "linklocal"}}), "invalid gateway"),
        (json!({"mtu": 1400}), "property \"mtu\": unsupported property"),
    ];
    for (more, expected) in table {
        let result = stage.world.create_fabric_network(acme, 2, &network(more.clone()));
        assert_eq!(refusal(result.clone()), (409, "InvalidArgument".to_owned()), "{more}");
        let text = message(result);
        assert!(text.contains(expected), "{more}: {text}");
    }
    stage.world.settings_mut().features.linklocal_routes = true;
    let plain = json!({"gateway": null, "internet_nat": false, "routes": {"10.0.0.0/8": "linklocal", "fd00::/8": "fd00::1"}});
    stage.world.create_fabric_network(acme, 2, &network(plain)).unwrap();
}

#[test]
fn what_cannot_change_is_refused() {
    let mut stage = Stage::new();
    let (acme, fabric) = (stage.ids.acme, stage.ids.fabric);
    for property in ["subnet", "gateway", "internet_nat"] {
        let change = params(json!({property: "10.0.0.0/8"}));
        let text = message(stage.world.update_fabric_network(acme, 2, fabric, &change));
        assert!(text.contains("unsupported"), "{text}");
    }
    assert!(message(stage.world.delete_fabric_network(acme, 2, fabric)).contains("default network"));
    let foreign = foreign(&stage);
    assert_eq!(stage.world.fabric_network(foreign, 2, fabric).unwrap_err().status(), 404);
    assert_eq!(stage.world.fabric_network(acme, 3, fabric).unwrap_err().status(), 404);
}

#[test]
fn vlans_have_numbers_and_names() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    for (vlan, expected) in [
        (json!({"name": "x1"}), "property \"vlan_id\""),
        (json!({"vlan_id": 1, "name": "x1"}), "VLAN ID must be"),
        (json!({"vlan_id": 4095, "name": "x1"}), "VLAN ID must be"),
        (json!({"vlan_id": 99_999_999, "name": "x1"}), "VLAN ID must be"),
        (json!({"vlan_id": 2, "name": "x1"}), "already in use"),
        (json!({"vlan_id": 3}), "property \"name\""),
        (json!({"vlan_id": 3, "name": "?"}), "property \"name\""),
        (json!({"vlan_id": 3, "name": "x1", "color": "red"}), "unsupported property"),
    ] {
        let text = message(stage.world.create_vlan(acme, &params(vlan.clone())));
        assert!(text.contains(expected), "{vlan}: {text}");
    }
    let changed =
        stage.world.update_vlan(acme, 2, &params(json!({"name": "new", "description": "d"}))).unwrap();
    assert_eq!((&*changed.name, changed.description.as_deref()), ("new", Some("d")));
    assert_eq!(stage.world.list_vlans(acme).unwrap().count(), 1);
    stage.world.settings_mut().features.fabrics = false;
    assert_eq!(stage.world.list_vlans(acme).map(|_| ()).unwrap_err().status(), 501);
}

#[test]
fn a_network_that_is_renamed_is_looked_at_again() {
    let mut stage = Stage::new();
    let (acme, fabric) = (stage.ids.acme, stage.ids.fabric);
    let id = stage.running(json!({}));
    stage.running(json!({"networks": [stage.ids.external.to_string()]}));
    stage.world.drain_touched();
    stage.world.update_fabric_network(acme, 2, fabric, &params(json!({"name": "other"}))).unwrap();
    assert_eq!(stage.world.drain_touched(), [id]);
    assert_eq!(&*stage.world.instance_view(id).unwrap().nics[0].network_name, "other");
}
