use serde_json::json;

use super::*;
use crate::world::testing::{Stage, params, refusal};

#[test]
fn an_account_is_changed_and_cns_hears_of_its_flag() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let id = stage.running(json!({}));
    stage.world.drain_touched();
    let change = params(json!({"email": "new@example.com", "companyName": "", "phone": "1", "login": "x"}));
    let account = stage.world.update_account(stage.now, acme, &change).unwrap();
    assert_eq!((account.email.as_str(), account.login.as_str()), ("new@example.com", "acme"));
    assert!(account.cns_enabled && !account.profile.contains_key("companyName"));
    assert_eq!((account.profile["phone"].as_str(), account.updated), ("1", stage.now));
    assert!(stage.world.drain_touched().is_empty());
    let off = params(json!({"triton_cns_enabled": "false"}));
    assert!(!stage.world.update_account(stage.now, acme, &off).unwrap().cns_enabled);
    assert_eq!(stage.world.drain_touched(), [id]);
    assert!(!stage.world.instance_view(id).unwrap().cns_enabled);
    let bad = params(json!({"triton_cns_enabled": "yes"}));
    let refused = stage.world.update_account(stage.now, acme, &bad);
    assert_eq!(refusal(refused), (409, "InvalidArgument".to_owned()));
    stage.create(json!({"name": "a".repeat(64)}));
}

#[test]
fn the_default_network_is_one_that_the_account_sees() {
    let mut stage = Stage::new();
    let (acme, external, foreign) = (stage.ids.acme, stage.ids.external, stage.ids.foreign_fabric);
    stage.world.set_default_network(acme, external).unwrap();
    assert_eq!(stage.world.account(acme).unwrap().default_network, Some(external));
    let refused = stage.world.set_default_network(acme, foreign);
    assert_eq!(refusal(refused), (409, "InvalidArgument".to_owned()));
}

#[test]
fn limits_count_what_is_used_and_a_resize_only_what_it_adds() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let id = stage.running(json!({}));
    let limit = |by, value| Limit { by, value, check: None };
    let limits = vec![limit(LimitedBy::Machines, 1), limit(LimitedBy::Ram, 1024), limit(LimitedBy::Quota, 0)];
    stage.world.account_mut(acme).unwrap().limits = limits;
    let used: Vec<u64> = stage.world.limits(acme).into_iter().map(|(_, used)| used).collect();
    assert_eq!(used, [1, 512, 10]);
    let resize = |package: &str| json!({"action": "resize", "package": package});
    assert_eq!(stage.act(id, resize("g1.small")).unwrap_err().status(), 403);
    stage.act(id, resize("g1.micro")).unwrap();
}
