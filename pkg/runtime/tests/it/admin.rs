//! The admin server over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::admin::{AdminServer, CONNECTIONS, Documents};
use runtime::exit::one_line;
use runtime::health::{Finding, Health, Probe};
use runtime::metrics::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LOCAL: &str = "127.0.0.1:0";

async fn start(health: &Health) -> SocketAddr {
    let server = AdminServer::bind(LOCAL.parse().unwrap()).await.unwrap();
    let address = server.address();
    tokio::spawn(server.serve(health.clone(), Metrics::new().unwrap()));
    address
}

/// Sends one request; returns status and body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    };
    tokio::time::timeout(Duration::from_secs(10), exchange).await.expect("an answer")
}

#[tokio::test]
async fn answers_documents_while_they_can_be_made() {
    let server = AdminServer::bind(LOCAL.parse().unwrap()).await.unwrap();
    let (address, documents) = (server.address(), Documents::default());
    let server = server.with_documents(documents.clone());
    tokio::spawn(server.serve(Health::new(), Metrics::new().unwrap()));
    assert_eq!(ask(address, "GET", "/sd").await.0, 404);
    let known = Arc::new(AtomicBool::new(false));
    let seen = known.clone();
    documents.add("/sd", move || seen.load(Ordering::Relaxed).then(|| "[]".to_owned()));
    assert_eq!(ask(address, "GET", "/sd").await.0, 503);
    known.store(true, Ordering::Relaxed);
    assert_eq!(ask(address, "GET", "/sd").await, (200, "[]".to_owned()));
}

#[tokio::test]
async fn answers_its_four_paths_and_no_others() {
    let health = Health::new();
    let well = Arc::new(AtomicBool::new(true));
    let seen = well.clone();
    health.add(Probe::Ready, "nodes", move || {
        if seen.load(Ordering::Relaxed) { Finding::Standby } else { Finding::Failed("not listed".into()) }
    });
    let address = start(&health).await;
    for (method, path, status, body) in [
        ("GET", "/healthz", 200, "ok"),
        ("GET", "/livez?verbose", 200, "livez check passed\n"),
        ("GET", "/readyz", 200, "standby"),
        ("GET", "/readyz?verbose=1", 200, "[+]nodes standby\nreadyz check passed\n"),
        ("HEAD", "/readyz", 200, ""),
        ("POST", "/readyz", 405, "only GET and HEAD\n"),
        ("GET", "/debug/pprof", 404, "try /healthz, /livez, /readyz or /metrics\n"),
    ] {
        assert_eq!(ask(address, method, path).await, (status, body.to_owned()), "{method} {path}");
    }
    well.store(false, Ordering::Relaxed);
    let expected = "[-]nodes failed: not listed\nreadyz check failed\n";
    assert_eq!(ask(address, "GET", "/readyz").await, (500, expected.to_owned()));
    assert_eq!(ask(address, "GET", "/livez").await.0, 200);
    let (status, metrics) = ask(address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("process_open_fds "), "{metrics}");
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let first = AdminServer::bind(LOCAL.parse().unwrap()).await.unwrap();
    let address = first.address();
    let error = AdminServer::bind(address).await.unwrap_err();
    let expected = format!(
        "cannot listen on {address} for health and metrics; choose another with --admin-address: \
         Address already in use (os error 98)"
    );
    assert_eq!(one_line(&error), expected);
}

#[tokio::test]
async fn idle_connections_beyond_the_bound_wait_and_are_served_when_others_go() {
    let address = start(&Health::new()).await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let mut waiting = Box::pin(ask(address, "GET", "/healthz"));
    assert!(futures::poll!(&mut waiting).is_pending());
    idle.clear();
    assert_eq!(waiting.await, (200, "ok".to_owned()));
}
