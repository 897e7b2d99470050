//! A simulated API server that holds ConfigMaps and Secrets, and answers lists and watches of a single one by its
//! name. It counts the watches that are open.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tower::BoxError;

/// Plural, namespace, name.
type Key = (String, String, String);

type Answer = UnsyncBoxBody<Bytes, BoxError>;

#[derive(Clone, Default)]
pub struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    version: u64,
    refuse: Option<StatusCode>,
    watches: Vec<(Key, mpsc::UnboundedSender<String>)>,
    asked: Vec<String>,
}

impl ApiServer {
    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = server.0.lock().unwrap().answer(&request);
            std::future::ready(answer)
        });
        kube::Client::new(service, "default")
    }

    /// Creates or replaces an object. Its annotations repeat its data, as `kubectl apply` has it.
    pub fn put(&self, plural: &str, name: &str, data: &Value) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        let metadata = json!({
            "namespace": "default", "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": state.version.to_string(), "annotations": {"last-applied": data.to_string()},
        });
        let object = json!({"metadata": metadata, "data": data});
        let key = (plural.to_owned(), "default".to_owned(), name.to_owned());
        let kind = if state.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        state.objects.insert(key.clone(), object.clone());
        state.tell(&key, kind, object);
    }

    pub fn delete(&self, plural: &str, name: &str) {
        let mut state = self.0.lock().unwrap();
        let key = (plural.to_owned(), "default".to_owned(), name.to_owned());
        state.version += 1;
        let mut object = state.objects.remove(&key).unwrap();
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.tell(&key, "DELETED", object);
    }

    /// Answers everything with this status, until told otherwise.
    pub fn refuse(&self, status: Option<StatusCode>) {
        self.0.lock().unwrap().refuse = status;
    }

    /// Ends all watches.
    pub fn cut(&self) {
        self.0.lock().unwrap().watches.clear();
    }

    /// The names that are watched, sorted.
    pub fn watched(&self) -> Vec<String> {
        let mut state = self.0.lock().unwrap();
        state.watches.retain(|(_, watch)| !watch.is_closed());
        let mut names: Vec<String> =
            state.watches.iter().map(|((plural, _, name), _)| format!("{plural}/{name}")).collect();
        names.sort();
        names
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }
}

impl State {
    fn tell(&self, key: &Key, kind: &str, object: Value) {
        let line = format!("{}\n", json!({"type": kind, "object": with_kind(&key.0, object)}));
        for (_, watch) in self.watches.iter().filter(|(watched, _)| watched == key) {
            let _ = watch.unbounded_send(line.clone());
        }
    }

    fn answer(&mut self, request: &Request<Body>) -> Result<Response<Answer>, BoxError> {
        let uri = request.uri();
        self.asked.push(uri.to_string());
        if let Some(status) = self.refuse {
            let body = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "Simulated", "message": "refused", "code": status.as_u16(),
            });
            return Ok(Response::builder().status(status).body(whole(body.to_string()))?);
        }
        let segments: Vec<&str> = uri.path().split('/').collect();
        let ["", "api", "v1", "namespaces", namespace, plural] = segments[..] else {
            return Err(format!("an unexpected request: {uri}").into());
        };
        let query = uri.query().unwrap_or_default();
        let name = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"))
            .ok_or("a request for more than one object")?;
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let body = if query.contains("watch=true") {
            let (sender, lines) = mpsc::unbounded();
            self.watches.push((key, sender));
            StreamBody::new(lines.map(|line| Ok(Frame::data(Bytes::from(line))))).boxed_unsync()
        } else {
            let items: Vec<&Value> = self.objects.get(&key).into_iter().collect();
            let metadata = json!({"resourceVersion": self.version.to_string()});
            whole(
                json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}).to_string(),
            )
        };
        Ok(Response::new(body))
    }
}

fn with_kind(plural: &str, mut object: Value) -> Value {
    object["apiVersion"] = json!("v1");
    object["kind"] = json!(if plural == "secrets" { "Secret" } else { "ConfigMap" });
    object
}

fn whole(text: String) -> Answer {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}
