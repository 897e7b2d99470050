use serde_json::json;

use super::*;
use crate::world::testing::{Stage, params};

#[test]
fn access_keys_belong_to_an_account_or_a_sub_user() {
    let mut stage = Stage::new();
    let (now, acme, user) = (stage.now, stage.ids.acme, Some(Uuid::nil()));
    let key = stage.world.create_access_key(now, acme, None, &params(json!({"description": "d"}))).unwrap();
    let other = stage.world.create_access_key(now, acme, user, &Params::new()).unwrap();
    assert_eq!((key.id.len(), key.secret.len(), key.description.as_deref()), (20, 40, Some("d")));
    assert!(!format!("{key:?}").contains(&key.secret));
    assert_eq!(stage.world.list_access_keys(acme, user).collect::<Vec<_>>(), [&other]);
    assert_eq!(stage.world.access_key(acme, None, &other.id).unwrap_err().status(), 404);
    stage.world.delete_access_key(acme, None, &key.id).unwrap();
    assert_eq!(stage.world.delete_access_key(acme, None, &key.id).unwrap_err().status(), 404);
    assert_eq!(stage.world.access_key(acme, user, &other.id).unwrap(), &other);
}
