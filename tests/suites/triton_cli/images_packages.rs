//! `image` and `package`.

use serde_json::{Value, json};
use suites::triton_cli::KeyType;
use tokio::join;
use triton_sim::cloudapi::Operation;
use triton_sim::{Preset, Settings, Simulator};

use super::stage::{HOUR, Stage, column, texts};

#[tokio::test(flavor = "multi_thread")]
async fn images_and_packages_are_listed_and_found() {
    let Some(stage) = Stage::up().await else { return };
    let images = stage.lines(&["image", "list", "-j"]).await;
    let names =
        ["base-64-lts", "cloud-load-balancer", "talos", "ubuntu-16.04", "ubuntu-22.04", "ubuntu-24.04"];
    assert_eq!(column(&images, "name"), names);
    let images = stage.lines(&["images", "-j", "os=linux", "type=zvol"]).await;
    assert_eq!(column(&images, "name"), ["talos", "ubuntu-24.04"]);
    let id = stage.simulator.ids().ubuntu_hvm.to_string();
    for name in ["ubuntu-24.04", "ubuntu-24.04@20240612", &id, &id[..8]] {
        let image = stage.json(&["image", "get", "-j", name]).await;
        assert_eq!((&image["id"], &image["image_size"]), (&id.as_str().into(), &10_240.into()), "{name}");
    }
    let refused = stage.refused(3, &["image", "get", "windows"]).await;
    assert!(refused.starts_with("triton image get: error (ResourceNotFound): "), "{refused}");

    let packages = stage.lines(&["package", "list", "-j"]).await;
    let names = ["b1.large", "b1.medium", "g1.medium", "g1.micro", "g1.nano", "g1.small", "g4-highcpu-1G"];
    assert_eq!(column(&packages, "name"), names);
    let packages = stage.lines(&["packages", "-j", "memory=4096", "group=Bhyve"]).await;
    assert_eq!(column(&packages, "name"), ["b1.medium"]);
    let id = stage.simulator.ids().packages[0].to_string();
    for name in ["g1.nano", &id, &id[..8]] {
        let package = stage.json(&["package", "get", "-j", name]).await;
        assert_eq!((&package["id"], &package["disk"]), (&id.as_str().into(), &10_240.into()), "{name}");
    }
    let refused = stage.refused(3, &["package", "get", "g9.huge"]).await;
    assert!(refused.starts_with("triton package get: error (ResourceNotFound): "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_an_instance() {
    let Some(stage) = Stage::slow().await else { return };
    let instance = stage.instance("golden", &[]).await;
    stage.ok(&["inst", "stop", "-w", "golden"]).await;
    assert_eq!(stage.state(&instance), "stopped");

    let create = ["image", "create", "-w", "-j", "-d", "golden", "-t", "role=app", "golden", "mine", "1.0.0"];
    let said = stage.lines(&create).await;
    let states: Vec<_> = said.iter().map(|image| image["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["creating", "active"]);
    let id = said[1]["id"].as_str().unwrap();
    assert_eq!(texts(&said[1], ["name", "version", "description"]), ["mine", "1.0.0", "golden"]);
    assert_eq!(said[1]["tags"], json!({"role": "app"}));
    let origin = stage.simulator.ids().base_64.to_string();
    assert_eq!((&said[1]["public"], &said[1]["origin"]), (&false.into(), &origin.into()));
    let said = stage.ok(&["image", "wait", id]).await.out;
    assert_eq!(said, format!("1/1: Image {id} (mine@1.0.0) already active\n"));

    let updated = stage.json(&["image", "update", "-j", id, "description=better", "version=1.0.1"]).await;
    assert_eq!(texts(&updated, ["description", "version"]), ["better", "1.0.1"]);
    assert_eq!(stage.json(&["image", "tag", "-j", id, "role=db"]).await["tags"], json!({"role": "db"}));
    let friend = stage.simulator.ids().initech.to_string();
    assert_eq!(stage.json(&["image", "share", "-j", id, &friend]).await["acl"], json!([friend]));
    let unshared = stage.json(&["image", "unshare", "-j", id, &friend]).await;
    assert_ne!(unshared["acl"], json!([friend]));
    // It says what it does even where it was asked for JSON.
    let said = stage.ok(&["image", "export", "-j", id, "/acme/stor/images"]).await.out;
    let exported: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert!(exported["manifest_path"].as_str().unwrap().starts_with("/acme/stor/images"), "{exported}");

    let foreign = stage.refused(1, &["image", "update", "base-64-lts", "description=mine"]).await;
    assert!(foreign.starts_with("triton image update: error (NotImageOwner): "), "{foreign}");
    let refused = stage.refused(1, &["image", "copy", id, "nowhere"]).await;
    assert!(
        refused.contains("\"nowhere\" is not a valid datacenter name, possible names are: dc1"),
        "{refused}"
    );
    // Images that are one's own, or public, are not cloned but used.
    let refused = stage.refused(1, &["image", "clone", id]).await;
    assert!(refused.starts_with("triton image clone: error"), "{refused}");

    stage.ok(&["image", "delete", "-f", id]).await;
    let refused = stage.refused(3, &["image", "get", id]).await;
    assert!(refused.starts_with("triton image get: error (ResourceNotFound): "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_waits_until_an_image_is_active() {
    let Some(stage) = Stage::with(KeyType::Ed25519, |it| it.world.timing.image = HOUR).await else { return };
    stage.instance("golden", &[]).await;
    stage.ok(&["inst", "stop", "-w", "golden"]).await;
    let made = stage.lines(&["image", "create", "-j", "golden", "mine", "1.0.0"]).await;
    let (id, state) = (made[0]["id"].as_str().unwrap(), &made[0]["state"]);
    assert_eq!(state, "creating");

    let asked = stage.requests(Operation::GetImage);
    let make = async {
        stage.until("it waits", || stage.requests(Operation::GetImage) > asked + 1).await;
        stage.pass();
    };
    let wait = ["image", "wait", id];
    let (said, ()) = join!(stage.ok(&wait), make);
    assert_eq!(
        said.out,
        format!(
            "Waiting for image {id} (mine@1.0.0) to enter state (states: active, failed)\n\
             1/1: Image {id} (mine@1.0.0) moved to state active\n"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_from_other_accounts_and_go_to_other_data_centres() {
    let mut settings = Settings::preset(Preset::Instant);
    (settings.admin, settings.world.datacenter) = (None, "dc2".to_owned());
    let elsewhere = Simulator::start(settings).await.unwrap();
    let there = elsewhere.url().to_owned();
    let stage = Stage::with(KeyType::Ed25519, |it| {
        it.datacenters.insert("dc2".to_owned(), there.clone());
    });
    let Some(stage) = stage.await else { return };
    let key = json!({"key": stage.key.public});
    let key = key.as_object().unwrap();
    let ids = stage.simulator.ids().clone();
    stage.simulator.control().write(|world, now| world.create_key(now, ids.initech, key)).unwrap();
    elsewhere.control().write(|world, now| world.create_key(now, ids.acme, key)).unwrap();
    assert_eq!(stage.json(&["datacenters", "-j"]).await, json!({"dc1": stage.simulator.url(), "dc2": there}));

    // The other account makes an image, which nobody else sees before it is shared.
    let as_initech = async |arguments: &[&str]| stage.lines(&[&["-a", "initech"], arguments].concat()).await;
    as_initech(&["create", "-w", "-j", "-n", "golden", "base-64-lts", "g1.nano"]).await;
    stage.ok(&["-a", "initech", "stop", "-w", "golden"]).await;
    let made = as_initech(&["image", "create", "-w", "-j", "golden", "theirs", "1.0.0"]).await;
    let theirs = made[0]["id"].as_str().unwrap();
    stage.refused(3, &["image", "get", theirs]).await;
    let acme = ids.acme.to_string();
    assert_eq!(as_initech(&["image", "share", "-j", theirs, &acme]).await[0]["acl"], json!([acme]));
    assert_eq!(stage.json(&["image", "get", "-j", theirs]).await["name"], "theirs");

    // Only an own image can be copied: a clone is.
    let refused = stage.refused(1, &["-a", "initech", "image", "clone", theirs]).await;
    assert!(refused.starts_with("triton image clone: error"), "{refused}");
    let mine = stage.json(&["image", "clone", "-j", theirs]).await;
    assert_eq!((&mine["owner"], mine["id"] == theirs), (&acme.as_str().into(), false));
    let mine = mine["id"].as_str().unwrap();
    assert_eq!(stage.json(&["image", "copy", "-j", mine, "dc2"]).await["id"], mine);
    let copy = stage.json(&["-U", &there, "image", "get", "-j", mine]).await;
    assert_eq!((&copy["owner"], &copy["state"]), (&acme.as_str().into(), &"active".into()));
    let again = stage.refused(1, &["image", "copy", mine, "dc2"]).await;
    assert!(again.starts_with("triton image copy: error"), "{again}");
    let here = stage.refused(1, &["image", "copy", mine, "dc1"]).await;
    assert!(here.starts_with("triton image copy: error"), "{here}");
}
