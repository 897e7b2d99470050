//! A small cloud behind the scripted server: instances, pages, reads, a changefeed, and lies on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use triton::id::InstanceId;
use uuid::Uuid;

use crate::server::{Answer, Seen, Server, Socket};

/// What a test can make the cloud do wrong.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// Answers everything with this status.
    pub outage: Option<u16>,
    /// Lists show nothing.
    pub empty_lists: bool,
    /// Lists answer this late, with what was true when they were asked.
    pub lists_take: Duration,
    /// Lists leave out these instances.
    pub hidden: Vec<InstanceId>,
    /// Rows of lists that cannot be decoded, appended to each page.
    pub garbage_rows: usize,
    /// Reads of these are answered with 404.
    pub denied: Vec<InstanceId>,
    /// Events are lost.
    pub mute: bool,
    /// Every event is sent twice.
    pub stutter: bool,
    /// Sockets accept everything and answer nothing, pings neither.
    pub dead_sockets: bool,
    /// Out of 256 requests, about this many fail with 500, chosen by `seed`.
    pub failing: u8,
    pub seed: u64,
}

#[derive(Default)]
struct State {
    instances: BTreeMap<InstanceId, Value>,
    destroyed: BTreeMap<InstanceId, Value>,
    clock_ms: i64,
    faults: Faults,
    feeds: Vec<mpsc::UnboundedSender<String>>,
    requests: u64,
}

/// The cloud; cloning gives another handle.
#[derive(Clone)]
pub struct Cloud {
    state: Arc<Mutex<State>>,
    pub server: Server,
}

pub fn id(n: u128) -> InstanceId {
    InstanceId::from(Uuid::from_u128(n))
}

impl Cloud {
    pub fn new() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let server = Server::new(move |seen| shared.lock().unwrap().answer(seen));
        Self { state, server }
    }

    /// A cloud with this many running instances, numbered from 1.
    pub fn with_instances(count: u128) -> Self {
        let cloud = Self::new();
        for n in 1..=count {
            cloud.put(n, "running", 0);
        }
        cloud
    }

    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.lock().unwrap().faults);
    }

    /// Creates an instance or gives it another state and another `rev` tag.
    pub fn put(&self, n: u128, state: &str, rev: u32) {
        let mut cloud = self.state.lock().unwrap();
        cloud.clock_ms += 1;
        let updated = jiff::Timestamp::from_millisecond(1_770_000_000_000 + cloud.clock_ms).unwrap();
        let instance = json!({
            "id": id(n), "name": format!("web-{n}"), "type": "smartmachine", "brand": "lx", "state": state,
            "package": "g1.small", "memory": 1024, "disk": 10240, "updated": updated, "created": updated,
            "tags": {"rev": rev, "app": "web"}, "metadata": {}, "ips": ["10.0.0.1"],
        });
        cloud.instances.insert(id(n), instance.clone());
        cloud.publish(&instance, state, &["state", "tags"]);
    }

    pub fn destroy(&self, n: u128) {
        let mut cloud = self.state.lock().unwrap();
        if let Some(mut instance) = cloud.instances.remove(&id(n)) {
            instance["state"] = json!("deleted");
            cloud.destroyed.insert(id(n), instance.clone());
            cloud.publish(&instance, "destroyed", &["state", "destroyed"]);
        }
    }

    /// Closes every changefeed, as CloudAPI does when its own upstream reconnects.
    pub fn cut_feeds(&self) {
        self.state.lock().unwrap().feeds.clear();
    }

    /// Sends any text on every changefeed.
    pub fn say(&self, text: &str) {
        self.state.lock().unwrap().feeds.retain(|feed| feed.send(text.to_owned()).is_ok());
    }

    /// How many changefeeds are open.
    pub fn feeds(&self) -> usize {
        let mut cloud = self.state.lock().unwrap();
        cloud.feeds.retain(|feed| !feed.is_closed());
        cloud.feeds.len()
    }

    /// The living instances' `rev` and state, failed ones left out.
    pub fn truth(&self) -> BTreeMap<InstanceId, (u64, String)> {
        let cloud = self.state.lock().unwrap();
        cloud
            .instances
            .iter()
            .filter(|(_, instance)| instance["state"] != "failed")
            .map(|(id, instance)| {
                (
                    *id,
                    (
                        instance["tags"]["rev"].as_u64().unwrap(),
                        instance["state"].as_str().unwrap().to_owned(),
                    ),
                )
            })
            .collect()
    }

    pub fn lives(&self, id: InstanceId) -> bool {
        self.state.lock().unwrap().instances.contains_key(&id)
    }
}

