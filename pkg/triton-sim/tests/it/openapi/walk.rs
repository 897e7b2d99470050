//! A walk through every operation, with everything it needs made before.

use serde_json::{Value, json};
use triton_sim::keys::KeyPair;

use crate::http::{Answer, Stage};

/// What was asked.
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
}

struct Walk {
    stage: Stage,
    answers: Vec<(Request, Answer)>,
}

impl Walk {
    async fn ask(&mut self, method: &str, target: &str, body: Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.stage.ask(method, target, &text).await;
        let path = target.split('?').next().expect("a path").to_owned();
        self.answers.push((Request { method: method.to_owned(), path }, answer.clone()));
        answer
    }

    /// Asks, and asks with HEAD too.
    async fn get(&mut self, target: &str) -> Answer {
        let answer = self.ask("GET", target, Value::Null).await;
        let path = target.split('?').next().expect("a path");
        if !["datacenters", "services", "limits", "volumes", "volumesizes", "migrations", "migrate", "vnc"]
            .iter()
            .any(|none| path.split('/').any(|part| part == *none))
        {
            let head = self.ask("HEAD", target, Value::Null).await;
            assert_eq!(head.status, answer.status, "HEAD {target}");
            assert_eq!(head.header("x-resource-count"), answer.header("x-resource-count"), "HEAD {target}");
        }
        answer
    }

    async fn post(&mut self, target: &str, body: Value) -> Answer {
        let answer = self.ask("POST", target, body).await;
        assert!(answer.status < 400, "POST {target}: {answer:?}");
        answer
    }

    async fn put(&mut self, target: &str, body: Value) -> Answer {
        let answer = self.ask("PUT", target, body).await;
        assert!(answer.status < 400, "PUT {target}: {answer:?}");
        answer
    }

    async fn delete(&mut self, target: &str) {
        let answer = self.ask("DELETE", target, Value::Null).await;
        assert!(answer.status == 204 && answer.body.is_empty(), "DELETE {target}: {answer:?}");
    }

