//! The event recorder against an API server that takes events, refuses them, or hangs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::client::Body;
use runtime::events::{EventRecorder, Happening, Reporter, Severity};
use serde_json::{Value, json};
use tower::BoxError;

/// Takes events, or answers with the given statuses first.
#[derive(Clone, Default)]
struct Server {
    refusals: Arc<Mutex<Vec<u16>>>,
    hangs: bool,
    /// How long each answer takes.
    takes: Duration,
    asked: Arc<Mutex<Vec<(Method, String, Value)>>>,
    under_way: Arc<Mutex<UnderWay>>,
}

/// How many requests are under way about each object, and the most that there ever were about one, and in all.
#[derive(Default)]
struct UnderWay {
    by_object: HashMap<String, usize>,
    most_of_one: usize,
    most: usize,
}

impl Server {
    fn asked(&self) -> Vec<(Method, String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        let body: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
        self.asked.lock().unwrap().push((head.method, head.uri.path().to_owned(), body.clone()));
        let about = body["regarding"]["name"].as_str().unwrap_or_default().to_owned();
        {
            let mut now = self.under_way.lock().unwrap();
            *now.by_object.entry(about.clone()).or_default() += 1;
            now.most_of_one = now.by_object[&about].max(now.most_of_one);
            now.most = now.by_object.values().sum::<usize>().max(now.most);
        }
        if self.hangs {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.takes).await;
        *self.under_way.lock().unwrap().by_object.entry(about).or_default() -= 1;
        let status = self.refusals.lock().unwrap().pop().unwrap_or(200);
        let answer = match status {
            200 => {
                json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {}, "eventTime": null})
            }
            code => json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "Simulated", "message": "refused", "code": code,
            }),
        };
        let answer = Body::from(serde_json::to_vec(&answer)?);
        Ok(Response::builder().status(StatusCode::from_u16(status)?).body(answer)?)
    }

    fn recorder(&self) -> EventRecorder {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| server.clone().serve(request));
        let client = kube::Client::new(service, "default");
        let reporter = Reporter { controller: "node-controller".into(), instance: "host_1".into() };
        EventRecorder::start(client, reporter, || Timestamp::from_second(1_800_000_000).unwrap())
    }
}

fn happening(note: &str) -> Happening {
    about("web", note)
}

fn about(pod: &str, note: &str) -> Happening {
    let regarding = ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: Some("shop".into()),
        name: Some(pod.into()),
        uid: Some("u".into()),
        ..ObjectReference::default()
    };
    let (reason, action) = ("Failed".to_owned(), "Create".to_owned());
    Happening { regarding, severity: Severity::Warning, reason, action, note: note.to_owned() }
}

async fn until(so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait).await.expect("it never came to pass");
}

#[tokio::test(start_paused = true)]
async fn the_same_event_becomes_one_object_with_a_count() {
    let server = Server::default();
    let recorder = server.recorder();
    for _ in 0..500 {
        recorder.record(happening("quota reached"));
    }
    until(|| server.asked().len() == 2).await;
    let asked = server.asked();
    let (method, path, event) = &asked[0];
    assert_eq!((method, path.as_str()), (&Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events"));
    let name = event["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("web."), "{name}");
    for (field, value) in [
        ("type", "Warning"),
        ("reason", "Failed"),
        ("action", "Create"),
        ("note", "quota reached"),
        ("reportingController", "node-controller"),
        ("reportingInstance", "host_1"),
        ("eventTime", "2027-01-15T08:00:00.000000Z"),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
    assert_eq!(event["regarding"]["uid"], "u");
    let (method, path, patch) = &asked[1];
    assert_eq!((method, path.rsplit('/').next().unwrap()), (&Method::PATCH, name));
    assert_eq!(patch["series"], json!({"count": 500, "lastObservedTime": "2027-01-15T08:00:00.000000Z"}));
    assert_eq!(recorder.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_a_burst_about_a_thousand_pods_nothing_is_lost_and_each_pods_story_keeps_its_order() {
    const STORY: [&str; 3] = ["creating", "started", "killing"];
    let server = Server { takes: Duration::from_millis(10), ..Server::default() };
    let recorder = server.recorder();
    for note in STORY {
        for number in 0..1000 {
            recorder.record(about(&format!("pod-{number}"), note));
        }
    }
    until(|| server.asked().len() == 3000).await;
    assert_eq!(recorder.dropped(), 0);
    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (_, _, event) in server.asked() {
        stories.entry(text(&event["regarding"]["name"])).or_default().push(text(&event["note"]));
    }
    assert_eq!(stories.len(), 1000);
    assert!(stories.values().all(|story| *story == STORY), "{stories:?}");
    let seen = server.under_way.lock().unwrap();
    assert_eq!(
        (seen.most_of_one, seen.most),
        (1, 8),
        "so many were under way at once, about one pod and in all"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_costs_the_caller_nothing_but_events() {
    let server = Server { hangs: true, ..Server::default() };
    let recorder = server.recorder();
    for number in 0..30_000 {
        recorder.record(about(&format!("pod-{number}"), "gone"));
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    recorder.record(happening("late"));
    assert_eq!(server.asked().len(), 8);
    // What is not lost waits: two queues of 4,096, and those that are under way.
    assert!(recorder.dropped() >= 30_000 - 2 * 4096 - 8, "{}", recorder.dropped());
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_server_are_tried_again_and_refusals_are_not() {
    for (refusals, requests, dropped) in [
        (vec![503], 2, 0),
        (vec![500, 429], 3, 0),
        (vec![500, 500, 500], 3, 1),
        (vec![403], 1, 1),
        (vec![404], 1, 1),
        // The first attempt got through after all.
        (vec![503, 409], 2, 0),
    ] {
        let server = Server::default();
        *server.refusals.lock().unwrap() = refusals.iter().rev().copied().collect();
        let recorder = server.recorder();
        recorder.record(happening("x"));
        until(|| server.asked().len() == requests).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((server.asked().len(), recorder.dropped()), (requests, dropped), "{refusals:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_before_the_end_is_written() {
    let server = Server::default();
    let recorder = server.recorder();
    recorder.record(happening("one"));
    recorder.record(happening("two"));
    drop(recorder);
    until(|| server.asked().len() == 2).await;
}
