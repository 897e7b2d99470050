use serde_json::json;
use triton::id::InstanceId;

use super::*;
use crate::world::testing::{Stage, foreign, params, refusal};

fn names(stage: &Stage, owner: AccountId, query: Value) -> Vec<String> {
    let images = stage.world.list_images(owner, &params(query));
    images.iter().map(|image| image.name.to_string()).collect()
}

fn create(stage: &mut Stage, id: InstanceId, more: Value) -> Result<Arc<Image>, WorldError> {
    let mut all = params(json!({"machine": id.to_string(), "name": "mine", "version": "1.0"}));
    all.extend(params(more));
    stage.world.create_image(stage.now, stage.ids.acme, &all).map(|(_, image)| image)
}

#[test]
fn lists_are_filtered() {
    let mut stage = Stage::new();
    let (acme, admin) = (stage.ids.acme, stage.ids.admin);
    let mut docker = Image::new(
        "1a9e0099-0000-4000-8000-000000000000".parse().unwrap(),
        admin,
        "busybox",
        "1",
        "linux",
        "docker",
    );
    docker.tags.insert("role".into(), json!("app"));
    stage.world.add_image(docker);
    let all = ["base-64-lts", "ubuntu-22.04", "ubuntu-24.04", "talos", "cloud-load-balancer"];
    for (query, expected) in [
        (json!({}), &all[..]),
        (json!({"state": "all"}), &all),
        (json!({"state": "disabled"}), &[]),
        (json!({"name": "talos"}), &["talos"]),
        (json!({"name": "~ubuntu"}), &["ubuntu-22.04", "ubuntu-24.04"]),
        (json!({"os": "smartos"}), &["base-64-lts", "cloud-load-balancer"]),
        (json!({"version": "1.8.3"}), &["talos"]),
        (json!({"type": "zvol"}), &["ubuntu-24.04", "talos"]),
        (json!({"type": "docker"}), &["busybox"]),
        (json!({"public": false}), &[]),
        (json!({"owner": admin.to_string(), "public": "true"}), &all),
        (json!({"tag.role": "app", "type": "docker"}), &["busybox"]),
        (json!({"tag.role": "app"}), &[]),
    ] {
        assert_eq!(names(&stage, acme, query.clone()), expected, "{query}");
    }
}

#[test]
fn an_image_of_an_instance_is_ready_after_a_while() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let acme = stage.ids.acme;
    let image = create(&mut stage, id, json!({"description": "d", "tags": {"a": 1}})).unwrap();
    assert_eq!((image.state, image.public, &*image.kind), (ImageState::Creating, false, "zone-dataset"));
    assert_eq!((image.origin, json!(image.tags)), (Some(stage.ids.base_64), json!({"a": 1})));
    assert!(names(&stage, acme, json!({"name": "mine"})).is_empty());
    let zone = stage.zone(json!({"image": image.id.to_string()}));
    assert_eq!(stage.try_create(&zone).unwrap_err().status(), 409);
    stage.settle();
    let image = stage.world.image(acme, image.id).unwrap().clone();
    assert!(image.is_active() && image.published.is_some() && image.file.is_some());
    stage.try_create(&zone).unwrap();
    assert_eq!(stage.world.image(foreign(&stage), image.id).unwrap_err().status(), 404);

    stage.world.settings_mut().job_failures = 1.0;
    let image = create(&mut stage, id, json!({"name": "failing"})).unwrap();
    stage.settle();
    assert_eq!(stage.world.image(acme, image.id).unwrap().state, ImageState::Failed);
}

#[test]
fn bad_requests_are_refused() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    for (more, status) in [
        (json!({"machine": ""}), 409),
        (json!({"name": ""}), 409),
        (json!({"version": ""}), 409),
        (json!({"machine": "x"}), 422),
        (json!({"machine": stage.ids.acme.to_string()}), 422),
        (json!({"acl": ["x"]}), 422),
        (json!({"tags": "x"}), 422),
    ] {
        assert_eq!(create(&mut stage, id, more.clone()).unwrap_err().status(), status, "{more}");
    }
    assert_eq!(stage.world.pending(), 0);
}

#[test]
fn images_are_shared_cloned_changed_and_deleted() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let (acme, initech, now) = (stage.ids.acme, stage.ids.initech, stage.now);
    let image = create(&mut stage, id, json!({})).unwrap().id;
    stage.settle();
    let share = params(json!({"acl": [initech.to_string()], "description": "shared", "eula": ""}));
    stage.world.update_image(acme, image, &share).unwrap();
    assert_eq!(names(&stage, initech, json!({"name": "mine"})), ["mine"]);
    let refused = stage.world.update_image(initech, image, &share);
    assert_eq!(refusal(refused), (403, "NotImageOwner".to_owned()));
    let own = stage.world.clone_image(now, initech, image).unwrap();
    assert_eq!((own.owner, own.acl.len(), own.public), (initech, 0, false));
    assert_eq!(stage.world.clone_image(now, initech, own.id).unwrap_err().status(), 409);
    assert_eq!(stage.world.delete_image(initech, image).unwrap_err().status(), 403);
    let second = stage.running(json!({"image": image.to_string()}));
    let dependent = create(&mut stage, second, json!({"name": "second"})).unwrap().id;
    stage.settle();
    assert_eq!(stage.world.delete_image(acme, image).unwrap_err().status(), 422);
    stage.world.delete_image(acme, dependent).unwrap();
    stage.world.delete_image(acme, image).unwrap();
    assert_eq!(stage.world.image(acme, image).unwrap_err().status(), 404);
}

#[test]
fn images_go_to_manta_and_come_from_other_data_centres() {
    let mut stage = Stage::new();
    let (acme, now, id) = (stage.ids.acme, stage.now, stage.running(json!({})));
    let image = create(&mut stage, id, json!({})).unwrap().id;
    let paths = stage.world.export_image(acme, image, &params(json!({"manta_path": "/acme/stor/"}))).unwrap();
    assert_eq!(
        paths,
        ("/acme/stor/mine-1.0.zfs.gz".to_owned(), "/acme/stor/mine-1.0.imgmanifest".to_owned())
    );
    assert_eq!(stage.world.export_image(acme, image, &Params::new()).unwrap_err().status(), 409);
    let there = params(json!({"datacenter": "dc2", "id": "13a9e000-0000-4000-8000-000000000002"}));
    let imported = stage.world.import_image(now, acme, &there).unwrap();
    assert_eq!((imported.owner, imported.is_active()), (acme, true));
    assert_eq!(stage.world.import_image(now, acme, &there).unwrap_err().status(), 409);
    assert_eq!(stage.world.import_image(now, acme, &params(json!({"id": "x"}))).unwrap_err().status(), 409);
}
