//! What stands between the crate that writes the lease and the API server.
//!
//! The crate reads the lease, decides, and writes. The gate answers that read with the lease that the elector
//! decided on, so the crate comes to the same decision without a request, and then lets exactly one write pass: with
//! the resource version that the elector had read, so that the API server refuses it when the lease has changed
//! since; with the times of the clock that the elector was given; under the field manager that all candidates share;
//! and with a deadline.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::BoxError;

/// Tells the wall time that goes into the record. Nothing is decided by it.
pub(super) type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A write that the API server accepted.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// The lease as it is since.
    pub(super) lease: Lease,
    /// When the write was sent, which is before the API server can have performed it.
    pub(super) sent: Instant,
}

#[derive(Clone)]
pub(super) struct Gate {
    client: kube::Client,
    deadline: Duration,
    field_manager: Arc<str>,
    clock: WallClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What the crate is to see; taken by the write that follows from it.
    prepared: Option<Prepared>,
    written: Option<Written>,
}

struct Prepared {
    shown: Option<Lease>,
    resource_version: Option<String>,
}

/// What the gate itself refuses.
#[derive(Debug, thiserror::Error)]
enum GateError {
    #[error("the API server did not answer within {0:?}")]
    Deadline(Duration),
    #[error("a request for the lease that nobody prepared")]
    Unprepared,
    #[error("the lease was read without a resource version, so it cannot be written safely")]
    NoResourceVersion,
}

impl Gate {
    pub(super) fn new(
        client: kube::Client,
        deadline: Duration,
        field_manager: &str,
        clock: WallClock,
    ) -> Self {
        Self { client, deadline, field_manager: field_manager.into(), clock, state: Arc::default() }
    }

    /// The client to give to the crate.
    pub(super) fn client(&self) -> kube::Client {
        let gate = self.clone();
        let service = tower::service_fn(move |request| {
            let gate = gate.clone();
            async move { gate.pass(request).await }
        });
        kube::Client::new(service, self.client.default_namespace().to_owned())
    }

    /// What the crate sees next, and the resource version that its write is bound to.
    pub(super) fn prepare(&self, shown: Option<Lease>, resource_version: Option<String>) {
        let mut state = self.lock();
        state.prepared = Some(Prepared { shown, resource_version });
        state.written = None;
    }

    /// The write that was accepted since [`Gate::prepare`].
    pub(super) fn written(&self) -> Option<Written> {
        self.lock().written.take()
    }

    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        if request.method() == Method::GET {
            let state = self.lock();
            let prepared = state.prepared.as_ref().ok_or(GateError::Unprepared)?;
            return answer(prepared.shown.as_ref());
        }
        let prepared = self.lock().prepared.take().ok_or(GateError::Unprepared)?;
        let request = self.bind(request, &prepared).await?;
        let sent = Instant::now();
        let exchange = async {
            let response = self.client.send(request).await?;
            let (head, body) = response.into_parts();
            Ok::<_, kube::Error>((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(self.deadline, exchange)
            .await
            .map_err(|_| GateError::Deadline(self.deadline))??;
        if head.status.is_success() {
            let lease = serde_json::from_slice(&body)?;
            self.lock().written = Some(Written { lease, sent });
        }
        Ok(Response::from_parts(head, Body::from(body)))
    }

    /// The crate's write, made safe.
    async fn bind(&self, request: Request<Body>, prepared: &Prepared) -> Result<Request<Body>, BoxError> {
        let (mut head, body) = request.into_parts();
        let mut body: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
        if head.method == Method::PATCH {
            let version = prepared.resource_version.as_ref().ok_or(GateError::NoResourceVersion)?;
            body["metadata"]["resourceVersion"] = json!(version);
        }
        let now = micro_time((self.clock)());
        for field in ["acquireTime", "renewTime"] {
            if let Some(time) = body["spec"].get_mut(field) {
                *time = json!(now);
            }
        }
        head.uri = with_field_manager(&head.uri, &self.field_manager)?;
        Ok(Request::from_parts(head, Body::from(serde_json::to_vec(&body)?)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; should it ever, the next attempt prepares anew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time as the API server writes it: with six digits.
fn micro_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

fn with_field_manager(uri: &Uri, manager: &str) -> Result<Uri, BoxError> {
    let manager = percent_encoding::utf8_percent_encode(manager, percent_encoding::NON_ALPHANUMERIC);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{}?fieldManager={manager}", uri.path()).parse()?);
    Ok(Uri::from_parts(parts)?)
}

fn answer(lease: Option<&Lease>) -> Result<Response<Body>, BoxError> {
    let (status, body) = match lease {
        Some(lease) => (StatusCode::OK, serde_json::to_vec(lease)?),
        None => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "NotFound", "message": "there is no lease", "code": 404,
            });
            (StatusCode::NOT_FOUND, serde_json::to_vec(&status)?)
        }
    };
    Ok(Response::builder().status(status).body(Body::from(Bytes::from(body)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_as_the_api_server_wants() {
        for (nanosecond, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_500_000_000, "1970-01-01T00:00:01.500000Z"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        ] {
            assert_eq!(micro_time(Timestamp::from_nanosecond(nanosecond).unwrap()), text);
        }
    }

    #[test]
    fn the_field_manager_is_the_only_parameter_left() {
        for (uri, manager, expected) in [
            ("/apis/x/leases/l?fieldManager=host_1&force=true", "ccm", "/apis/x/leases/l?fieldManager=ccm"),
            ("/apis/x/leases?", "a b&c", "/apis/x/leases?fieldManager=a%20b%26c"),
            ("https://h:6443/l", "ccm", "https://h:6443/l?fieldManager=ccm"),
        ] {
            assert_eq!(with_field_manager(&uri.parse().unwrap(), manager).unwrap().to_string(), expected);
        }
    }
}
