use serde_json::json;

use super::*;
use crate::world::testing::{Stage, foreign, params, refusal};

fn create(stage: &mut Stage, volume: Value) -> Result<Volume, WorldError> {
    let mut all = params(json!({"type": "tritonnfs"}));
    all.extend(params(volume));
    stage.world.create_volume(stage.now, stage.ids.acme, &all)
}

fn names(stage: &Stage, query: Value) -> Vec<&str> {
    let volumes = stage.world.list_volumes(stage.ids.acme, &params(query)).unwrap();
    let mut names: Vec<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_volume_is_made_renamed_and_deleted() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let volume = create(&mut stage, json!({"name": "data", "tags": {"a": "b"}})).unwrap();
    assert_eq!((volume.state, volume.size_mib), (VolumeState::Creating, 10_240));
    assert_eq!((volume.networks.clone(), volume.filesystem_path()), (vec![stage.ids.fabric], None));
    stage.settle();
    let volume = stage.world.volume(acme, volume.id).unwrap();
    let id = volume.id;
    assert_eq!(volume.filesystem_path().unwrap(), "192.168.128.2:/exports/data");
    assert_eq!(stage.world.volume(foreign(&stage), id).unwrap_err().status(), 404);
    stage.world.update_volume(acme, id, &params(json!({"name": "data2"}))).unwrap();
    stage.world.delete_volume(stage.now, acme, id).unwrap();
    assert_eq!(stage.world.volume(acme, id).unwrap().state, VolumeState::Deleting);
    stage.settle();
    assert_eq!(refusal(stage.world.volume(acme, id)), (404, "VolumeNotFound".to_owned()));
    assert_eq!(stage.addresses_in_use(), 0);
}

#[test]
fn one_that_is_deleted_while_it_is_made_is_gone_when_it_would_be_ready() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let id = create(&mut stage, json!({})).unwrap().id;
    stage.world.delete_volume(stage.now, acme, id).unwrap();
    stage.world.delete_volume(stage.now, acme, id).unwrap();
    stage.settle();
    assert_eq!(stage.world.volume(acme, id).unwrap_err().status(), 404);
}

#[test]
fn bad_volumes_are_refused() {
    let mut stage = Stage::new();
    create(&mut stage, json!({"name": "data"})).unwrap();
    let external = stage.ids.external.to_string();
    let foreign = stage.ids.foreign_fabric.to_string();
    for (volume, code) in [
        (json!({"name": "-x"}), "InvalidArgument"),
        (json!({"name": 7}), "InvalidArgument"),
        (json!({"name": "data"}), "VolumeAlreadyExists"),
        (json!({"type": "floppy"}), "InvalidArgument"),
        (json!({"type": null}), "InvalidArgument"),
        (json!({"size": "large"}), "InvalidArgument"),
        (json!({"size": 1}), "VolumeSizeNotAvailable"),
        (json!({"networks": []}), "InvalidArgument"),
        (json!({"networks": [external]}), "InvalidArgument"),
        (json!({"networks": [foreign]}), "InvalidArgument"),
        (json!({"tags": {"a": 1}}), "InvalidArgument"),
        (json!({"affinity": "role==web"}), "InvalidArgument"),
        (json!({"affinity": ["role"]}), "InvalidArgument"),
    ] {
        assert_eq!(refusal(create(&mut stage, volume.clone())), (409, code.to_owned()), "{volume}");
    }
    let acme = stage.ids.acme;
    stage.world.account_mut(acme).unwrap().default_network = None;
    let code = "DefaultFabricNetworkNotConfiguredError".to_owned();
    assert_eq!(refusal(create(&mut stage, json!({}))), (409, code));
    stage.world.settings_mut().features.volumes = false;
    assert_eq!(create(&mut stage, json!({})).unwrap_err().status(), 404);
}

#[test]
fn lists_are_filtered() {
    let mut stage = Stage::new();
    create(&mut stage, json!({"name": "small"})).unwrap();
    create(&mut stage, json!({"name": "large", "size": 102_400})).unwrap();
    stage.settle();
    stage.world.settings_mut().job_failures = 1.0;
    create(&mut stage, json!({"name": "broken"})).unwrap();
    stage.settle();
    stage.world.settings_mut().job_failures = 0.0;
    create(&mut stage, json!({"name": "new"})).unwrap();
    let fabric = stage.ids.fabric.to_string();
    let predicate = |value: Value| json!({"predicate": value.to_string()});
    for (query, expected) in [
        (json!({}), vec!["large", "new", "small"]),
        (json!({"state": "failed"}), vec!["broken"]),
        (json!({"state": "ready"}), vec!["large", "small"]),
        (json!({"name": "sma*"}), vec!["small"]),
        (json!({"size": "102400"}), vec!["large"]),
        (json!({"type": "tritonnfs"}), vec!["large", "new", "small"]),
        (predicate(json!({"eq": ["name", "broken"]})), vec!["broken"]),
        (predicate(json!({})), vec!["broken", "large", "new", "small"]),
        (predicate(json!({"and": [{"ne": ["state", "failed"]}, {"gt": ["size", 10_240]}]})), vec!["large"]),
        (
            predicate(json!({"or": [{"eq": ["name", "new"]}, {"ge": ["size", 102_400]}]})),
            vec!["large", "new"],
        ),
        (predicate(json!({"and": [{"le": ["size", 10_240]}, {"lt": ["name", "c"]}]})), vec!["broken"]),
        (
            predicate(
                json!({"and": [{"eq": ["network", fabric]}, {"eq": ["type", "tritonnfs"]}, {"ne": ["id", "x"]}]}),
            ),
            vec!["broken", "large", "new", "small"],
        ),
    ] {
        assert_eq!(names(&stage, query.clone()), expected, "{query}");
    }
    for query in [
        json!({"state": "strange"}),
        json!({"size": "0"}),
        json!({"type": "x"}),
        json!({"predicate": "{"}),
        json!({"predicate": "[".repeat(100_000)}),
        predicate(json!({"eq": ["color", "red"]})),
        predicate(json!({"eq": ["size", "1"]})),
        predicate(json!({"eq": ["size"]})),
        predicate(json!({"near": ["size", 1]})),
        predicate(json!({"eq": ["name", "a"], "ne": ["name", "b"]})),
    ] {
        let result = stage.world.list_volumes(stage.ids.acme, &params(query.clone()));
        assert_eq!(result.unwrap_err().status(), 409, "{query}");
    }
}

#[test]
fn instances_reserve_volumes_until_they_are_gone() {
    let mut stage = Stage::new();
    let acme = stage.ids.acme;
    let volume = create(&mut stage, json!({"name": "data"})).unwrap().id;
    stage.settle();
    let mounts = json!([
        {"name": "data", "type": "tritonnfs", "mode": "ro", "mountpoint": "/data"},
        {"name": "fresh", "mountpoint": "/fresh"},
    ]);
    let id = stage.create(json!({"volumes": mounts}));
    let mounted: Vec<_> = stage.machine(id).volumes.iter().map(|m| (m.name.as_str(), m.read_only)).collect();
    assert_eq!(mounted, [("data", true), ("fresh", false)]);
    assert_eq!(names(&stage, json!({})), ["data", "fresh"]);
    assert!(stage.world.volume(acme, volume).unwrap().refs.contains(&id));
    let refused = stage.world.delete_volume(stage.now, acme, volume);
    assert_eq!(refusal(refused), (409, "VolumeInUse".to_owned()));
    stage.settle();
    stage.delete(id).unwrap();
    stage.settle();
    stage.world.delete_volume(stage.now, acme, volume).unwrap();
}
