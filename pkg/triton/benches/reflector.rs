//! Measures the reflector: memory with 10,000 instances, events per second, calls in a quiet hour.
//!
//! `cargo bench -p triton --bench reflector`. The cloud is this program again, as a child process that serves
//! on loopback, so that its memory and its work are not the reflector's.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/it/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "the suites use more of it")]
mod server;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use triton::client::Client;
use triton::id::InstanceId;
use triton::reflector::{Lookup, Reflector, Settings, Store};
use triton::types::TagValue;
use uuid::Uuid;

use crate::server::{Answer, Server, TestSignature};

const INSTANCES: u128 = 10_000;
const EVENTS: u64 = 200_000;

fn main() {
    if std::env::args().any(|argument| argument == "--serve") {
        return serve();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the cloud starts");
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let child = KillOnDrop(child);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = memory("VmRSS");
    let store = runtime.block_on(async {
        let client = Client::builder(url.parse().unwrap(), "acme", Arc::new(TestSignature)).build().unwrap();
        let reflector = Reflector::new(client.clone(), Settings::default());
        let store = reflector.store();
        tokio::spawn(reflector.run());
        let start = Instant::now();
        store.synced().await;
        println!("first list of {} instances: {:.2} s", store.len(), start.elapsed().as_secs_f64());
        println!(
            "memory with {} instances: {:.1} MiB resident ({:.1} MiB before), {:.1} MiB at the peak",
            store.len(),
            memory("VmRSS"),
            before,
            memory("VmHWM")
        );
        events(&store).await;
        store
    });
    drop((store, child));
    quiet_hour();
}

/// Waits until the burst, which the cloud begins two seconds after the feed was opened, is in the store.
async fn events(store: &Store) {
    let mut changes = store.subscribe();
    changes.changed().await;
    changes.changed().await;
    let start = Instant::now();
    let cpu = cpu_seconds();
    loop {
        let last = id(u128::from(EVENTS - 1) % INSTANCES);
        if let Lookup::Present(entry) = store.get(last)
            && entry.observed().tags.get("rev") == Some(&TagValue::from(EVENTS as i64 - 1))
        {
            break;
        }
        changes.changed().await;
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{EVENTS} events in {wall:.2} s: {:.0} events/s, {:.0} per second of processor time",
        EVENTS as f64 / wall,
        EVENTS as f64 / cpu
    );
    println!(
        "memory after the events: {:.1} MiB resident, {:.1} MiB at the peak",
        memory("VmRSS"),
        memory("VmHWM")
    );
}

/// Counts the requests of an hour without changes, on a paused clock.
fn quiet_hour() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let state = Arc::new(Mutex::new(State::default()));
        let server = Server::new(move |seen| state.lock().unwrap().answer(seen));
        let reflector = Reflector::new(server.client(), Settings::default());
        let store = reflector.store();
        tokio::spawn(reflector.run());
        store.synced().await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let before = server.seen().len();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let seen = server.seen().split_off(before);
        let lists = seen.iter().filter(|seen| seen.path() == "/acme/machines").count();
        println!(
            "a quiet hour with {} instances: {lists} calls of ListMachines, {} others",
            store.len(),
            seen.len() - lists
        );
    });
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Made before anything is asked, so that the reflector and not the cloud is measured.
        let burst = (1..EVENTS).map(event).collect();
        let state = Arc::new(Mutex::new(State { burst }));
        let server = Server::new(move |seen| state.lock().unwrap().answer(seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            server.serve(socket);
        }
    });
}

fn id(n: u128) -> InstanceId {
    InstanceId::from(Uuid::from_u128(n))
}

/// An instance with the fields, networks, tags and metadata that a production instance has.
fn instance(n: u128, rev: u64) -> Value {
    let updated = jiff::Timestamp::from_millisecond(1_770_000_000_000 + rev as i64).unwrap();
    json!({
        "id": id(n), "name": format!("default-web-7d9c5b8f6-{n:05}"), "type": "smartmachine", "brand": "lx",
        "state": "running", "image": Uuid::from_u128(7), "ips": ["203.0.113.28", "192.168.128.34"],
        "memory": 1024, "disk": 10240, "deletion_protection": false,
        "metadata": {
            "root_authorized_keys": format!("ssh-ed25519 {} ops@example.com", "A".repeat(400)),
            "user-data": format!("{{\"env_vars\":{{\"PORT\":\"8080\",\"POD\":\"{n}\"}}}}"),
            "triton.cns.status": "up",
        },
        "tags": {
            "k8s.cluster": "prod", "k8s.node": "vk-0", "k8s.namespace": "default",
            "k8s.pod": format!("web-7d9c5b8f6-{n:05}"), "k8s.uid": id(n), "app": "web", "rev": rev,
            "triton.cns.services": "web-default:8080",
        },
        "created": "2026-01-26T21:32:02.032Z", "updated": updated,
        "networks": [Uuid::from_u128(8), Uuid::from_u128(9)],
        "nics": [
            {"mac": "90:b8:d0:80:ec:ae", "ip": "203.0.113.28", "primary": true, "gateway": "203.0.113.1",
             "netmask": "255.255.255.0", "network": Uuid::from_u128(8)},
            {"mac": "90:b8:d0:80:b2:5a", "ip": "192.168.128.34", "primary": false, "gateway": "192.168.128.1",
             "netmask": "255.255.252.0", "network": Uuid::from_u128(9)},
        ],
        "primaryIp": "203.0.113.28", "firewall_enabled": false, "compute_node": Uuid::from_u128(n % 50),
        "package": "g1.micro",
    })
}

/// The cloud's state: the events that the first changefeed gets.
#[derive(Default)]
struct State {
    burst: Vec<String>,
}

impl State {
    fn answer(&mut self, seen: &server::Seen) -> Answer {
        if seen.path() == "/acme/changefeed" {
            let burst = std::mem::take(&mut self.burst);
            return Answer::web_socket(move |socket| feed(socket, burst));
        }
        let number = |name| seen.query(name).and_then(|text| text.parse::<u128>().ok());
        let (limit, offset) = (number("limit").unwrap(), number("offset").unwrap());
        Answer::json(200, (offset..INSTANCES.min(offset + limit)).map(|n| instance(n, 0)).collect::<Vec<_>>())
    }
}

async fn feed(socket: server::Socket, burst: Vec<String>) {
    let (mut out, mut incoming) = socket.split();
    let (sender, mut events) = mpsc::channel::<Message>(1024);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        for text in burst {
            let _ = sender.send(Message::text(text)).await;
        }
        // A closed channel would end the feed.
        std::future::pending::<()>().await;
    });
    loop {
        tokio::select! {
            Some(event) = events.recv() => if out.feed(event).await.is_err() { return },
            message = incoming.next() => if !matches!(message, Some(Ok(_))) { return },
        }
        if events.is_empty() {
            let _ = out.flush().await;
        }
    }
}

fn event(rev: u64) -> String {
    let object = instance(u128::from(rev) % INSTANCES, rev);
    json!({
        "published": rev.to_string(), "changeKind": {"resource": "vm", "subResources": ["tags", "last_modified"]},
        "changedResourceId": object["id"], "resourceState": "running", "resourceObject": object,
    })
    .to_string()
}

/// A line of /proc/self/status in MiB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// The processor time of this process, in seconds: user and system, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
