//! The guest of the load balancer: connections of clients go through it to other guests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use triton_sim::cns::{Cns, CnsSettings, ZoneConfig};
use triton_sim::guests::{BalancerSettings, GuestSettings, Guests};
use triton_sim::view::{DataCenter as _, InstanceView};

use super::{connect, eventually, get, try_get, until_refuses};
use crate::data_center::{FakeDataCenter, instance, running};

const PORTMAP: &str = "cloud.tritoncompute:portmap";

/// A load balancer and its surroundings, as short of patience as a test.
struct Scene {
    data_center: Arc<FakeDataCenter>,
    cns: Cns,
    _guests: Guests,
}

/// The number of the load balancer among the instances.
const BALANCER: u128 = 99;

impl Scene {
    /// A load balancer at `address`, which forwards nothing yet, and these guests.
    async fn new(address: &str, servers: impl IntoIterator<Item = InstanceView>) -> Self {
        let mut balancer = running(BALANCER, address);
        balancer.image_name = "cloud-load-balancer".into();
        balancer.metadata.insert("cloud.tritoncompute:loadbalancer".to_owned(), "true".to_owned());
        let data_center = FakeDataCenter::new(servers.into_iter().chain([balancer]));
        let settings = CnsSettings {
            address: ([127, 0, 0, 1], 0).into(),
            zones: ZoneConfig::of_data_center("dc1", []).unwrap(),
            commit_delay: Duration::from_millis(10),
            cmon: None,
        };
        let cns = Cns::start(data_center.clone(), settings).await.unwrap();
        let balancer = BalancerSettings {
            resolver: Some(cns.address()),
            resolve: Duration::from_millis(50),
            check: Duration::from_millis(50),
        };
        let settings = GuestSettings { balancer, ..GuestSettings::default() };
        let guests = Guests::start(data_center.clone(), settings);
        Self { data_center, cns, _guests: guests }
    }

    /// Sets metadata of the load balancer. `SERVICES` stands for the zone of services.
    fn set(&self, key: &str, text: &str) {
        let view = self.data_center.instance(instance(BALANCER)).unwrap();
        let suffixes = self.cns.suffixes(view.nics[0].network, view.owner, &view.owner_login);
        let zone = suffixes.iter().find(|suffix| suffix.starts_with("svc.")).unwrap();
        let text = text.replace("SERVICES", zone);
        self.data_center.guest_sets_metadata(instance(BALANCER), key, Some(&text));
    }
}

/// A guest in a CNS service.
fn serving(number: u128, ip: &str, services: &str) -> InstanceView {
    let mut view = running(number, ip);
    view.tags.insert("triton.cns.services".to_owned(), json!(services));
    view.tags.insert("sim.ports".to_owned(), json!("http:8080,tcp:5432"));
    view
}

/// Who answers an HTTP request; nobody when it is no guest.
async fn who(address: &str) -> Option<String> {
    let (_, body) = try_get(address, "/").await.ok()?;
    let answer: Value = serde_json::from_str(&body).ok()?;
    answer["name"].as_str().map(str::to_owned)
}

