use super::{ID, check, check_delete, check_get, check_objects, id, object, objects};
use crate::server::Answer;
use serde_json::{Value, json};
use triton::types::{
    CreateImage, CreateVolume, ExportImage, ImportImage, ListImages, ListVolumes, UpdateImage, UpdateVolume,
    VolumeState,
};

#[tokio::test(start_paused = true)]
async fn images_are_listed_read_and_deleted() {
    let filter = ListImages { name: Some("base".into()), all_states: true, ..ListImages::default() };
    let images =
        check_get("/acme/images?name=base&state=all", objects(), async |c| c.list_images(&filter).await)
            .await;
    check_objects(&images);
    check_get("/acme/images/ID", object(), async |c| c.get_image(id()).await).await;
    check_delete("/acme/images/ID", async |c| c.delete_image(id()).await).await;
}

#[tokio::test(start_paused = true)]
async fn images_are_made_changed_and_moved() {
    let create = CreateImage { incremental: Some(true), ..CreateImage::new(id(), "app", "1.0.0") };
    let body = json!({"machine": ID, "name": "app", "version": "1.0.0", "incremental": true});
    check("POST /acme/images", body, Answer::json(201, object()), async |c| c.create_image(&create).await)
        .await
        .unwrap();
    let update = UpdateImage { description: Some("new".into()), ..UpdateImage::default() };
    let body = json!({"description": "new"});
    check("POST /acme/images/ID?action=update", body, Answer::json(200, object()), async |c| {
        c.update_image(id(), &update).await
    })
    .await
    .unwrap();
    let export = ExportImage { manta_path: "/acme/stor/x".into() };
    let answer = Answer::json(200, json!({"manta_url": "https://manta", "image_path": "/x"}));
    let body = json!({"manta_path": "/acme/stor/x"});
    check("POST /acme/images/ID?action=export", body, answer, async |c| c.export_image(id(), &export).await)
        .await
        .unwrap();
    check("POST /acme/images/ID?action=clone", Value::Null, Answer::json(200, object()), async |c| {
        c.clone_image(id()).await
    })
    .await
    .unwrap();
    let import = ImportImage { datacenter: "dc2".into(), id: id() };
    let request = "POST /acme/images?action=import-from-datacenter&datacenter=dc2&id=ID";
    check(request, Value::Null, Answer::json(201, object()), async |c| c.import_image(&import).await)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn volumes_are_listed_made_renamed_and_deleted() {
    let filter = ListVolumes { state: Some(VolumeState::Ready), ..ListVolumes::default() };
    let volumes =
        check_get("/acme/volumes?state=ready", objects(), async |c| c.list_volumes(&filter).await).await;
    check_objects(&volumes);
    check_get("/acme/volumes/ID", object(), async |c| c.get_volume(id()).await).await;
    let create = CreateVolume { name: Some("data".into()), networks: vec![id()], ..CreateVolume::default() };
    let body = json!({"name": "data", "networks": [ID]});
    check("POST /acme/volumes", body, Answer::json(201, object()), async |c| c.create_volume(&create).await)
        .await
        .unwrap();
    let update = UpdateVolume { name: "logs".into() };
    let body = json!({"name": "logs"});
    check("POST /acme/volumes/ID?action=update", body, Answer::json(200, object()), async |c| {
        c.update_volume(id(), &update).await
    })
    .await
    .unwrap();
    check_delete("/acme/volumes/ID", async |c| c.delete_volume(id()).await).await;
    let sizes = json!([{"size": 10240}, {"size": "20480"}, {}]);
    let sizes = check_get("/acme/volumesizes", sizes, async |c| c.list_volume_sizes().await).await;
    assert_eq!(sizes.items.iter().map(|size| size.size_mib).collect::<Vec<_>>(), [10240, 20480]);
}
