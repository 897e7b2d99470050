//! Clients of the DNS: hickory's, and `dig`.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::client::{Client, ClientHandle as _};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::proto::op::{DnsResponse, ResponseCode};
use hickory_resolver::proto::rr::{DNSClass, Name, RecordType};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::center::ACCOUNT;

/// How long a test waits for a condition.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks over UDP and over TCP. The two must agree, unless the answer is too large for UDP; where they differ,
/// something may have changed in between, and they are asked again.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> DnsResponse {
    eventually(&format!("one answer for {name} {kind} over UDP and TCP"), async || {
        let over_udp = ask_udp(server, name, kind).await;
        let over_tcp = ask_tcp(server, name, kind).await;
        assert!(!over_tcp.metadata.truncation);
        let is_same = over_udp.answers == over_tcp.answers
            && over_udp.metadata.response_code == over_tcp.metadata.response_code;
        (is_same || over_udp.metadata.truncation).then_some(over_tcp)
    })
    .await
}

async fn ask_udp(server: SocketAddr, name: &str, kind: RecordType) -> DnsResponse {
    let stream = UdpClientStream::builder(server, TokioRuntimeProvider::new()).build();
    let (mut client, background) = Client::<TokioRuntimeProvider>::from_sender(stream);
    let background = tokio::spawn(background);
    let answer = client.query(full(name), DNSClass::IN, kind).await.unwrap();
    background.abort();
    answer
}

async fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> DnsResponse {
    let (connecting, handle) = TcpClientStream::new(server, None, None, TokioRuntimeProvider::new());
    let (mut client, background) = Client::<TokioRuntimeProvider>::new(connecting.await.unwrap(), handle);
    let background = tokio::spawn(background);
    let answer = client.query(full(name), DNSClass::IN, kind).await.unwrap();
    background.abort();
    answer
}

fn full(name: &str) -> Name {
    Name::from_ascii(format!("{}.", name.replace("ACCOUNT", ACCOUNT))).unwrap()
}

/// The data of the answers, sorted, or the error's name.
pub async fn answers(server: SocketAddr, name: &str, kind: RecordType) -> Vec<String> {
    let reply = ask(server, name, kind).await;
    if reply.metadata.response_code != ResponseCode::NoError {
        return vec![format!("{:?}", reply.metadata.response_code)];
    }
    let mut answers: Vec<String> =
        reply.answers.iter().map(|record| record.data.to_string().replace(ACCOUNT, "ACCOUNT")).collect();
    answers.sort();
    answers
}

/// Waits until a name has these answers.
pub async fn until(server: SocketAddr, name: &str, kind: RecordType, expected: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = answers(server, name, kind).await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{name} {kind} is {found:?}, not {expected:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a condition holds.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A resolver as programs have it, which asks this server over UDP and, where needed, over TCP.
pub fn resolver(server: SocketAddr) -> TokioResolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let name_server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::new()).build().unwrap()
}

/// Whether `dig` is there. In CI it must be; elsewhere the test says that it is skipped.
pub async fn dig_is_here() -> bool {
    if Command::new("dig").arg("-v").output().await.is_ok() {
        return true;
    }
    let message = "dig not found: install bind9-dnsutils (bind-utils, dnsutils)";
    assert!(std::env::var_os("CI").is_none(), "{message}");
    eprintln!("skipped: {message}");
    false
}

/// The lines that `dig` prints for these arguments.
pub async fn dig(server: SocketAddr, arguments: &str) -> Vec<String> {
    let mut command = Command::new("dig");
    command.arg("-r").arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    command.args(["+time=5", "+tries=1"]);
    command.args(arguments.replace("ACCOUNT", ACCOUNT).split(' '));
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "dig {arguments}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let words =
        |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").replace(ACCOUNT, "ACCOUNT");
    text.lines().map(words).filter(|line| !line.is_empty()).collect()
}