/// Waits until requests are answered by these guests and no others, each of as many requests as there are guests.
async fn until_answered_by(address: &str, names: &[&str]) {
    eventually(&format!("answers of {names:?}"), async || {
        let mut answered = BTreeSet::new();
        for _ in 0..names.len() * 2 {
            answered.insert(who(address).await.unwrap_or_default());
        }
        answered == names.iter().map(|name| (*name).to_owned()).collect()
    })
    .await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn requests_go_through_a_load_balancer_to_healthy_guests_that_dns_names() {
    let servers = [serving(1, "192.168.128.51", "web:8080"), serving(2, "192.168.128.52", "web:8080")];
    let scene = Scene::new("192.168.128.50", servers).await;
    let address = "192.168.128.50:80";
    scene.set(PORTMAP, "http://80:web.SERVICES:8080{check:/healthz,fall:1,rise:1}");
    until_answered_by(address, &["web1", "web2"]).await;

    // The server sees the load balancer's address, and whom it asks for.
    let (_, body) = get(address, "/").await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert!(answer["client"].as_str().unwrap().starts_with("192.168.128.50:"), "{answer}");

    scene.data_center.guest_sets_metadata(instance(1), "sim.http-status", Some("/healthz=500"));
    until_answered_by(address, &["web2"]).await;
    scene.data_center.guest_sets_metadata(instance(1), "sim.http-status", None);
    until_answered_by(address, &["web1", "web2"]).await;

    // DNS names no one but a third.
    scene.data_center.put(serving(3, "192.168.128.53", "web:8080"));
    for number in [1, 2] {
        scene.data_center.change(instance(number), |view| {
            view.tags.remove("triton.cns.services");
        });
    }
    until_answered_by(address, &["web3"]).await;
    scene.data_center.guest_powers_off(instance(3));
    eventually("no server", async || get(address, "/").await.0 == 503).await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn without_a_port_for_servers_their_srv_records_say_it() {
    let servers = [serving(1, "192.168.128.55", "db:5432"), serving(2, "192.168.128.56", "web:8080")];
    let scene = Scene::new("192.168.128.54", servers).await;
    scene.set(PORTMAP, "tcp://5000:db.SERVICES nonsense tcp://81:web.SERVICES");
    until_answered_by("192.168.128.54:81", &["web2"]).await;
    eventually("an echo", async || {
        let mut socket = connect("192.168.128.54:5000").await;
        let mut answer = String::new();
        let said = socket.write_all(b"hello").await.is_ok() && socket.shutdown().await.is_ok();
        said && socket.read_to_string(&mut answer).await.is_ok() && answer == "hello"
    })
    .await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_change_of_one_port_leaves_connections_of_the_others_alone() {
    let scene = Scene::new("192.168.128.57", [serving(1, "192.168.128.58", "db:5432")]).await;
    scene.set(PORTMAP, "tcp://5000:db.SERVICES:5432,tcp://5001:db.SERVICES:5432");
    let echo =
        async |socket: &mut TcpStream| socket.write_all(b"x").await.is_ok() && socket.read_u8().await.is_ok();
    let mut kept = None;
    eventually("an echo", async || {
        let mut socket = connect("192.168.128.57:5000").await;
        let good = echo(&mut socket).await;
        kept = Some(socket).filter(|_| good);
        good
    })
    .await;
    scene.set(PORTMAP, "tcp://5000:db.SERVICES:5432,tcp://5002:db.SERVICES:5432");
    until_refuses("192.168.128.57:5001").await;
    assert!(echo(&mut connect("192.168.128.57:5002").await).await);
    assert!(echo(&mut kept.unwrap()).await);
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_cookie_keeps_a_client_with_its_server() {
    let servers = [serving(1, "192.168.128.60", "web:8080"), serving(2, "192.168.128.61", "web:8080")];
    let scene = Scene::new("192.168.128.59", servers).await;
    scene.set(PORTMAP, "http://80:web.SERVICES:8080");
    until_answered_by("192.168.128.59:80", &["web1", "web2"]).await;
    let ask = async |cookie: Option<&str>| {
        let mut socket = TcpStream::connect("192.168.128.59:80").await.unwrap();
        let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{cookie}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let given = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let given = given.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        (given, ["web1", "web2"].into_iter().find(|name| answer.contains(name)))
    };
    let (cookie, server) = ask(None).await;
    let cookie = cookie.unwrap();
    assert!(cookie.starts_with("CLOUD-TRITONCOMPUTE-RS="), "{cookie}");
    for _ in 0..4 {
        assert_eq!(ask(Some(&cookie)).await, (None, server));
    }
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn metrics_are_for_those_on_the_list() {
    let scene = Scene::new("192.168.128.62", [serving(1, "192.168.128.63", "web:8080")]).await;
    scene.set(PORTMAP, "http://80:web.SERVICES:8080");
    until_answered_by("192.168.128.62:80", &["web1"]).await;
    until_refuses("192.168.128.62:8405").await;
    scene.set("cloud.tritoncompute:metrics_acl", "203.0.113.0/24");
    eventually("a refusal", async || {
        try_get("192.168.128.62:8405", "/metrics").await.is_ok_and(|it| it.0 == 403)
    })
    .await;
    scene.set("cloud.tritoncompute:metrics_acl", "203.0.113.0/24 192.168.128.0/24");
    eventually("metrics", async || {
        let answer = try_get("192.168.128.62:8405", "/metrics").await;
        answer.is_ok_and(|(_, text)| text.contains("haproxy_backend_active_servers{proxy=\"be0\"} 1\n"))
    })
    .await;
}
