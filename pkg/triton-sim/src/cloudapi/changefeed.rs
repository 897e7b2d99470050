//! The changefeed: changes of instances over WebSockets (reference 2.26).
//!
//! It promises nothing, as the real one: no list at the beginning, no replay, no answer to a bad registration, and
//! all sockets are closed when the feed behind it is cut. Each event is serialised once and shared by all clients of
//! its account. A client that does not keep up is cut, so that memory stays bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, broadcast};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use triton::id::{AccountId, InstanceId};
use uuid::Uuid;

use super::call::Call;
use super::error::ApiError;
use super::request::header_text;
use super::respond::{Answer, Reply};
use super::view;
use crate::faults::{Delivery, Faults};
use crate::world::Change;

/// What a client may register for; anything else makes the whole registration void.
const SUB_RESOURCES: [&str; 8] =
    ["alias", "customer_metadata", "destroyed", "nics", "owner_uuid", "server_uuid", "state", "tags"];
/// How many events of an account may wait for its slowest client.
const QUEUE: usize = 1024;
/// How many clients there may be.
const MAX_CLIENTS: usize = 4096;
/// How many events may be late at once; any more are on time.
const MAX_LATE: usize = 10_000;
/// How long a registration may be.
const MAX_REGISTRATION: usize = 1 << 20;
/// After events were sent, more are collected for so long, so that many clients and events cost few wake-ups.
const COLLECT: Duration = Duration::from_millis(20);
/// How long a client may take to accept what is sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to accept that the feed ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// An event as its clients get it.
#[derive(Debug)]
struct Event {
    text: Utf8Bytes,
    sub_resources: Vec<&'static str>,
    instance: InstanceId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventBody<'a> {
    published: String,
    change_kind: ChangeKind<'a>,
    changed_resource_id: String,
    resource_state: &'static str,
    resource_object: view::Machine<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeKind<'a> {
    resource: &'static str,
    sub_resources: &'a [&'static str],
}

/// The text of an event. Times are milliseconds since 1970, in a string.
fn event_text(change: &Change) -> Option<String> {
    let body = EventBody {
        published: change.at.as_millisecond().to_string(),
        change_kind: ChangeKind { resource: "vm", sub_resources: &change.sub_resources },
        changed_resource_id: change.instance.to_string(),
        resource_state: change.state.as_str(),
        resource_object: view::Machine::in_feed(&change.machine),
    };
    serde_json::to_string(&body).ok()
}

/// What a client wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registration {
    sub_resources: Vec<String>,
    /// Instances; all without it.
    vms: Option<Vec<Uuid>>,
}

impl Registration {
    /// Reads a registration; `None` when anything about it is wrong.
    fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Frame {
            resource: String,
            #[serde(rename = "subResources")]
            sub_resources: Vec<String>,
            #[serde(default)]
            vms: Option<Vec<Uuid>>,
        }
        let frame: Frame = serde_json::from_str(text).ok()?;
        let known = |name: &String| SUB_RESOURCES.contains(&name.as_str());
        let valid = frame.resource == "vm" && frame.sub_resources.iter().all(known);
        valid.then_some(Self { sub_resources: frame.sub_resources, vms: frame.vms })
    }

    fn wants(&self, sub_resources: &[&str], instance: InstanceId) -> bool {
        sub_resources.iter().any(|changed| self.sub_resources.iter().any(|wanted| wanted == changed))
            && self.vms.as_ref().is_none_or(|vms| vms.contains(instance.as_uuid()))
    }
}

/// Where events go to.
#[derive(Debug)]
pub(crate) struct Hub {
    faults: Arc<Faults>,
    /// The feed of each account that has clients. Taking one away closes its clients.
    accounts: Mutex<HashMap<AccountId, broadcast::Sender<Arc<Event>>>>,
    clients: Arc<Semaphore>,
    late: Arc<Semaphore>,
}