impl State {
    fn publish(&mut self, instance: &Value, vm_state: &str, sub_resources: &[&str]) {
        if self.faults.mute {
            return;
        }
        let mut object = instance.clone();
        object["package"] = json!("");
        let event = json!({
            "published": self.clock_ms.to_string(),
            "changeKind": {"resource": "vm", "subResources": sub_resources},
            "changedResourceId": instance["id"],
            "resourceState": vm_state,
            "resourceObject": object,
        })
        .to_string();
        let copies = if self.faults.stutter { 2 } else { 1 };
        self.feeds.retain(|feed| (0..copies).all(|_| feed.send(event.clone()).is_ok()));
    }

    fn answer(&mut self, seen: &Seen) -> Answer {
        self.requests += 1;
        if let Some(status) = self.faults.outage {
            return Answer::error(status, "ServiceUnavailableError", "the cloud is down on purpose");
        }
        let dice = fastrand::Rng::with_seed(self.faults.seed ^ self.requests).u8(..);
        if dice < self.faults.failing {
            return Answer::error(500, "InternalError", "failing on purpose");
        }
        match seen.path() {
            "/acme/machines" => self.list(seen).after(self.faults.lists_take),
            "/acme/changefeed" => self.feed(),
            path => match path.strip_prefix("/acme/machines/").and_then(|id| id.parse().ok()) {
                Some(id) => self.read(id),
                None => Answer::error(404, "ResourceNotFound", "no such path"),
            },
        }
    }

    fn list(&self, seen: &Seen) -> Answer {
        let number = |name| seen.query(name).and_then(|text| text.parse().ok());
        let (limit, offset): (usize, usize) =
            (number("limit").unwrap_or(1000), number("offset").unwrap_or(0));
        let shown = |(id, instance): &(&InstanceId, &Value)| {
            !self.faults.empty_lists && instance["state"] != "failed" && !self.faults.hidden.contains(id)
        };
        let rows = if seen.query("state") == Some("destroyed") { &self.destroyed } else { &self.instances };
        // By id, descending (reference 2.6).
        let rows = rows.iter().rev().filter(shown).map(|(_, instance)| instance.clone());
        let mut page: Vec<Value> = rows.skip(offset).take(limit).collect();
        page.extend(
            (0..self.faults.garbage_rows).map(|n| json!({"id": null, "name": format!("garbage-{n}")})),
        );
        Answer::json(200, page)
    }

    fn read(&self, id: InstanceId) -> Answer {
        if self.faults.denied.contains(&id) {
            return Answer::error(404, "ResourceNotFound", "VM not found");
        }
        match (self.instances.get(&id), self.destroyed.get(&id)) {
            (Some(instance), _) => Answer::json(200, instance.clone()),
            (None, Some(instance)) => Answer::json(410, instance.clone()),
            (None, None) => Answer::error(404, "ResourceNotFound", "VM not found"),
        }
    }

    fn feed(&mut self) -> Answer {
        if self.faults.dead_sockets {
            return Answer::web_socket(|socket| async move {
                std::future::pending::<()>().await;
                drop(socket);
            });
        }
        let (sender, events) = mpsc::unbounded_channel();
        self.feeds.push(sender);
        Answer::web_socket(|socket| play_feed(socket, events))
    }
}

/// The server's part of a changefeed: waits for a registration, then sends events until it is cut.
async fn play_feed(mut socket: Socket, mut events: mpsc::UnboundedReceiver<String>) {
    let Some(Ok(Message::Text(registration))) = socket.next().await else {
        return;
    };
    let registration: Value = serde_json::from_str(&registration).unwrap();
    assert_eq!(registration["resource"], "vm");
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => if socket.send(Message::text(event)).await.is_err() { return },
                None => return drop(socket.close(None).await),
            },
            // Reading answers pings.
            message = socket.next() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}
