//! An API server in memory that knows Nodes: lists, watches, patches and deletes them with the preconditions of the
//! real one, and takes events. Of strategic merges it knows what is written on Nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::Body;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::BoxError;

type ReplyBody = UnsyncBoxBody<Bytes, BoxError>;

/// The server; cloning gives another handle.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: BTreeMap<String, Value>,
    version: u64,
    /// Everything that ever happened to Nodes, by version: watches may begin anywhere.
    history: Vec<(u64, String)>,
    watches: Vec<mpsc::UnboundedSender<String>>,
    deletions: Vec<(String, Instant)>,
    notes: Vec<(String, String)>,
}

impl ApiServer {
    /// A client without any bounds.
    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.serve(request).await }
        });
        kube::Client::new(service, "default")
    }

    /// Puts a Node, as its kubelet does when it registers.
    pub(crate) fn put(&self, mut node: Value) {
        let mut state = self.0.lock().unwrap();
        let name = node["metadata"]["name"].as_str().unwrap().to_owned();
        node["metadata"]["uid"] = json!(format!("uid-of-{name}"));
        state.store("ADDED", name, node);
    }

    /// Says whether a Node is ready, as its kubelet or the control plane does. Nothing for one that is not there.
    pub(crate) fn say_ready(&self, name: &str, ready: bool) {
        let mut state = self.0.lock().unwrap();
        let Some(mut node) = state.nodes.get(name).cloned() else { return };
        let status = if ready { "True" } else { "Unknown" };
        merge_status(&mut node, &json!({"conditions": [{"type": "Ready", "status": status}]}));
        state.store("MODIFIED", name.to_owned(), node);
    }

    /// The Node of this name.
    pub(crate) fn node(&self, name: &str) -> Option<Value> {
        self.0.lock().unwrap().nodes.get(name).cloned()
    }

    /// Which Nodes were deleted, and when.
    pub(crate) fn deletions(&self) -> Vec<(String, Instant)> {
        self.0.lock().unwrap().deletions.clone()
    }

    /// How many events had this reason.
    pub(crate) fn noted(&self, reason: &str) -> usize {
        self.0.lock().unwrap().notes.iter().filter(|(it, _)| it == reason).count()
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<ReplyBody>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        let query = head.uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        if head.method == Method::GET && parameter("watch").is_some() {
            let since = parameter("resourceVersion").and_then(|it| it.parse().ok()).unwrap_or(0);
            return Ok(self.watch(since));
        }
        let (status, answer) = self.0.lock().unwrap().perform(&head.method, head.uri.path(), &body);
        let body = Full::new(Bytes::from(serde_json::to_vec(&answer)?)).map_err(|never| match never {});
        Ok(Response::builder().status(status).body(body.boxed_unsync())?)
    }

    fn watch(&self, since: u64) -> Response<ReplyBody> {
        let mut state = self.0.lock().unwrap();
        let (sender, news) = mpsc::unbounded_channel();
        let past: Vec<String> =
            state.history.iter().filter(|(at, _)| *at > since).map(|(_, line)| line.clone()).collect();
        state.watches.push(sender);
        let news = stream::unfold(news, |mut news| async { Some((news.recv().await?, news)) });
        let lines = stream::iter(past).chain(news);
        let frames = lines.map(|line| Ok::<_, BoxError>(Frame::data(Bytes::from(line))));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

impl State {
    fn perform(&mut self, method: &Method, path: &str, body: &Value) -> (StatusCode, Value) {
        if path.contains("/events") {
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            if *method == Method::POST {
                self.notes.push((text("reason"), text("note")));
            }
            return (StatusCode::CREATED, body.clone());
        }
        let Some(rest) = path.strip_prefix("/api/v1/nodes") else { return refusal(StatusCode::NOT_FOUND) };
        let mut parts = rest.split('/').skip(1);
        match (method, parts.next(), parts.next()) {
            (&Method::GET, None, _) => {
                let items: Vec<&Value> = self.nodes.values().collect();
                let version = self.version.to_string();
                let list = json!({
                    "kind": "NodeList", "apiVersion": "v1", "items": items, "metadata": {"resourceVersion": version},
                });
                (StatusCode::OK, list)
            }
            (&Method::PATCH, Some(name), part) => self.patch(name, part == Some("status"), body),
            (&Method::DELETE, Some(name), None) => self.delete(name, body),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn patch(&mut self, name: &str, status: bool, patch: &Value) -> (StatusCode, Value) {
        let Some(mut node) = self.nodes.get(name).cloned() else { return refusal(StatusCode::NOT_FOUND) };
        if !holds(&node, &patch["metadata"]) {
            return refusal(StatusCode::CONFLICT);
        }
        if status {
            merge_status(&mut node, &patch["status"]);
        } else {
            for (part, fields) in [("metadata", &["labels"][..]), ("spec", &["providerID", "taints"][..])] {
                for field in fields.iter().filter(|field| !patch[part][**field].is_null()) {
                    merge(&mut node[part][*field], &patch[part][*field]);
                }
            }
        }
        (StatusCode::OK, self.store("MODIFIED", name.to_owned(), node))
    }

    fn delete(&mut self, name: &str, options: &Value) -> (StatusCode, Value) {
        let Some(node) = self.nodes.get(name).cloned() else { return refusal(StatusCode::NOT_FOUND) };
        if !holds(&node, &options["preconditions"]) {
            return refusal(StatusCode::CONFLICT);
        }
        self.deletions.push((name.to_owned(), Instant::now()));
        let last = self.store("DELETED", name.to_owned(), node);
        self.nodes.remove(name);
        (StatusCode::OK, last)
    }

    fn store(&mut self, kind: &str, name: String, mut node: Value) -> Value {
        self.version += 1;
        node["kind"] = json!("Node");
        node["apiVersion"] = json!("v1");
        node["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let line = format!("{}\n", json!({"type": kind, "object": node}));
        self.watches.retain(|watch| watch.send(line.clone()).is_ok());
        self.history.push((self.version, line));
        self.nodes.insert(name, node.clone());
        node
    }
}

/// Whether an object has the UID and the version that are asked for, where they are.
fn holds(node: &Value, asked: &Value) -> bool {
    ["uid", "resourceVersion"].iter().all(|key| asked[key].is_null() || asked[key] == node["metadata"][key])
}

/// Objects are merged, all else is replaced.
fn merge(value: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            fields.iter().for_each(|(key, new)| merge(&mut value[key], new));
        }
        _ => *value = patch.clone(),
    }
}

/// Conditions are merged by type; addresses come with the directive to replace the list.
fn merge_status(node: &mut Value, patch: &Value) {
    if let Some(addresses) = patch["addresses"].as_array() {
        let listed = addresses.iter().filter(|it| it["$patch"].is_null()).cloned();
        node["status"]["addresses"] = listed.collect();
    }
    for new in patch["conditions"].as_array().into_iter().flatten() {
        let mut all = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        match all.iter_mut().find(|old| old["type"] == new["type"]) {
            Some(old) => merge(old, new),
            None => all.push(new.clone()),
        }
        node["status"]["conditions"] = Value::Array(all);
    }
}

fn refusal(status: StatusCode) -> (StatusCode, Value) {
    let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
        "message": "refused", "code": status.as_u16(),
    });
    (status, body)
}
