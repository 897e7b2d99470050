//! Watches against scripted API servers under a paused clock: how often they ask, and what they know.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::client::Body;
use kube::runtime::watcher;
use runtime::clients::{Bounds, DEADLINE};
use runtime::health::{Health, Probe};
use runtime::watching::{Caches, watch};
use serde_json::json;
use tower::BoxError;

/// What a scripted server does with a request.
#[derive(Clone)]
enum Act {
    /// Lists these nodes.
    List(&'static [&'static str]),
    /// Sends these watch events and then ends the watch.
    Watch(Vec<serde_json::Value>),
    /// Sends these watch events and then nothing.
    WatchOpen(Vec<serde_json::Value>),
    Refuse(u16),
    /// No answer.
    Hang,
}

/// Serves by the script, then its last act for ever; keeps what was asked.
#[derive(Clone)]
struct Script {
    acts: Arc<Mutex<VecDeque<Act>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: Arc::new(Mutex::new(acts.into_iter().collect())), asked: Arc::default() }
    }

    fn then(&self, acts: impl IntoIterator<Item = Act>) {
        *self.acts.lock().unwrap() = acts.into_iter().collect();
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn nodes(&self) -> Api<Node> {
        let script = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| script.clone().serve(request));
        let bounds = Bounds { deadline: DEADLINE, turn: None, claim: None };
        Api::all(bounds.around(&kube::Client::new(service, "default")))
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        self.asked.lock().unwrap().push(request.uri().query().unwrap_or_default().to_owned());
        let act = {
            let mut acts = self.acts.lock().unwrap();
            let act = acts.front().cloned().unwrap();
            if acts.len() > 1 {
                acts.pop_front();
            }
            act
        };
        let (status, body) = match act {
            Act::List(names) => {
                let items: Vec<_> = names.iter().map(|name| node(name, 1)).collect();
                let metadata = json!({"resourceVersion": "10"});
                let list =
                    json!({"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": items});
                (200, whole(list.to_string()))
            }
            Act::Watch(events) => (200, whole(lines(&events))),
            Act::WatchOpen(events) => {
                let first = futures::stream::iter([Ok(Frame::data(Bytes::from(lines(&events))))]);
                (200, StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync())
            }
            Act::Refuse(status) => {
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "reason": "Simulated", "message": "refused", "code": status,
                });
                (status, whole(body.to_string()))
            }
            Act::Hang => std::future::pending().await,
        };
        Ok(Response::builder().status(StatusCode::from_u16(status)?).body(body)?)
    }
}

type Answer = UnsyncBoxBody<Bytes, BoxError>;

fn whole(text: String) -> Answer {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

fn lines(events: &[serde_json::Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

fn node(name: &str, version: u32) -> serde_json::Value {
    let metadata = json!({
        "name": name, "resourceVersion": version.to_string(), "managedFields": [{"manager": "kubelet"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"}
    });
    json!({"kind": "Node", "apiVersion": "v1", "metadata": metadata})
}

fn modified(name: &str, version: u32) -> serde_json::Value {
    json!({"type": "MODIFIED", "object": node(name, version)})
}

fn gone() -> serde_json::Value {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": "Expired", "message": "too old resource version", "code": 410,
    });
    json!({"type": "ERROR", "object": status})
}

/// Watches for an hour, and returns what was asked.
async fn an_hour(script: Script) -> Vec<String> {
    let events = watch(script.nodes(), watcher::Config::default(), fastrand::Rng::with_seed(3));
    let drain = events.for_each(|_| std::future::ready(()));
    assert!(tokio::time::timeout(Duration::from_secs(3600), drain).await.is_err(), "the watch ended");
    script.asked()
}

#[tokio::test(start_paused = true)]
async fn no_server_makes_a_watch_spin() {
    for (what, acts) in [
        ("refuses", vec![Act::Refuse(503)]),
        ("forbids", vec![Act::Refuse(403)]),
        ("throttles", vec![Act::Refuse(429)]),
        ("hangs", vec![Act::Hang]),
        ("lists and refuses watches", vec![Act::List(&["a"]), Act::Refuse(500)]),
        ("ends every watch at once", vec![Act::List(&["a"]), Act::Watch(vec![])]),
        ("ends every watch after an event", vec![Act::List(&["a"]), Act::Watch(vec![modified("a", 11)])]),
        ("says every watch is too old", vec![Act::List(&["a"]), Act::Watch(vec![gone()])]),
    ] {
        let asked = an_hour(Script::new(acts)).await.len();
        assert!((40..=240).contains(&asked), "a server that {what} was asked {asked} times in an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_watch_costs_a_request_every_few_minutes() {
    let asked = an_hour(Script::new([Act::List(&["a"]), Act::WatchOpen(vec![modified("a", 11)])])).await;
    assert!((10..=15).contains(&asked.len()), "{} requests", asked.len());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ended_resumes_where_it_was() {
    let acts =
        [Act::List(&["a"]), Act::Watch(vec![modified("a", 15)]), Act::Refuse(503), Act::WatchOpen(vec![])];
    let script = Script::new(acts);
    let caches = Caches::new();
    let random = fastrand::Rng::with_seed(1);
    let store = caches.reflect("nodes", script.nodes(), watcher::Config::default(), random, |_| ());
    until(|| script.asked().len() == 4).await;
    let asked = script.asked();
    for (query, version) in asked[1..].iter().zip(["10", "15", "15"]) {
        assert!(
            query.contains("watch=true") && query.contains(&format!("resourceVersion={version}")),
            "{query}"
        );
    }
    let kept = store.state();
    assert_eq!(kept[0].metadata.resource_version.as_deref(), Some("15"));
    assert_eq!(kept[0].metadata.managed_fields, None);
    let annotations = kept[0].metadata.annotations.as_ref();
    assert_eq!(
        annotations.map(|kept| kept.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["kept".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn readiness_names_what_is_missing_and_what_is_old() {
    let script = Script::new([Act::Refuse(403)]);
    let (caches, health) = (Caches::new(), Health::new());
    caches.report_to(&health);
    let ready = || health.report(Probe::Ready, "readyz", false);
    assert_eq!(ready().text, "ok", "nothing is held yet");
    let seen = Arc::new(Mutex::new(0));
    let count = seen.clone();
    let random = fastrand::Rng::with_seed(1);
    caches.reflect("nodes", script.nodes(), watcher::Config::default(), random, move |_| {
        *count.lock().unwrap() += 1;
    });
    assert_eq!(caches.missing(), ["nodes is not complete yet"]);

    let refused = "nodes is not complete: cannot list nodes; the role needs list and watch on them: \
                   refused (403 Simulated)";
    until(|| caches.missing() == [refused]).await;
    assert!(!ready().healthy);

    script.then([Act::List(&["a", "b"]), Act::WatchOpen(vec![])]);
    tokio::time::timeout(Duration::from_secs(120), caches.synced()).await.expect("synced");
    assert_eq!(caches.missing(), [""; 0]);
    until(|| *seen.lock().unwrap() >= 4).await;
    assert_eq!(ready().text, "ok");

    // The watch goes on for minutes before the server's outage shows.
    script.then([Act::Refuse(500)]);
    until(|| !caches.missing().is_empty()).await;
    assert!(
        caches.missing()[0].starts_with("nodes may be old: cannot watch nodes: refused"),
        "{:?}",
        caches.missing()
    );
    caches.synced().await;

    script.then([Act::WatchOpen(vec![])]);
    until(|| caches.missing().is_empty()).await;
}

/// Waits until something is so, for a simulated hour at most.
async fn until(so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), wait).await.expect("it never came to pass");
}
