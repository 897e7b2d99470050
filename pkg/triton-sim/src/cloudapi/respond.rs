//! Answers: what an endpoint gives, and the response with all its headers that comes of it (reference 2.3, 7.1).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use semver::Version;
use serde::Serialize;
use tokio::time::{Sleep, sleep};

use super::call::below_account;
use super::error::ApiError;
use super::view;
use crate::world::WorldError;

/// The header with the number of rows in a list.
const RESOURCE_COUNT: HeaderName = HeaderName::from_static("x-resource-count");
/// The header with the number of rows that were asked for.
const QUERY_LIMIT: HeaderName = HeaderName::from_static("x-query-limit");
/// The header with the job that carries out a write.
const JOB: HeaderName = HeaderName::from_static("x-job-uuid");
/// The header with the name of the data centre.
const DATACENTER: HeaderName = HeaderName::from_static("triton-datacenter-name");

/// How long the first half of a body that breaks off has to be sent.
const TEAR_AFTER: Duration = Duration::from_millis(20);

/// What an endpoint answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON, or nothing at all.
    pub(crate) body: Option<Bytes>,
}

/// What an endpoint does: an answer, or an error that becomes one.
pub(crate) type Answer = Result<Reply, ApiError>;

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// An answer with a JSON body.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self { body: Some(body.into()), ..Self::empty(status) },
            Err(_) => Self::from(ApiError::internal("Internal Error")),
        }
    }

    /// 200 with a JSON body.
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// 200 with a list, and how many rows it has in a header: only some lists have that.
    pub(crate) fn counted<T: Serialize>(rows: &[T]) -> Self {
        Self::ok(&rows).header(RESOURCE_COUNT, &rows.len().to_string())
    }

    /// 201 with a JSON body.
    pub(crate) fn created(body: &impl Serialize) -> Self {
        Self::json(StatusCode::CREATED, body)
    }

    /// 204.
    pub(crate) fn deleted() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// 202: it will be done.
    pub(crate) fn accepted() -> Self {
        Self::empty(StatusCode::ACCEPTED)
    }

    /// With one more header, unless the value cannot be in one.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// With `Location`.
    pub(crate) fn location(self, path: &str) -> Self {
        self.header(header::LOCATION, path)
    }

    /// What `Location` says below the account, decoded.
    pub(crate) fn location_below_account(&self) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == header::LOCATION)?;
        value.to_str().ok().map(below_account)
    }

    /// With `x-job-uuid`.
    pub(crate) fn job(self, job: impl std::fmt::Display) -> Self {
        self.header(JOB, &job.to_string())
    }

    /// With `x-query-limit`.
    pub(crate) fn query_limit(self, limit: usize) -> Self {
        self.header(QUERY_LIMIT, &limit.to_string())
    }

    /// With `Triton-Datacenter-Name`.
    pub(crate) fn datacenter(self, name: &str) -> Self {
        self.header(DATACENTER, name)
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = Some(error.body().into());
        Self { status: error.status, body, headers: error.into_headers() }
    }
}

/// What every response says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) now: Timestamp,
    pub(crate) request_id: &'a str,
    pub(crate) version: &'a Version,
    pub(crate) milliseconds: u128,
    pub(crate) keep_alive: bool,
}

/// `time` as a `Date` header.
pub(crate) fn http_date(time: Timestamp) -> String {
    httpdate::fmt_http_date(time.into())
}

