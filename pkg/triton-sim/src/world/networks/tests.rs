use serde_json::json;

use super::*;
use crate::world::testing::{Stage, foreign, params, refusal};

fn known(stage: &Stage, owner: AccountId, id: NetworkId) -> Vec<(String, bool, bool)> {
    let addresses = stage.world.list_addresses(owner, id).unwrap();
    addresses.map(|(ip, address)| (ip.to_string(), address.reserved, address.managed)).collect()
}

#[test]
fn lists_show_pools_and_hide_their_members() {
    let stage = Stage::new();
    let (acme, ids) = (stage.ids.acme, &stage.ids);
    let list = |owner, fabric| -> Vec<NetworkId> {
        stage.world.list_networks(owner, fabric).iter().map(NetworkRef::id).collect()
    };
    assert_eq!(list(acme, false), [ids.pool, ids.external, ids.fabric]);
    assert_eq!(list(acme, true), [ids.fabric]);
    assert_eq!(list(foreign(&stage), true), [ids.foreign_fabric]);
    for hidden in [ids.pool_members[0], ids.foreign_fabric] {
        assert_eq!(stage.world.network(acme, hidden).unwrap_err().status(), 404);
    }
    assert!(stage.world.network(acme, ids.pool).unwrap().public());
}

#[test]
fn a_pool_gives_addresses_of_its_first_member_that_has_any() {
    let mut stage = Stage::new();
    let [first, second] = stage.ids.pool_members;
    let mut small = stage.world.network_by_id(first).unwrap().clone();
    small.provision_end = small.provision_start;
    small.reset_addresses();
    stage.world.add_network(small);
    let pool = json!([stage.ids.pool.to_string()]);
    let ids: Vec<_> = (0..2).map(|_| stage.running(json!({"networks": pool}))).collect();
    let networks: Vec<_> = ids.iter().map(|id| stage.machine(*id).nics[0].network).collect();
    assert_eq!(networks, [first, second]);
}

#[test]
fn addresses_are_listed_when_they_are_known_and_shared_networks_show_only_ones_own() {
    let mut stage = Stage::new();
    let (acme, fabric, external) = (stage.ids.acme, stage.ids.fabric, stage.ids.external);
    stage.running(json!({"networks": [fabric.to_string(), external.to_string()]}));
    let expected =
        [("192.168.128.1", true, true), ("192.168.128.2", false, false), ("192.168.131.255", true, true)];
    assert_eq!(
        known(&stage, acme, fabric),
        expected.map(|(ip, reserved, managed)| (ip.to_owned(), reserved, managed))
    );
    assert_eq!(known(&stage, acme, external), [("203.0.113.2".to_owned(), false, false)]);
    assert!(known(&stage, foreign(&stage), external).is_empty());
    assert_eq!(stage.world.address(foreign(&stage), external, "203.0.113.2").unwrap_err().status(), 404);
    assert_eq!(stage.world.address(acme, fabric, "192.168.128.9").unwrap().1, Address::default());
    let pool = stage.world.list_addresses(acme, stage.ids.pool).map(|_| ());
    assert_eq!(refusal(pool), (409, "InvalidArgument".to_owned()));
}

#[test]
fn addresses_of_own_networks_can_be_reserved() {
    let mut stage = Stage::new();
    let (acme, fabric) = (stage.ids.acme, stage.ids.fabric);
    let set = |stage: &mut Stage, ip: &str, reserved: serde_json::Value| {
        stage.world.update_address(acme, fabric, ip, &params(json!({"reserved": reserved})))
    };
    let (_, address) = set(&mut stage, "192.168.128.2", json!("true")).unwrap();
    assert!(address.reserved && address.owner == Some(acme));
    let id = stage.running(json!({}));
    assert_eq!(stage.machine(id).nics[0].ip.to_string(), "192.168.128.3");
    set(&mut stage, "192.168.128.3", json!(true)).unwrap();
    stage.delete(id).unwrap();
    stage.settle();
    assert!(stage.world.address(acme, fabric, "192.168.128.3").unwrap().1.reserved);
    set(&mut stage, "192.168.128.3", json!(false)).unwrap();
    assert_eq!(stage.world.address(acme, fabric, "192.168.128.3").unwrap().1, Address::default());
    for (ip, reserved, code) in [
        ("192.168.128.9", json!(null), "MissingParameter"),
        ("192.168.128.9", json!("maybe"), "InvalidArgument"),
        ("192.168.128.1", json!(true), "InvalidArgument"),
        ("10.0.0.1", json!(true), "InvalidArgument"),
        ("x", json!(true), "InvalidArgument"),
    ] {
        assert_eq!(refusal(set(&mut stage, ip, reserved)), (409, code.to_owned()), "{ip}");
    }
    let external = stage.ids.external;
    let public =
        stage.world.update_address(acme, external, "203.0.113.9", &params(json!({"reserved": true})));
    assert_eq!(refusal(public), (409, "InvalidArgument".to_owned()));
}

#[test]
fn macs_are_unique_and_of_the_range_that_triton_uses() {
    let mut networks = Networks::default();
    let mut rng = fastrand::Rng::with_seed(7);
    let macs: BTreeSet<Mac> = (0..1000).map(|_| networks.new_mac(&mut rng)).collect();
    assert!(macs.len() == 1000 && macs.iter().all(|mac| mac.octets()[..3] == [0x90, 0xb8, 0xd0]));
    rng.seed(7);
    assert!(!macs.contains(&networks.new_mac(&mut rng)));
}