impl Hub {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
        Self { faults, accounts: Mutex::default(), clients, late: Arc::new(Semaphore::new(MAX_LATE)) }
    }

    /// Tells the clients of the account of a change.
    pub(crate) fn publish(self: &Arc<Self>, change: &Change) {
        let delivery = self.faults.event();
        if delivery == Delivery::Cut {
            return self.cut();
        }
        let has_clients = self.lock().contains_key(&change.owner);
        if !has_clients {
            return;
        }
        let Some(text) = event_text(change) else { return };
        let event = Arc::new(Event {
            text: text.into(),
            sub_resources: change.sub_resources.clone(),
            instance: change.instance,
        });
        match delivery {
            Delivery::Cut => {}
            Delivery::Copies(copies) => (0..copies).for_each(|_| self.send(change.owner, &event)),
            Delivery::Late(delay) => match Arc::clone(&self.late).try_acquire_owned() {
                Err(_) => self.send(change.owner, &event),
                Ok(place) => {
                    let (hub, owner) = (Arc::downgrade(self), change.owner);
                    tokio::spawn(async move {
                        sleep(delay).await;
                        if let Some(hub) = hub.upgrade() {
                            hub.send(owner, &event);
                        }
                        drop(place);
                    });
                }
            },
        }
    }

    /// Closes the sockets of all clients.
    pub(crate) fn cut(&self) {
        self.lock().clear();
    }

    /// How many clients there are.
    pub(crate) fn clients(&self) -> usize {
        MAX_CLIENTS - self.clients.available_permits()
    }

    fn send(&self, owner: AccountId, event: &Arc<Event>) {
        let mut accounts = self.lock();
        if let Some(feed) = accounts.get(&owner)
            && feed.send(Arc::clone(event)).is_err()
        {
            accounts.remove(&owner);
        }
    }

    fn subscribe(&self, owner: AccountId) -> broadcast::Receiver<Arc<Event>> {
        self.lock().entry(owner).or_insert_with(|| broadcast::channel(QUEUE).0).subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, broadcast::Sender<Arc<Event>>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a header's list has a word.
fn has(headers: &HeaderMap, name: &str, word: &str) -> bool {
    let values = header_text(headers, name).unwrap_or_default();
    values.split(',').any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// Whether the headers ask for a WebSocket.
pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has(headers, "upgrade", "websocket") && has(headers, "connection", "upgrade")
}

/// The key of the client, when the headers ask for a WebSocket.
fn websocket_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    if !asks_for_websocket(headers) {
        return Err(ApiError::internal("Connection Must Upgrade For WebSockets"));
    }
    if !has(headers, "sec-websocket-version", "13") {
        return Err(ApiError::bad_request("Sec-WebSocket-Version must be 13"));
    }
    header_text(headers, "sec-websocket-key")
        .ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))
}

