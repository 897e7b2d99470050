//! Sends one [`Call`]: waits for the budget, signs, sends, reads, and repeats what may be repeated, all
//! within one deadline.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::debug;

use super::answer::{self, ErrorBody};
use super::call::Call;
use super::retry::Delays;
use super::{Client, Outcome};
use crate::auth::RequestHead;
use crate::error::{Error, Kind};
use crate::types::{self, DecodedList};

/// The API versions we speak, as the official client asks for them (reference 2.1).
const ACCEPT_VERSION: &str = "~9||~8";

/// How the library names itself to operators.
const USER_AGENT: &str = concat!("triton-rs/", env!("CARGO_PKG_VERSION"));

/// No single attempt takes longer; the deadline of the whole call may be longer and allows for repeats.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read: a page of 1000 instances with rich metadata is a few MiB.
const LARGEST_BODY: usize = 64 << 20;

/// A successful answer, or one whose status the call accepts.
#[derive(Debug)]
pub(crate) struct Reply {
    operation: &'static str,
    object: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Decodes a body that is one object.
    pub(crate) fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        types::decode(&self.body)
            .map_err(|source| self.protocol_error("the answer cannot be understood").caused_by(source))
    }

    /// Decodes a body that is a list. Elements that cannot be read are told apart, not an error.
    pub(crate) fn list<T: DeserializeOwned>(&self) -> Result<DecodedList<T>, Error> {
        types::decode_list(&self.body)
            .map_err(|source| self.protocol_error("the answer cannot be understood").caused_by(source))
    }

    /// An error that says that this answer is not CloudAPI's.
    pub(crate) fn protocol_error(&self, message: impl Into<String>) -> Error {
        let error = Error::new(Kind::Protocol, self.operation, self.object.clone(), message);
        error.answered(self.status, None, request_id(&self.headers))
    }

    /// The text of a header, when it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's clock when it answered.
    pub(crate) fn server_date(&self) -> Option<SystemTime> {
        answer::server_date(&self.headers)
    }
}

/// A failed attempt with what the server asked for.
struct Failure {
    error: Error,
    retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None }
    }
}

