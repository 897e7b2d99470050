//! Clients: what bounds a call, and what is sent in whose name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams, WatchParams};
use kube::client::Body;
use kube::{Api, Config};
use runtime::clients::{Bounds, Clients, ClientsError, Limiter, Limits, Priority, Source};
use runtime::exit::one_line;
use runtime::leader::{Claim, Farewell, NotLeading};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tower::BoxError;

use crate::api_server::ApiServer;
use crate::leader::Candidate;

const SPAN: Duration = Duration::from_secs(30);

fn bounds() -> Bounds {
    Bounds { deadline: SPAN, turn: None, claim: None }
}

fn api(client: &kube::Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

/// Sends a head and this much of a body, then nothing.
fn stalls(start: &'static str) -> kube::Client {
    let service = tower::service_fn(move |_: Request<Body>| async move {
        let first = futures::stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from(start)))]);
        let body = StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync();
        Ok::<_, BoxError>(Response::new(body))
    });
    kube::Client::new(service, "default")
}

/// Never answers, and counts.
fn hangs() -> (Arc<Mutex<usize>>, kube::Client) {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        *count.lock().unwrap() += 1;
        std::future::pending::<Result<Response<Body>, BoxError>>()
    });
    (asked, kube::Client::new(service, "default"))
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    let limiter = Limiter::new(Limits { rate: 0.01, burst: 1 });
    limiter.turn(Priority::Normal).await;
    let waits = Bounds { turn: Some((limiter, Priority::Normal)), ..bounds() };
    for (what, client) in [
        ("does not answer", bounds().around(&hangs().1)),
        ("stalls in the body", bounds().around(&stalls("{\"kind\":"))),
        ("gets no turn", waits.around(&hangs().1)),
    ] {
        let start = Instant::now();
        let error = tokio::time::timeout(SPAN * 2, api(&client).get("x")).await.expect(what).unwrap_err();
        assert_eq!(start.elapsed(), SPAN, "{what}");
        assert!(one_line(&error).contains("did not answer within 30s"), "{what}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_calls_does_not_open_a_connection_for_each() {
    let (asked, client) = hangs();
    let api = api(&bounds().around(&client));
    let calls = futures::future::join_all((0..100).map(|_| api.get("x")));
    assert!(tokio::time::timeout(SPAN / 2, calls).await.is_err());
    assert_eq!(*asked.lock().unwrap(), 16);
}

#[tokio::test(start_paused = true)]
async fn a_watch_has_a_deadline_only_until_it_begins() {
    let client = bounds().around(&stalls(""));
    let mut events = Box::pin(api(&client).watch(&WatchParams::default(), "1").await.unwrap());
    assert!(tokio::time::timeout(SPAN * 100, events.next()).await.is_err(), "the watch was cut off");
    let client = bounds().around(&hangs().1);
    let start = Instant::now();
    assert!(api(&client).watch(&WatchParams::default(), "1").await.is_err());
    assert_eq!(start.elapsed(), SPAN);
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_writes_and_everybody_reads() {
    let server = ApiServer::new(1);
    let leader = Candidate::start(&server, "leader", SignedDuration::ZERO, 1);
    leader.leads_within(1).await;
    let standby = Candidate::start(&server, "standby", SignedDuration::ZERO, 2);

    let (asked, client) = hangs();
    let refused = Bounds { claim: Some(standby.claim.clone()), ..bounds() }.around(&client);
    let error = api(&refused).delete("x", &DeleteParams::default()).await.unwrap_err();
    assert_eq!(one_line(&error), format!("ServiceError: {NotLeading}"));
    assert_eq!(*asked.lock().unwrap(), 0, "nothing was sent");
    assert!(tokio::time::timeout(SPAN * 2, api(&refused).get("x")).await.unwrap().is_err());
    assert_eq!(*asked.lock().unwrap(), 1, "reads are sent");

    // A write under way ends with the claim.
    let claim = leader.claim.clone();
    let writes = Bounds { claim: Some(claim.clone()), ..bounds() }.around(&client);
    let params = PostParams::default();
    let write = tokio::spawn(async move { api(&writes).create(&params, &ConfigMap::default()).await });
    while *asked.lock().unwrap() < 2 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    leader.leave(Farewell::Expire).await;
    let error = write.await.unwrap().unwrap_err();
    assert_eq!(one_line(&error), format!("ServiceError: {NotLeading}"));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_shared_and_waiting_for_a_turn_counts_against_the_claim() {
    let limiter = Limiter::new(Limits { rate: 1.0, burst: 1 });
    let (asked, client) = hangs();
    let claim = Some(Claim::without_election());
    let urgent = Bounds { turn: Some((limiter.clone(), Priority::Urgent)), claim, ..bounds() };
    let background = Bounds { turn: Some((limiter.clone(), Priority::Background)), ..bounds() };
    for bounds in [urgent, background] {
        let client = bounds.around(&client);
        for _ in 0..3 {
            let client = client.clone();
            tokio::spawn(async move { api(&client).get("x").await });
        }
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(*asked.lock().unwrap(), 3);
    assert_eq!(limiter.usage().waiting, [0, 0, 3]);
}

/// Answers every request on a local port with 503, and keeps their heads.
async fn overloaded() -> (Config, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            kept.lock().unwrap().push(String::from_utf8(head).unwrap());
            let answer = b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            connection.write_all(answer).await.unwrap();
        }
    });
    (Config::new(url.parse().unwrap()), heads)
}

#[tokio::test]
async fn controllers_say_who_they_are_and_repeat_nothing_out_of_sight() {
    let (config, heads) = overloaded().await;
    let clients = Clients::from_config(config, "triton-ccm/1.2", Limits::default());
    let client = clients.client("service-controller", Priority::Normal).unwrap();
    assert!(api(&client).get("x").await.is_err());
    let client = clients.leading("node-controller", Priority::Urgent, &Claim::without_election()).unwrap();
    assert!(api(&client).delete("x", &DeleteParams::default()).await.is_err());
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[0].contains("user-agent: triton-ccm/1.2 service-controller\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("user-agent: triton-ccm/1.2 node-controller\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn what_is_wrong_with_credentials_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let named = file.display().to_string();
    let load = async || {
        let source = Source::from_flag(Some(file.clone()));
        match Clients::new(&source, "p/1", Limits::default()).await {
            Ok(_) => "fine".to_owned(),
            Err(error) => one_line(&error),
        }
    };
    let start = format!(
        "cannot use kubeconfig {named}; check --kubeconfig and the file's context, cluster and user: "
    );
    for text in [None, Some(": no yaml"), Some("{}"), Some("current-context: x\ncontexts: []\n")] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let line = load().await;
        assert!(line.starts_with(&start) && line.len() > start.len(), "{text:?}: {line}");
    }
    let error = Clients::new(&Source::InCluster, "p/1", Limits::default()).await.unwrap_err();
    assert!(matches!(error, ClientsError::InCluster { .. }));
    let clients = Clients::from_config(Config::new("http://x".parse().unwrap()), "p", Limits::default());
    assert!(matches!(clients.client("\n", Priority::Normal), Err(ClientsError::Name { .. })));
}