/// Answers the handshake and begins to serve the client.
pub(crate) fn upgrade(call: &Call<'_>, upgrade: Option<OnUpgrade>) -> Answer {
    let key = websocket_key(call.headers)?;
    let Some(upgrade) = upgrade else {
        return Err(ApiError::internal("Connection Must Upgrade For WebSockets"));
    };
    let place = Arc::clone(&call.api.feed.clients)
        .try_acquire_owned()
        .map_err(|_| ApiError::unavailable("too many changefeed clients"))?;
    let events = call.api.feed.subscribe(call.account);
    tokio::spawn(async move {
        let _place = place;
        match upgrade.await {
            Ok(socket) => serve(socket, events).await,
            Err(error) => tracing::debug!(%error, "changefeed client went away during its handshake"),
        }
    });
    let mut reply = Reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    reply.headers.push((header::CONNECTION, HeaderValue::from_static("Upgrade")));
    reply.headers.push((header::UPGRADE, HeaderValue::from_static("websocket")));
    Ok(reply.header(header::SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes())))
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a client until either side ends.
async fn serve(socket: Upgraded, mut events: broadcast::Receiver<Arc<Event>>) {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(MAX_REGISTRATION))
        .max_frame_size(Some(MAX_REGISTRATION));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(socket), Role::Server, Some(config)).await;
    let mut registration: Option<Registration> = None;
    let mut collecting = false;
    loop {
        // While events are collected, only the client is listened to.
        let collected = async {
            if collecting {
                sleep(COLLECT).await;
            }
            events.recv().await
        };
        tokio::select! {
            event = collected => {
                let Ok(event) = event else { break };
                match send_all(&mut socket, &mut events, event, registration.as_ref()).await {
                    Some(sent) => collecting = sent,
                    None => break,
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    // A frame that is no registration changes nothing and gets no answer.
                    if let Some(new) = Registration::parse(&text) {
                        registration = Some(new);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    let _ = timeout(CLOSE_TIMEOUT, socket.close(None)).await;
}

/// Sends an event and all that wait behind it, and says whether any went out; `None` when the client is gone, did
/// not keep up, or the feed was cut.
async fn send_all(
    socket: &mut Socket,
    events: &mut broadcast::Receiver<Arc<Event>>,
    first: Arc<Event>,
    registration: Option<&Registration>,
) -> Option<bool> {
    let mut next = Some(first);
    let mut sent = false;
    while let Some(event) = next {
        if registration.is_some_and(|registration| registration.wants(&event.sub_resources, event.instance)) {
            let message = Message::Text(event.text.clone());
            timeout(SEND_TIMEOUT, socket.feed(message)).await.ok()?.ok()?;
            sent = true;
        }
        next = match events.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Empty) => None,
            Err(broadcast::error::TryRecvError::Lagged(_) | broadcast::error::TryRecvError::Closed) => {
                return None;
            }
        };
    }
    if sent {
        timeout(SEND_TIMEOUT, socket.flush()).await.ok()?.ok()?;
    }
    Some(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

    #[test]
    fn a_registration_is_taken_only_when_all_of_it_is_right() {
        let check = |text: &str, ok: bool| assert_eq!(Registration::parse(text).is_some(), ok, "{text}");
        check(r#"{"resource":"vm","subResources":["state","tags"]}"#, true);
        check(r#"{"resource":"vm","subResources":[]}"#, true);
        check(r#"{"resource":"vm","subResources":["state"],"vms":null,"more":1}"#, true);
        check(&format!(r#"{{"resource":"vm","subResources":["state"],"vms":["{ID}"]}}"#), true);
        check(r#"{"resource":"vms","subResources":["state"]}"#, false);
        check(r#"{"resource":"vm","subResources":["state","zone_state"]}"#, false);
        check(r#"{"resource":"vm","subResources":"state"}"#, false);
        check(r#"{"resource":"vm","subResources":["state"],"vms":["x"]}"#, false);
        check(r#"{"resource":"vm"}"#, false);
        check("", false);
        check("[]", false);
    }

    #[test]
    fn an_event_is_delivered_when_any_change_is_registered_and_the_instance_matches() {
        let check = |vms: &str, changed: &[&str], wanted: bool| {
            let text = format!(r#"{{"resource":"vm","subResources":["state","tags"]{vms}}}"#);
            let registration = Registration::parse(&text).expect("a registration");
            assert_eq!(registration.wants(changed, ID.parse().expect("an id")), wanted, "{text} {changed:?}");
        };
        check("", &["state", "zone_state"], true);
        check("", &["last_modified", "tags"], true);
        check("", &["nics"], false);
        check("", &[], false);
        check(&format!(r#","vms":["{ID}"]"#), &["state"], true);
        check(&format!(r#","vms":["{}"]"#, ID.to_uppercase()), &["state"], true);
        check(r#","vms":["00000000-0000-0000-0000-000000000000"]"#, &["state"], false);
        check(r#","vms":[]"#, &["state"], false);
    }

    #[test]
    fn only_a_websocket_handshake_is_upgraded() {
        let headers = |list: &[(&'static str, &'static str)]| -> HeaderMap {
            list.iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect()
        };
        let whole = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "x"),
        ];
        assert_eq!(websocket_key(&headers(&whole)).expect("a key"), "x");
        for (missing, status) in [(0, 500), (1, 500), (2, 400), (3, 400)] {
            let mut partial = whole.to_vec();
            partial.remove(missing);
            let error = websocket_key(&headers(&partial)).expect_err("incomplete");
            assert_eq!(error.status.as_u16(), status);
        }
    }
}