/// The response: the answer with all headers, its body in one piece and with its length. There is no
/// `Content-MD5`, which the official client checks wrongly (reference 7.1).
pub(crate) fn finish(
    reply: Reply,
    envelope: Envelope<'_>,
    head_only: bool,
    torn: bool,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::default());
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    let fixed = [
        (header::SERVER, "cloudapi/9.20.0"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Accept-Version, Content-Length, Content-MD5, Content-Type, Date, Api-Version, Response-Time",
        ),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Api-Version, Request-Id, Response-Time"),
        (header::CONNECTION, if envelope.keep_alive { "Keep-Alive" } else { "close" }),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let made = [
        (header::DATE, http_date(envelope.now)),
        (HeaderName::from_static("api-version"), envelope.version.to_string()),
        (HeaderName::from_static("request-id"), envelope.request_id.to_owned()),
        (HeaderName::from_static("response-time"), envelope.milliseconds.to_string()),
    ];
    for (name, value) in made {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    for (name, value) in reply.headers {
        headers.insert(name, value);
    }
    match reply.body {
        Some(body) => {
            let json = HeaderValue::from_static("application/json");
            headers.entry(header::CONTENT_TYPE).or_insert(json);
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            if !head_only {
                *response.body_mut() = if torn { ReplyBody::torn(&body) } else { ReplyBody::whole(body) };
            }
        }
        None if reply.status != StatusCode::NO_CONTENT && reply.status != StatusCode::SWITCHING_PROTOCOLS => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
    response
}

/// A body that is sent in one piece, or breaks off.
#[derive(Debug, Default)]
pub(crate) struct ReplyBody {
    rest: Option<Bytes>,
    announced: u64,
    /// When it breaks off: a little later than its first half, which would otherwise not be sent at all.
    torn: Option<Pin<Box<Sleep>>>,
}

impl ReplyBody {
    fn whole(body: Bytes) -> Self {
        Self { announced: body.len() as u64, rest: Some(body).filter(|body| !body.is_empty()), torn: None }
    }

    fn torn(body: &Bytes) -> Self {
        let half = body.slice(..body.len() / 2);
        Self {
            rest: Some(half).filter(|body| !body.is_empty()),
            announced: body.len() as u64,
            torn: Some(Box::pin(sleep(TEAR_AFTER))),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let Some(torn) = &mut self.torn else { return Poll::Ready(None) };
        ready!(torn.as_mut().poll(context));
        self.torn = None;
        Poll::Ready(Some(Err(io::Error::other("broken off on purpose"))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.torn.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

impl From<WorldError> for ApiError {
    fn from(error: WorldError) -> Self {
        let refusal = match &error {
            WorldError::Refused(refusal) => refusal,
            WorldError::Gone(machine) => {
                return Self::gone(serde_json::to_vec(&view::Machine::of(machine)).ok());
            }
            // The endpoint that adds NICs answers this itself.
            WorldError::NicExists { .. } => return Self::new(StatusCode::FOUND, "ResourceMoved", ""),
        };
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut api = Self::new(status, refusal.code.clone(), refusal.message.clone());
        for field in &refusal.errors {
            api = api.field(&field.field, field.code, field.message.clone().unwrap_or_default());
        }
        api
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::super::version::SERVED;
    use super::*;

    fn finished(reply: Reply, head_only: bool, torn: bool) -> Response<ReplyBody> {
        let envelope = Envelope {
            now: "2026-02-02T10:00:00.5Z".parse().expect("a time"),
            request_id: "id",
            version: &SERVED[0],
            milliseconds: 7,
            keep_alive: true,
        };
        finish(reply, envelope, head_only, torn)
    }

    fn header<'r>(response: &'r Response<ReplyBody>, name: &str) -> Option<&'r str> {
        response.headers().get(name).map(|value| value.to_str().expect("text"))
    }

    #[tokio::test]
    async fn every_response_says_what_the_clients_need() {
        let response = finished(Reply::counted(&[json!(1), json!("é")]), false, false);
        for (name, value) in [
            ("server", "cloudapi/9.20.0"),
            ("date", "Mon, 02 Feb 2026 10:00:00 GMT"),
            ("api-version", "9.0.0"),
            ("request-id", "id"),
            ("response-time", "7"),
            ("content-type", "application/json"),
            ("content-length", "8"),
            ("x-resource-count", "2"),
            ("access-control-allow-origin", "*"),
            ("connection", "Keep-Alive"),
        ] {
            assert_eq!(header(&response, name), Some(value), "{name}");
        }
        assert_eq!(header(&response, "content-md5"), None);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(&body[..], "[1,\"é\"]".as_bytes());
    }

    #[tokio::test]
    async fn head_has_the_headers_of_get_and_no_body() {
        let response = finished(Reply::counted(&[1, 2, 3]), true, false);
        assert_eq!(
            (header(&response, "x-resource-count"), header(&response, "content-length")),
            (Some("3"), Some("7"))
        );
        assert!(response.into_body().collect().await.expect("a body").to_bytes().is_empty());
    }

    #[test]
    fn empty_answers_have_no_type_and_no_body() {
        let response = finished(Reply::accepted(), false, false);
        assert_eq!(
            (header(&response, "content-length"), header(&response, "content-type")),
            (Some("0"), None)
        );
        assert_eq!(header(&finished(Reply::deleted(), false, false), "content-length"), None);
    }

    #[tokio::test]
    async fn a_torn_body_announces_more_than_it_sends() {
        let mut body = finished(Reply::ok(&json!({"a": "b"})), false, true).into_body();
        assert_eq!(body.size_hint().exact(), Some(9));
        assert_eq!(body.frame().await.expect("a frame").expect("data").into_data().expect("data").len(), 4);
        assert!(body.frame().await.expect("an error").is_err());
    }

    #[test]
    fn errors_of_the_data_centre_keep_their_words() {
        let error = ApiError::from(WorldError::invalid_argument("x is bad"));
        assert_eq!((error.status, &*error.code), (StatusCode::CONFLICT, "InvalidArgument"));
        assert_eq!(error.message, "x is bad");
    }
}
