//! Guests, on their own addresses in a private network.
//!
//! A network namespace is entered before there are threads, and a test is a thread. So one test starts this
//! test binary again inside of one, through the example `private-network`, and runs the ignored tests there.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::process::Command;

mod balancer;
mod lifecycle;
mod openssh;
mod ssh;
mod ssh_client;
mod web;

/// Tells the tests inside that they are.
const INSIDE: &str = "TRITON_SIM_TEST_INSIDE";
/// What the example exits with when there are no private networks here.
const CANNOT: i32 = 77;

#[tokio::test]
async fn guests_answer_in_a_private_network() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let test = std::env::current_exe().unwrap();
    // From target/debug/deps/it-… to target/debug/examples.
    let example: PathBuf = test.ancestors().nth(2).unwrap().join("examples/private-network");
    assert!(example.exists(), "{} is missing: run `cargo build -p triton-sim --examples`", example.display());
    let output = Command::new(example)
        .args(["192.168.128.0/22,203.0.113.0/24"])
        .arg(test)
        .args(["guests::", "--include-ignored"])
        .env(INSIDE, "1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(300), output).await.expect("an end").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(CANNOT) {
        assert!(std::env::var_os("CI").is_none(), "{err}");
        eprintln!("skipped: {err}");
        return;
    }
    assert!(output.status.success(), "{out}{err}");
    // A filter that finds nothing would succeed as well.
    assert!(!out.contains("running 0 tests") && !out.contains("; 0 passed"), "{out}");
}

/// Waits until a condition holds, but not for ever.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn answers(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok()
}

async fn until_answers(address: &str) {
    eventually("an answer", || answers(address)).await;
}

async fn until_refuses(address: &str) {
    eventually("a refusal", async || !answers(address).await).await;
}

async fn connect(address: &str) -> TcpStream {
    until_answers(address).await;
    TcpStream::connect(address).await.unwrap()
}

/// What a guest's web server answers: the status and the body.
async fn get(address: &str, path: &str) -> (u16, String) {
    try_get(address, path).await.unwrap()
}

async fn try_get(address: &str, path: &str) -> Result<(u16, String), Box<dyn Error>> {
    request(address, "GET", path, "").await
}

async fn request(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(u16, String), Box<dyn Error>> {
    let socket = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", address)
        .body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes())))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8(body.to_vec())?))
}
