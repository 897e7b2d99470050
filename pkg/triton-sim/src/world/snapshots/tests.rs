use serde_json::{Value, json};

use super::*;
use crate::world::testing::{Stage, caller, params, refusal};

fn create(stage: &mut Stage, id: InstanceId, name: Value) -> Result<String, WorldError> {
    stage.world.create_snapshot(stage.now, stage.ids.acme, id, &params(json!({"name": name})), &caller())
}

fn names(stage: &Stage, id: InstanceId) -> Vec<&str> {
    let snapshots = stage.world.list_snapshots(stage.ids.acme, id).unwrap();
    snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect()
}

#[test]
fn snapshots_are_queued_made_rolled_back_to_and_deleted() {
    let mut stage = Stage::new();
    let (id, acme) = (stage.running(json!({})), stage.ids.acme);
    assert_eq!(create(&mut stage, id, json!("one")).unwrap(), "one");
    assert_eq!(stage.world.snapshot(acme, id, "one").unwrap(), SnapshotStatus::Queued("one".to_owned()));
    assert!(names(&stage, id).is_empty());
    stage.settle();
    assert!(matches!(stage.world.snapshot(acme, id, "one").unwrap(), SnapshotStatus::Created(_)));
    let name = create(&mut stage, id, json!(null)).unwrap();
    assert_eq!(name.len(), "20260126T213204Z".len());
    create(&mut stage, id, json!("one")).unwrap();
    stage.act(id, json!({"action": "stop"})).unwrap();
    stage.settle();
    assert_eq!(stage.audit(id)[..3], ["stop yes", "create_snapshot no", "create_snapshot yes"]);
    assert_eq!(names(&stage, id), ["one", &name]);

    stage.world.start_from_snapshot(stage.now, acme, id, "one", &caller()).unwrap();
    stage.world.start_from_snapshot(stage.now, acme, id, "none", &caller()).unwrap();
    stage.settle();
    assert_eq!((stage.state(id), names(&stage, id)), (VmState::Running, vec!["one"]));
    assert_eq!(stage.audit(id)[..2], ["rollback_snapshot no", "rollback_snapshot yes"]);
    stage.world.delete_snapshot(stage.now, acme, id, "one", &caller()).unwrap();
    stage.settle();
    assert_eq!(stage.world.snapshot(acme, id, "one").unwrap_err().status(), 404);
    assert_eq!(stage.world.delete_snapshot(stage.now, acme, id, "one", &caller()).unwrap_err().status(), 404);
}

#[test]
fn some_instances_and_names_cannot_have_snapshots() {
    let mut stage = Stage::new();
    let delegated = stage.running(json!({"delegate_dataset": true}));
    assert_eq!(refusal(create(&mut stage, delegated, json!("a"))), (409, "BrandNotSupported".to_owned()));
    let id = stage.running(json!({}));
    for name in ["a b", "a@b", "a/b", &"a".repeat(65)] {
        assert_eq!(
            refusal(create(&mut stage, id, json!(name))),
            (409, "InvalidArgument".to_owned()),
            "{name}"
        );
    }
    let hvm = stage.stopped_hvm();
    create(&mut stage, hvm, json!("a")).unwrap();
    stage.world.settings_mut().features.bhyve_snapshots = false;
    assert_eq!(refusal(create(&mut stage, hvm, json!("b"))), (409, "InvalidArgument".to_owned()));
    let new = stage.create(json!({}));
    assert_eq!(refusal(create(&mut stage, new, json!("a"))), (409, "UnallocatedVM".to_owned()));
    stage.world.edit_silently(hvm, |machine| machine.brand = Brand::Kvm);
    assert_eq!(refusal(create(&mut stage, hvm, json!("a"))), (409, "BrandNotSupported".to_owned()));
}
