//! The way of a request: route, version, faults, signature, permission, throttle, endpoint, response.
//!
//! The order is that of the real server, so that a request with several things wrong gets the same error.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use jiff::Timestamp;
use semver::Version;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::call::Call;
use super::error::ApiError;
use super::params::{Params, path_segments};
use super::request::{caller_address, check_accept, header_text, merge_body, raw_target, read_body};
use super::respond::{Answer, Envelope, Reply, ReplyBody, finish, http_date};
use super::routes::{Found, Operation, Route, find};
use super::server::Handler;
use super::version::{SERVED, negotiate};
use super::{CloudApi, access, auth, changefeed, endpoints};
use crate::faults::{Counters, Decision, NO_ANSWER, Outcome};

/// How long a request without an answer is held before what a proxy would do is done (reference 2.5).
const PROXY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a request id that a client chose is repeated.
const MAX_REQUEST_ID: usize = 64;

impl Handler for CloudApi {
    async fn handle(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> Response<ReplyBody> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let head_only = parts.method == Method::HEAD;
        let keep_alive = header_text(&parts.headers, "connection")
            .is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        let request_id = request_id(&parts.headers);
        let mut tally = Tally { counters: &self.counters, operation: None, done: false };
        let (answer, version, torn) = match route(&self, &parts) {
            Err(error) => (Err(error), &SERVED[0], false),
            Ok((route, version, params)) => {
                tally.operation = Some(route.operation);
                let decision = self.faults.request(route.operation);
                let exchange = Exchange { parts, body, params, route, version, peer, decision: &decision };
                let answer = with_faults(&self, exchange, &decision).await;
                (answer, version, decision.outcome == Outcome::Torn)
            }
        };
        let reply = answer.unwrap_or_else(Reply::from);
        tally.answered(reply.status);
        let envelope = Envelope {
            now: shifted(&self, self.engine.now()),
            request_id: &request_id,
            version,
            milliseconds: started.elapsed().as_millis(),
            // What is left of a body that is too large is not read.
            keep_alive: keep_alive && reply.status != StatusCode::PAYLOAD_TOO_LARGE,
        };
        finish(reply, envelope, head_only, torn)
    }
}

/// Counts a request when it is answered, or when its client went away before.
struct Tally<'a> {
    counters: &'a Counters,
    operation: Option<Operation>,
    done: bool,
}

impl Tally<'_> {
    fn answered(&mut self, status: StatusCode) {
        self.counters.count(self.operation, status.as_u16());
        self.done = true;
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.counters.count(self.operation, NO_ANSWER);
        }
    }
}

fn request_id(headers: &HeaderMap) -> String {
    let chosen = header_text(headers, "request-id").or_else(|| header_text(headers, "x-request-id"));
    chosen.map_or_else(|| Uuid::new_v4().to_string(), |id| id.chars().take(MAX_REQUEST_ID).collect())
}

/// A request that has a route.
struct Exchange<'a> {
    parts: Parts,
    body: Incoming,
    params: Params,
    route: &'static Route,
    version: &'static Version,
    peer: SocketAddr,
    decision: &'a Decision,
}

/// Finds the route and the version, and begins the parameters with those of the path.
fn route(api: &CloudApi, parts: &Parts) -> Result<(&'static Route, &'static Version, Params), ApiError> {
    let target = raw_target(parts);
    let path = target.split('?').next().unwrap_or_default();
    let segments = path_segments(path)?;
    let (route, found) = match find(&parts.method, &segments, api.has_volumes()) {
        Found::Route(route, found) => (route, found),
        Found::Nothing => return Err(ApiError::not_found(format!("{path} does not exist"))),
        Found::WrongMethod(allowed) => {
            let error = ApiError::method_not_allowed(format!("{} is not allowed", parts.method));
            return Err(error.header(header::ALLOW, &allowed));
        }
    };
    let names = ["accept-version", "api-version", "x-api-version"];
    let range = names.iter().find_map(|name| header_text(&parts.headers, name)).unwrap_or("*");
    let version = negotiate(range, route.versions()).ok_or_else(|| {
        ApiError::invalid_version(format!("{range} is not supported by {} {path}", parts.method))
    })?;
    let mut params = Params::default();
    for (name, value) in found {
        params.set(name, value);
    }
    Ok((route, version, params))
}

