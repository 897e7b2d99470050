use serde_json::json;

use super::*;
use crate::world::testing::{KEYS, Stage, params, refusal};

#[test]
fn keys_are_found_by_name_and_by_either_fingerprint() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let key = stage.world.create_key(stage.now, acme, &params(json!({"key": KEYS[1]}))).unwrap();
    assert_eq!((key.name.as_str(), key.openssh.as_str()), (key.fingerprint.as_str(), KEYS[1]));
    let sha256 = Fingerprint::sha256_of(key.public.wire()).to_string();
    for name in [&key.fingerprint, &sha256] {
        assert_eq!(stage.world.key(acme, name).unwrap().fingerprint, key.fingerprint);
    }
    assert_eq!(stage.world.key(acme, "one").unwrap().openssh, KEYS[0]);
    assert_eq!(stage.world.account_keys("acme").unwrap().1.len(), 2);
    stage.world.delete_key(acme, &key.fingerprint).unwrap();
    assert_eq!(stage.world.key(acme, &key.fingerprint).unwrap_err().status(), 404);
    assert_eq!(stage.world.delete_key(acme, "none").unwrap_err().status(), 404);
}

#[test]
fn bad_keys_and_duplicates_are_refused() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    for (key, code) in [
        (json!({}), "MissingParameter"),
        (json!({"key": "nonsense"}), "InvalidArgument"),
        (json!({"key": KEYS[0]}), "InvalidArgument"),
        (json!({"key": KEYS[1], "name": "one"}), "InvalidArgument"),
    ] {
        let refused = stage.world.create_key(stage.now, acme, &params(key.clone()));
        assert_eq!(refusal(refused), (409, code.to_owned()), "{key}");
    }
}
