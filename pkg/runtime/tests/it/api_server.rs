//! A simulated API server that knows one Lease, in memory: with delays, freezes, refusals and the API server's own
//! optimistic concurrency. A request that reached it is performed even when its sender has given up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::BoxError;

/// A server shared by all clients that are made from it.
#[derive(Clone)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

struct State {
    lease: Option<Value>,
    version: u64,
    uid: u64,
    random: fastrand::Rng,
    /// The longest delay before, and again after, a request is performed.
    delay: Duration,
    frozen_until: Instant,
    refuse: Option<StatusCode>,
    seen: Vec<Seen>,
}

/// A request that was performed or refused.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) query: String,
    pub(crate) body: Value,
    pub(crate) status: StatusCode,
}

impl ApiServer {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            lease: None,
            version: 0,
            uid: 0,
            random: fastrand::Rng::with_seed(seed),
            delay: Duration::ZERO,
            frozen_until: Instant::now(),
            refuse: None,
            seen: Vec::new(),
        })))
    }

    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            // A task of its own: the server does not notice when the client hangs up.
            async move { tokio::spawn(server.serve(request)).await.unwrap() }
        });
        kube::Client::new(service, "default")
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        self.pause().await;
        while let Some(until) = self.frozen() {
            tokio::time::sleep_until(until).await;
        }
        let (status, answer) = self.0.lock().unwrap().perform(&head.method, &body);
        self.0.lock().unwrap().seen.push(Seen {
            method: head.method,
            query: head.uri.query().unwrap_or_default().to_owned(),
            body,
            status,
        });
        self.pause().await;
        while let Some(until) = self.frozen() {
            tokio::time::sleep_until(until).await;
        }
        Ok(Response::builder().status(status).body(Body::from(serde_json::to_vec(&answer)?))?)
    }

    async fn pause(&self) {
        let delay = {
            let mut state = self.0.lock().unwrap();
            let share = state.random.f64();
            state.delay.mul_f64(share)
        };
        tokio::time::sleep(delay).await;
    }

    fn frozen(&self) -> Option<Instant> {
        Some(self.0.lock().unwrap().frozen_until).filter(|until| Instant::now() < *until)
    }

    pub(crate) fn set_delay(&self, longest: Duration) {
        self.0.lock().unwrap().delay = longest;
    }

    /// Answers nothing for this long; what arrives meanwhile is performed afterwards.
    pub(crate) fn freeze(&self, span: Duration) {
        self.0.lock().unwrap().frozen_until = Instant::now() + span;
    }

    /// Answers everything with this status, until told otherwise.
    pub(crate) fn refuse(&self, status: Option<StatusCode>) {
        self.0.lock().unwrap().refuse = status;
    }

    /// The lease's spec, `Null` when there is no lease.
    pub(crate) fn spec(&self) -> Value {
        self.0.lock().unwrap().lease.as_ref().map_or(Value::Null, |lease| lease["spec"].clone())
    }

    /// Replaces the lease's spec, as another program would.
    pub(crate) fn put(&self, spec: Value) {
        let mut state = self.0.lock().unwrap();
        let mut lease = state.lease.take().unwrap_or_else(|| json!({"metadata": {"name": "lease"}}));
        lease["spec"] = spec;
        state.store(lease);
    }

    pub(crate) fn delete(&self) {
        self.0.lock().unwrap().lease = None;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl State {
    fn perform(&mut self, method: &Method, body: &Value) -> (StatusCode, Value) {
        if let Some(status) = self.refuse {
            return refusal(status);
        }
        match (method, self.lease.clone()) {
            (&Method::GET, Some(lease)) => (StatusCode::OK, lease),
            (&Method::POST, None) => {
                self.uid += 1;
                let mut lease = body.clone();
                lease["metadata"]["uid"] = json!(format!("uid-{}", self.uid));
                (StatusCode::CREATED, self.store(lease))
            }
            (&Method::POST, Some(_)) => refusal(StatusCode::CONFLICT),
            (&Method::PATCH, Some(lease)) => {
                let expected = &body["metadata"]["resourceVersion"];
                if !expected.is_null() && *expected != lease["metadata"]["resourceVersion"] {
                    return refusal(StatusCode::CONFLICT);
                }
                let mut patched = lease;
                merge(&mut patched, body);
                (StatusCode::OK, self.store(patched))
            }
            (_, None) => refusal(StatusCode::NOT_FOUND),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn store(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else if value.is_object() && target[name].is_object() {
            merge(&mut target[name], value);
        } else {
            target[name] = value.clone();
        }
    }
}

fn refusal(status: StatusCode) -> (StatusCode, Value) {
    let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": "simulated", "code": status.as_u16(),
    });
    (status, body)
}