    async fn settle(&self) {
        self.stage.settle().await;
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {answer:?}")).to_owned()
}

/// Every request and its answer.
pub async fn all() -> Vec<(Request, Answer)> {
    let mut walk = Walk { stage: Stage::new().await, answers: Vec::new() };
    let zone = machines(&mut walk).await;
    parts(&mut walk, &zone).await;
    hvm(&mut walk).await;
    networks(&mut walk).await;
    firewall(&mut walk, &zone).await;
    volumes(&mut walk).await;
    images(&mut walk, &zone).await;
    account(&mut walk).await;
    rbac(&mut walk, &zone).await;
    failures(&mut walk, &zone).await;
    walk.answers
}

async fn machines(walk: &mut Walk) -> String {
    let ids = walk.stage.simulator.ids().clone();
    let body = json!({
        "name": "zone", "image": ids.ubuntu_lx, "package": "g1.nano", "networks": [ids.external, ids.fabric],
        "tag.role": "web", "tag.n": 1, "metadata.user-data": "{}",
    });
    let zone = id(&walk.post("/my/machines", body).await);
    let target = format!("/my/machines/{zone}");
    walk.get(&target).await;
    walk.settle().await;
    walk.get(&target).await;
    walk.get("/my/machines").await;
    walk.get("/my/machines?credentials=true&tombstone=true").await;
    for action in
        ["stop", "start", "enable_firewall", "enable_deletion_protection", "disable_deletion_protection"]
    {
        walk.post(&format!("{target}?action={action}"), Value::Null).await;
        walk.settle().await;
    }
    walk.get(&format!("{target}/audit")).await;
    zone
}

async fn parts(walk: &mut Walk, zone: &str) {
    let ids = walk.stage.simulator.ids().clone();
    let target = format!("/my/machines/{zone}");
    walk.post(&format!("{target}/tags"), json!({"a": "b"})).await;
    walk.settle().await;
    walk.get(&format!("{target}/tags")).await;
    walk.get(&format!("{target}/tags/a")).await;
    walk.delete(&format!("{target}/tags/a")).await;
    walk.put(&format!("{target}/tags"), json!({"c": "d"})).await;
    walk.settle().await;
    walk.delete(&format!("{target}/tags")).await;
    walk.post(&format!("{target}/metadata"), json!({"a": "b"})).await;
    walk.settle().await;
    walk.get(&format!("{target}/metadata")).await;
    walk.get(&format!("{target}/metadata/a")).await;
    walk.delete(&format!("{target}/metadata/a")).await;
    walk.delete(&format!("{target}/metadata")).await;
    walk.post(&format!("{target}/snapshots"), json!({"name": "s"})).await;
    walk.get(&format!("{target}/snapshots/s")).await;
    walk.settle().await;
    walk.get(&format!("{target}/snapshots")).await;
    walk.get(&format!("{target}/snapshots/s")).await;
    walk.post(&format!("{target}/snapshots/s"), Value::Null).await;
    walk.settle().await;
    walk.delete(&format!("{target}/snapshots/s")).await;
    walk.settle().await;
    walk.get(&format!("{target}/nics")).await;
    let added = walk.post(&format!("{target}/nics"), json!({"network": ids.pool})).await;
    let nic = added.header("location").expect("a path").replacen("/acme/", "/my/", 1);
    walk.settle().await;
    walk.get(&nic).await;
    walk.post(&format!("{target}/nics"), json!({"network": ids.external})).await;
    walk.delete(&nic).await;
    walk.settle().await;
    walk.get(&format!("{target}/migrate")).await;
    for action in ["begin", "sync", "switch"] {
        walk.post(&format!("{target}/migrate?action={action}"), Value::Null).await;
        walk.settle().await;
    }
    walk.get("/my/migrations").await;
    walk.get(&format!("/my/migrations/{zone}")).await;
}

async fn hvm(walk: &mut Walk) {
    let ids = walk.stage.simulator.ids().clone();
    let body = json!({
        "image": ids.ubuntu_hvm, "package": "b1.medium", "networks": [ids.external],
        "disks": [{"size": 10_240}, {"size": 1024}],
    });
    let machine = id(&walk.post("/my/machines", body).await);
    let target = format!("/my/machines/{machine}");
    walk.settle().await;
    walk.get(&target).await;
    walk.ask("GET", &format!("{target}/vnc"), Value::Null).await;
    walk.post(&format!("{target}?action=stop"), Value::Null).await;
    walk.settle().await;
    walk.post(&format!("{target}/disks"), json!({"size": 1024})).await;
    walk.settle().await;
    let slot = walk.post(&format!("{target}/disks"), json!({"size": 1024, "pci_slot": "0:4:5"})).await;
    walk.settle().await;
    walk.get(&format!("{target}/disks")).await;
    let disk = format!("{target}/disks/{}", id(&slot));
    walk.get(&disk).await;
    walk.post(&disk, json!({"size": 2048})).await;
    walk.settle().await;
    walk.delete(&disk).await;
    walk.settle().await;
    walk.delete(&target).await;
    walk.settle().await;
    let gone = walk.get(&target).await;
    assert_eq!(gone.status, 410);
}

async fn networks(walk: &mut Walk) {
    walk.get("/my/networks").await;
    walk.get("/my/networks?fabric=true").await;
    let fabric = walk.stage.simulator.ids().fabric;
    walk.get(&format!("/my/networks/{fabric}")).await;
    walk.get(&format!("/my/networks/{fabric}/ips")).await;
    walk.put(&format!("/my/networks/{fabric}/ips/192.168.129.7"), json!({"reserved": true})).await;
    walk.get(&format!("/my/networks/{fabric}/ips/192.168.129.7")).await;
    let vlans = "/my/fabrics/default/vlans";
    walk.post(vlans, json!({"vlan_id": 9, "name": "nine", "description": "x"})).await;
    walk.get(vlans).await;
    walk.get(&format!("{vlans}/9")).await;
    walk.put(&format!("{vlans}/9"), json!({"name": "nueve"})).await;
    let body = json!({
        "name": "net", "subnet": "10.9.0.0/24", "provision_start_ip": "10.9.0.10", "provision_end_ip": "10.9.0.20",
        "gateway": "10.9.0.1", "resolvers": ["8.8.8.8"], "routes": {"10.10.0.0/16": "10.9.0.2"},
    });
    let network = id(&walk.post(&format!("{vlans}/9/networks"), body).await);
    walk.get(&format!("{vlans}/9/networks")).await;
    walk.get(&format!("{vlans}/9/networks/{network}")).await;
    walk.put(&format!("{vlans}/9/networks/{network}"), json!({"description": "y"})).await;
    walk.delete(&format!("{vlans}/9/networks/{network}")).await;
    walk.delete(&format!("{vlans}/9")).await;
}

async fn firewall(walk: &mut Walk, zone: &str) {
    let body = json!({"rule": "FROM any TO all vms ALLOW tcp PORT 80", "description": "web"});
    let rule = id(&walk.post("/my/fwrules", body).await);
    let target = format!("/my/fwrules/{rule}");
    walk.get("/my/fwrules").await;
    walk.get(&target).await;
    walk.post(&target, json!({"log": true})).await;
    walk.post(&format!("{target}/enable"), Value::Null).await;
    walk.post(&format!("{target}/disable"), Value::Null).await;
    walk.get(&format!("{target}/machines")).await;
    walk.get(&format!("/my/machines/{zone}/fwrules")).await;
    walk.delete(&target).await;
}

async fn volumes(walk: &mut Walk) {
    walk.get("/my/volumesizes").await;
    let volume = id(&walk.post("/my/volumes", json!({"type": "tritonnfs", "tags": {"a": "b"}})).await);
    let target = format!("/my/volumes/{volume}");
    walk.get(&target).await;
    walk.settle().await;
    walk.get("/my/volumes").await;
    walk.get(&target).await;
    walk.post(&format!("{target}?action=update"), json!({"name": "renamed"})).await;
    walk.delete(&target).await;
    walk.settle().await;
    assert_eq!(walk.get(&target).await.code(), "VolumeNotFound");
}

async fn images(walk: &mut Walk, zone: &str) {
    walk.get("/my/images").await;
    let body = json!({"machine": zone, "name": "mine", "version": "1", "tags": {"a": "b"}});
    let image = id(&walk.post("/my/images", body).await);
    let target = format!("/my/images/{image}");
    walk.get(&target).await;
    walk.settle().await;
    walk.get(&target).await;
    let initech = walk.stage.simulator.ids().initech;
    walk.post(&format!("{target}?action=update"), json!({"description": "x", "acl": [initech]})).await;
    walk.get("/my/images?state=all").await;
    walk.delete(&target).await;
    walk.get("/my/packages").await;
    walk.get("/my/packages/b1.medium").await;
}

async fn account(walk: &mut Walk) {
    walk.get("/my").await;
    walk.post("/my", json!({"phone": "1"})).await;
    walk.get("/my/limits").await;
    walk.get("/my/config").await;
    let network = walk.stage.simulator.ids().fabric;
    walk.put("/my/config", json!({"default_network": network})).await;
    walk.get("/my/datacenters").await;
    walk.get("/my/datacenters/dc1").await;
    walk.get("/my/services").await;
    walk.get("/my/keys").await;
    let key = KeyPair::generate().expect("a key").public.to_openssh();
    walk.post("/my/keys", json!({"name": "k", "key": key})).await;
    walk.get("/my/keys/k").await;
    walk.put("/my/keys/k", json!({"role-tag": []})).await;
    walk.delete("/my/keys/k").await;
    access_keys(walk, "/my/accesskeys").await;
}

async fn access_keys(walk: &mut Walk, target: &str) {
    let made = walk.post(target, json!({"description": "x"})).await;
    let key = format!("{target}/{}", made.json()["accesskeyid"].as_str().expect("an id"));
    walk.get(target).await;
    walk.get(&key).await;
    walk.delete(&key).await;
}

async fn rbac(walk: &mut Walk, zone: &str) {
    let user =
        json!({"login": "bob", "email": "bob@example.com", "password": "secret123", "firstName": "Bob"});
    let user = id(&walk.post("/my/users", user).await);
    walk.get("/my/users").await;
    walk.get(&format!("/my/users/{user}")).await;
    walk.post(&format!("/my/users/{user}"), json!({"phone": "1"})).await;
    let passwords = json!({"password": "secret456", "password_confirmation": "secret456"});
    walk.post("/my/users/bob/change_password", passwords).await;
    let key = KeyPair::generate().expect("a key").public.to_openssh();
    walk.post("/my/users/bob/keys", json!({"name": "k", "key": key})).await;
    walk.get("/my/users/bob/keys").await;
    walk.get("/my/users/bob/keys/k").await;
    access_keys(walk, "/my/users/bob/accesskeys").await;
    let policy = id(&walk.post("/my/policies", json!({"name": "p", "rules": ["CAN getmachine"]})).await);
    walk.get("/my/policies").await;
    walk.get("/my/policies/p").await;
    walk.post(&format!("/my/policies/{policy}"), json!({"description": "x"})).await;
    let body = json!({
        "name": "r", "policies": [{"name": "p"}],
        "members": [{"type": "subuser", "login": "bob", "default": true}],
    });
    let role = id(&walk.post("/my/roles", body).await);
    walk.get("/my/roles").await;
    walk.get("/my/roles/r").await;
    walk.get(&format!("/my/users/{user}?membership=true")).await;
    walk.post(&format!("/my/roles/{role}"), json!({"name": "s"})).await;
    let tags = json!({"role-tag": ["s"]});
    let ids = walk.stage.simulator.ids().clone();
    for target in [
        "/my".to_owned(),
        format!("/my/machines/{zone}"),
        "/my/users/bob/keys".to_owned(),
        "/my/users/bob/keys/k".to_owned(),
        format!("/my/images/{}", ids.ubuntu_lx),
        format!("/my/networks/{}", ids.external),
        format!("/my/packages/{}", ids.packages[0]),
        format!("/my/fwrules/{}", ids.acme),
        format!("/my/policies/{policy}"),
        format!("/my/roles/{role}"),
        format!("/my/users/{user}"),
    ] {
        walk.put(&target, tags.clone()).await;
    }
    for collection in [
        "datacenters",
        "fwrules",
        "images",
        "keys",
        "networks",
        "packages",
        "policies",
        "roles",
        "services",
        "users",
    ] {
        walk.put(&format!("/my/{collection}"), tags.clone()).await;
    }
    assert_eq!(walk.get(&format!("/my/machines/{zone}")).await.header("role-tag"), Some("s"));
    walk.delete(&format!("/my/roles/{role}")).await;
    walk.delete(&format!("/my/policies/{policy}")).await;
    walk.delete("/my/users/bob/keys/k").await;
    walk.delete("/my/users/bob").await;
}

/// What goes wrong is an error object.
async fn failures(walk: &mut Walk, zone: &str) {
    let none = "c0de0009-0000-4000-8000-000000000000";
    for target in [
        format!("/my/machines/{none}"),
        format!("/my/images/{none}"),
        format!("/my/networks/{none}"),
        format!("/my/fwrules/{none}"),
        "/my/packages/none".to_owned(),
        "/my/keys/none".to_owned(),
        "/my/machines?state=ready".to_owned(),
    ] {
        assert!(walk.ask("GET", &target, Value::Null).await.status >= 400, "{target}");
    }
    let ids = walk.stage.simulator.ids().clone();
    for body in [
        json!({}),
        json!({"image": ids.ubuntu_lx}),
        json!({"image": ids.ubuntu_lx, "package": "g1.nano", "networks": [none]}),
        json!({"image": ids.ubuntu_lx, "package": "g1.nano", "name": "zone", "networks": [ids.external]}),
        json!({"image": ids.ubuntu_lx, "package": "g1.nano", "networks": [ids.external], "tag.triton.x": 1}),
    ] {
        assert!(walk.ask("POST", "/my/machines", body.clone()).await.status >= 400, "{body}");
    }
    assert_eq!(walk.ask("POST", "/my/fwrules", json!({"rule": "FROM"})).await.status, 422);
    assert_eq!(walk.ask("POST", &format!("/my/machines/{zone}"), json!({"action": "x"})).await.status, 409);
}