/// Answers as the faults have decided.
async fn with_faults(api: &Arc<CloudApi>, exchange: Exchange<'_>, decision: &Decision) -> Answer {
    if !decision.delay.is_zero() {
        sleep(decision.delay).await;
    }
    let internal = || ApiError::internal("Internal Error");
    let answer = if decision.applied { answer(api, exchange).await } else { Err(internal()) };
    let retry_after = |error: ApiError, seconds: Option<u32>| match seconds {
        Some(seconds) => error.header(header::RETRY_AFTER, &seconds.to_string()),
        None => error,
    };
    match decision.outcome {
        Outcome::Answer | Outcome::Torn => answer,
        Outcome::Error => Err(internal()),
        Outcome::Timeout => {
            sleep(PROXY_TIMEOUT).await;
            let message = "The service is not available";
            Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "ServiceUnavailable", message))
        }
        Outcome::Throttled(seconds) => {
            let rate = api.throttle.limits().unwrap_or_default().rate;
            let message = format!("You have exceeded your request rate of {rate} r/s.");
            Err(retry_after(ApiError::throttled(message), seconds))
        }
        Outcome::Unavailable(seconds) => Err(retry_after(ApiError::unavailable(MAINTENANCE), seconds)),
    }
}

/// What is said to writes in maintenance.
const MAINTENANCE: &str = "This Triton data center is being upgraded";

/// Answers as the real server would.
async fn answer(api: &Arc<CloudApi>, exchange: Exchange<'_>) -> Answer {
    let Exchange { mut parts, body, mut params, route, version, peer, decision } = exchange;
    check_accept(&parts.headers)?;
    // The clocks of clients are those of the machine, whatever time it is in the data centre.
    let authorization = auth::read(&parts.headers, shifted(api, Timestamp::now()), api.settings.clock_skew)?;
    let target = raw_target(&parts).to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    params.merge_form(query);
    let body = timeout(BODY_TIMEOUT, read_body(&parts.headers, body)).await.map_err(|_| {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutError", "the request body took too long")
    })??;
    merge_body(&mut params, &parts.headers, &body)?;
    if route.operation.is_open() {
        return Ok(endpoints::open(api, route.operation, path));
    }
    let signed = auth::Signed { method: parts.method.as_str(), target: &target, headers: &parts.headers };
    let signer = access::sign_in(api, authorization.as_ref(), signed, version)?;
    let access = access::authorize(api, &signer, &mut params, route.operation, path)?;
    if matches!(parts.method, Method::PUT | Method::POST | Method::DELETE) {
        check_maintenance(api)?;
    }
    api.throttle.admit(&access.login, route.group, Instant::now())?;
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let call = Call {
        api,
        operation: route.operation,
        method: &parts.method,
        params,
        version,
        account: access.account,
        login: access.login,
        caller: access::caller(&signer, caller_address(&parts.headers, peer.ip())),
        headers: &parts.headers,
        path,
        roles: access.roles,
        decision,
    };
    if route.operation == Operation::Changefeed {
        return changefeed::upgrade(&call, upgrade);
    }
    if endpoints::is_watched(&call) {
        return endpoints::watch(&call).await;
    }
    endpoints::dispatch(&call)
}

/// What a clock that is as wrong as CloudAPI's shows at this time.
fn shifted(api: &CloudApi, time: Timestamp) -> Timestamp {
    time.checked_add(api.settings.clock_ahead).unwrap_or(time)
}

fn check_maintenance(api: &CloudApi) -> Result<(), ApiError> {
    let plan = api.faults.plan();
    if !plan.maintenance {
        return Ok(());
    }
    let error = ApiError::unavailable(MAINTENANCE);
    Err(match plan.maintenance_seconds {
        None => error,
        Some(seconds) => {
            let over = api.engine.now().checked_add(Duration::from_secs(seconds.into()));
            error.header(header::RETRY_AFTER, &http_date(over.unwrap_or(Timestamp::MAX)))
        }
    })
}
