use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use triton_sim::guests::{GuestSettings, Guests};
use triton_sim::view::DataCenter as _;

use super::{connect, eventually, get, request, until_answers, until_refuses};
use crate::data_center::{FakeDataCenter, instance, running};

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_guest_says_who_answers_and_is_as_ready_as_its_metadata_says() {
    let data_center = FakeDataCenter::new([running(1, "192.168.128.10")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    let address = "192.168.128.10:80";
    until_answers(address).await;

    let (status, body) = get(address, "/").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(body["id"], instance(1).to_string());
    assert_eq!((&body["name"], &body["address"]), (&json!("web1"), &json!("192.168.128.10")));

    let statuses = async || [get(address, "/healthz").await.0, get(address, "/readyz").await.0];
    assert_eq!(statuses().await, [200, 200]);
    data_center.guest_sets_metadata(instance(1), "sim.http-status", Some("/readyz=503"));
    assert_eq!(statuses().await, [200, 503]);
    data_center.guest_sets_metadata(instance(1), "sim.http-status", Some("500"));
    assert_eq!(statuses().await, [500, 500]);
    data_center.guest_sets_metadata(instance(1), "sim.http-status", None);
    assert_eq!(statuses().await, [200, 200]);

    let env = r#"{"env_vars": {"COLOR": "blue"}}"#;
    data_center.guest_sets_metadata(instance(1), "user-data", Some(env));
    assert_eq!(get(address, "/env").await, (200, "{\"COLOR\":\"blue\"}\n".to_owned()));
    assert_eq!(request(address, "POST", "/echo", "a body").await.unwrap(), (200, "a body".to_owned()));
    assert_eq!(get(address, "/nothing").await.0, 404);
    let before = tokio::time::Instant::now();
    assert_eq!(get(address, "/?delay=0.2").await.0, 200);
    assert!(before.elapsed().as_secs_f64() >= 0.2);
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn an_echo_sends_back_what_it_gets_until_the_client_has_said_all() {
    let mut view = running(1, "192.168.128.11");
    view.tags.insert("sim.ports".to_owned(), json!("tcp:5432"));
    let _guests = Guests::start(FakeDataCenter::new([view]), GuestSettings::default());
    let mut socket = connect("192.168.128.11:5432").await;
    socket.write_all(b"one\n").await.unwrap();
    let mut line = [0; 4];
    socket.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"one\n");
    socket.write_all(b"two").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"two");
    until_refuses("192.168.128.11:80").await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn ports_open_and_close_as_metadata_and_tags_say() {
    let data_center = FakeDataCenter::new([running(1, "192.168.128.12")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    until_answers("192.168.128.12:80").await;
    data_center.change(instance(1), |view| {
        view.tags.insert("sim.ports".to_owned(), json!("http:8080"));
    });
    until_answers("192.168.128.12:8080").await;
    until_refuses("192.168.128.12:80").await;
    data_center.guest_sets_metadata(instance(1), "sim.ports", Some("none"));
    until_refuses("192.168.128.12:8080").await;
    data_center.guest_sets_metadata(instance(1), "sim.ports", Some("not ports"));
    until_answers("192.168.128.12:8080").await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_guest_has_only_so_many_connections() {
    let mut view = running(1, "192.168.128.13");
    view.tags.insert("sim.ports".to_owned(), json!("tcp:7,http:80"));
    let settings = GuestSettings { connections: 2, ..GuestSettings::default() };
    let _guests = Guests::start(FakeDataCenter::new([view]), settings);
    until_answers("192.168.128.13:7").await;
    let open = async || {
        let mut socket = TcpStream::connect("192.168.128.13:7").await.unwrap();
        let echoes = socket.write_all(b"x").await.is_ok() && socket.read_u8().await.is_ok();
        echoes.then_some(socket)
    };
    let mut kept = Vec::new();
    // The one that only looked whether there is an answer may not have gone yet.
    eventually("two connections", async || {
        kept.extend(open().await);
        kept.len() == 2
    })
    .await;
    assert!(open().await.is_none());
    kept[0].write_all(b"y").await.unwrap();
    assert_eq!(kept[0].read_u8().await.unwrap(), b'y');
    kept.pop();
    eventually("room again", async || open().await.is_some()).await;
}