impl Client {
    /// Sends a call and reads its answer.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, Error> {
        let deadline = Instant::now() + self.deadline;
        let mut delays = Delays::new(fastrand::u64(..));
        loop {
            let failure = match self.attempt(&call, deadline).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let delay = delays.after(&failure.error, call.repeat, failure.retry_after);
            // A repeat that the deadline would cut is no better than the error at hand, which says more.
            let Some(delay) = delay.filter(|delay| Instant::now() + *delay < deadline) else {
                return Err(failure.error);
            };
            debug!(operation = call.operation, object = %call.object, error = %failure.error, ?delay, "repeating");
            tokio::time::sleep(delay).await;
        }
    }

    /// Opens a connection that leaves HTTP, such as a WebSocket. `headers` are the handshake's own.
    /// Not repeated: whoever holds a connection has a policy for losing it.
    pub(crate) async fn upgrade(&self, call: Call, headers: HeaderMap) -> Result<Response<Incoming>, Error> {
        let deadline = Instant::now() + self.deadline.min(ATTEMPT_TIMEOUT);
        let _place = self.admit(&call, deadline).await?;
        let mut request = self.sign(&call).await?;
        request.headers_mut().extend(headers);
        let response = self.exchange(&call, request, deadline).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        match self.read(&call, response, deadline).await {
            Ok(_) => Err(call.error(Kind::Protocol, "the server did not switch protocols")),
            Err(failure) => Err(failure.error),
        }
    }

    async fn attempt(&self, call: &Call, deadline: Instant) -> Result<Reply, Failure> {
        let _place = self.admit(call, deadline).await?;
        let started = Instant::now();
        // Boxed, because calls wait for the budget by the thousand and most of what one needs it needs from here on.
        let result = Box::pin(self.perform(call, deadline.min(started + ATTEMPT_TIMEOUT))).await;
        let kind = result.as_ref().err().map(|failure| failure.error.kind());
        if let Some(observer) = &self.shared.observer {
            observer(&Outcome { operation: call.operation, error: kind, took: started.elapsed() });
        }
        match &result {
            Ok(_) => self.shared.budget.served(),
            // Read-only mode refuses writes only, so its Retry-After must not hold back reads.
            Err(failure) if kind == Some(Kind::Throttled) => {
                self.shared.budget.slow_down(failure.retry_after);
            }
            Err(_) if kind == Some(Kind::Unavailable) => self.shared.budget.slow_down(None),
            Err(_) => {}
        }
        result
    }

    async fn perform(&self, call: &Call, deadline: Instant) -> Result<Reply, Failure> {
        let request = self.sign(call).await?;
        let response = self.exchange(call, request, deadline).await?;
        self.read(call, response, deadline).await
    }

    /// Waits for the budget, and then for a place among the calls that are under way.
    async fn admit(&self, call: &Call, deadline: Instant) -> Result<SemaphorePermit<'_>, Error> {
        let never_sent = |text| call.error(Kind::Timeout, text).never_sent();
        let priority = self.priority.unwrap_or(call.priority);
        let turn = self.shared.budget.acquire(priority);
        tokio::time::timeout_at(deadline, turn)
            .await
            .map_err(|_| never_sent("the account's request budget gave no turn in time"))?;
        let place = tokio::time::timeout_at(deadline, self.shared.places.acquire()).await;
        // The semaphore is never closed.
        place.ok().and_then(Result::ok).ok_or_else(|| never_sent("too many calls wait for their answers"))
    }

    async fn sign(&self, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
        let shared = &self.shared;
        let target = call.target(&shared.account_path, &shared.roles);
        let date = httpdate::fmt_http_date(SystemTime::now());
        let head = RequestHead { method: call.method.as_str(), target: &target, date: &date };
        let authorization = shared.authenticator.authorization(head).await.map_err(|source| {
            call.error(Kind::Credentials, "the request cannot be signed").caused_by(source).never_sent()
        })?;
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{target}", shared.origin))
            .header(header::ACCEPT, "application/json")
            .header("accept-version", ACCEPT_VERSION)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::DATE, date)
            .header(header::AUTHORIZATION, authorization);
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(Full::new(call.body.clone().unwrap_or_default())).map_err(|source| {
            call.error(Kind::Invalid, "the request cannot be built").caused_by(source).never_sent()
        })
    }

    /// Sends the request and waits for the head of the answer.
    async fn exchange(
        &self,
        call: &Call,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Error> {
        match tokio::time::timeout_at(deadline, self.shared.http.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(source)) if source.is_connect() => Err(call
                .error(Kind::Unreachable, format!("cannot connect to {}", self.shared.origin))
                .caused_by(source)
                .never_sent()),
            Ok(Err(source)) => {
                Err(call.error(Kind::Interrupted, "the connection broke before the answer").caused_by(source))
            }
            Err(_) => Err(call.error(Kind::Timeout, "no answer in time")),
        }
    }

    /// Reads the whole answer and tells success from refusal.
    async fn read(
        &self,
        call: &Call,
        response: Response<Incoming>,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let (head, body) = response.into_parts();
        let reading = Limited::new(body, LARGEST_BODY).collect();
        let body = match tokio::time::timeout_at(deadline, reading).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(source)) if source.is::<http_body_util::LengthLimitError>() => {
                return Err(call.error(Kind::Protocol, "the answer is larger than 64 MiB").into());
            }
            Ok(Err(source)) => {
                let error = call.error(Kind::Interrupted, "the connection broke within the answer");
                return Err(error.caused_by(source).into());
            }
            Err(_) => return Err(call.error(Kind::Timeout, "the answer did not end in time").into()),
        };
        if head.status.is_success() || call.also_accepted.contains(&head.status) {
            return Ok(Reply {
                operation: call.operation,
                object: call.object.clone(),
                status: head.status,
                headers: head.headers,
                body,
            });
        }
        let refusal = ErrorBody::parse(&body);
        let kind = refusal.kind(head.status);
        let mut text = refusal.text(head.status);
        if kind == Kind::ClockSkew {
            text.push_str(&clock_difference(&head.headers));
        }
        let error = call.error(kind, text).answered(head.status, refusal.code, request_id(&head.headers));
        Err(Failure { error, retry_after: answer::retry_after(&head.headers) })
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("request-id")?.to_str().ok()?.chars().take(64).collect())
}

/// How far this machine's clock is from the server's, for people.
fn clock_difference(headers: &HeaderMap) -> String {
    let Some(server) = answer::server_date(headers) else {
        return String::new();
    };
    match SystemTime::now().duration_since(server) {
        Ok(ahead) => format!(", this machine's clock is {} s ahead", ahead.as_secs()),
        Err(behind) => format!(", this machine's clock is {} s behind", behind.duration().as_secs()),
    }
}
