use serde_json::json;

use super::*;
use crate::world::testing::{Stage, caller, params, refusal};

#[test]
fn metadata_is_merged_in_a_job() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"metadata.a": "1"}));
    let (now, acme) = (stage.now, stage.ids.acme);
    let more = params(json!({
        "account": "acme", "machine": "x", "uuid": "x", "owner_uuid": "x", "image": "x", "credentials": {"a": "b"},
        "root_pw": "secret", "b": "2", "cloud-init:user-data": "#cloud-config", "n": 3,
    }));
    let (_, merged) = stage.world.add_metadata(now, acme, id, &more, &caller()).unwrap();
    let keys: Vec<&str> = merged.keys().map(String::as_str).collect();
    assert_eq!(keys, ["a", "b", "cloud-init:user-data", "n", "root_authorized_keys"]);
    assert!(!stage.machine(id).metadata.contains_key("b"));
    stage.settle();
    assert_eq!(stage.machine(id).metadata, merged);
    assert_eq!(stage.world.metadatum(acme, id, "b").unwrap(), "2");
    assert_eq!(refusal(stage.world.metadatum(acme, id, "n")), (404, "ResourceNotFound".to_owned()));
    assert_eq!(refusal(stage.world.metadatum(acme, id, "c")), (404, "ResourceNotFound".to_owned()));
    let nested = params(json!({"a": {"b": 1}}));
    let refused = stage.world.add_metadata(stage.now, acme, id, &nested, &caller());
    assert_eq!(refusal(refused), (409, "ValidationFailed".to_owned()));
}

#[test]
fn some_keys_stay() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"metadata.a": "1", "password": "x"}));
    let acme = stage.ids.acme;
    for key in ["credentials", "administrator_pw", "root_authorized_keys"] {
        let refused = stage.world.delete_metadatum(stage.now, acme, id, key, &caller());
        assert_eq!(refusal(refused), (409, "InvalidArgument".to_owned()), "{key}");
    }
    assert_eq!(stage.world.delete_metadatum(stage.now, acme, id, "b", &caller()).unwrap_err().status(), 404);
    stage.world.delete_metadatum(stage.now, acme, id, "a", &caller()).unwrap();
    stage.world.delete_metadata(stage.now, acme, id, &caller()).unwrap();
    stage.settle();
    let keys: Vec<&str> = stage.machine(id).metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, ["administrator_pw", "root_authorized_keys"]);
    assert_eq!(stage.audit(id)[..2], ["replace_metadata yes", "remove_metadata yes"]);
}

#[test]
fn there_is_only_so_much_of_it() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let acme = stage.ids.acme;
    let half = |key: &str| params(json!({key: "x".repeat(MAX_BYTES / 2)}));
    let add =
        |stage: &mut Stage, key: &str| stage.world.add_metadata(stage.now, acme, id, &half(key), &caller());
    add(&mut stage, "a").unwrap();
    add(&mut stage, "b").unwrap();
    stage.settle();
    assert_eq!(stage.audit(id)[..2], ["set_metadata no", "set_metadata yes"]);
    assert_eq!(add(&mut stage, "b").unwrap_err().status(), 413);
    let now = stage.now;
    stage.world.guest_sets_metadata(now, id, "c", Some(&"x".repeat(MAX_BYTES)));
    assert!(!stage.machine(id).metadata.contains_key("c"));
}
