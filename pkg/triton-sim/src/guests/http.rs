//! The web server of a guest.
//!
//! | path | answer |
//! |---|---|
//! | `/` | who answers: `{"id", "name", "address", "client"}` |
//! | `/healthz`, `/readyz` | `ok` |
//! | `/env` | the variables of the guest's programs, as JSON |
//! | `/echo` | the body of the request |
//!
//! Any other path is not found. `?delay=1.5` makes any of them wait so many seconds first, at most 300. The
//! metadata key `sim.http-status` makes the server answer with other statuses: a list of `STATUS`, for all
//! paths, and `PATH=STATUS`, for that path. So `mdata-put sim.http-status /readyz=503` in the guest, or the same
//! through CloudAPI, makes it unready.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpStream;

use super::guest::{Guest, env_vars};
use crate::view::InstanceView;

/// The metadata key of the statuses to answer with.
pub const STATUS_KEY: &str = "sim.http-status";
/// How long a connection may be without a request, and a request's head may take.
const IDLE: Duration = Duration::from_secs(120);
/// The longest delay that can be asked for.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

type Body = Either<Full<Bytes>, Incoming>;

/// Serves one connection until it ends.
pub(super) async fn serve(socket: TcpStream, guest: Guest) {
    let Ok((local, peer)) = socket.local_addr().and_then(|local| Ok((local, socket.peer_addr()?))) else {
        return;
    };
    let _ = socket.set_nodelay(true);
    let answer = service_fn(|request| {
        let guest = guest.clone();
        async move { Ok::<_, Infallible>(answer(&guest, local, peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(socket), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection to a guest ended");
    }
}

async fn answer(
    guest: &Guest,
    local: SocketAddr,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    if let Some(delay) = request.uri().query().and_then(delay) {
        tokio::time::sleep(delay).await;
    }
    let Some(view) = guest.view() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the guest is gone\n");
    };
    let path = request.uri().path();
    let statuses = view.metadata.get(STATUS_KEY).map(String::as_str).unwrap_or_default();
    if let Some(status) = status(statuses, path) {
        return text(status, &format!("{STATUS_KEY} says {}\n", status.as_u16()));
    }
    match path {
        "/" => json(&json!({
            "id": guest.id(),
            "name": view.alias,
            "address": local.ip(),
            "client": peer.to_string(),
        })),
        "/healthz" | "/readyz" => text(StatusCode::OK, "ok\n"),
        "/env" => environment(&view),
        "/echo" => {
            let kind = request.headers().get(header::CONTENT_TYPE).cloned();
            let mut response = Response::new(Either::Right(request.into_body()));
            if let Some(kind) = kind {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response
        }
        _ => text(StatusCode::NOT_FOUND, "a simulated guest has /, /healthz, /readyz, /env and /echo\n"),
    }
}

fn environment(view: &InstanceView) -> Response<Body> {
    json(&json!(env_vars(view)))
}

fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = text(StatusCode::OK, &format!("{value}\n"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::copy_from_slice(text.as_bytes()))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The status that a path is to be answered with, if the list says so: the path's own before that of all.
/// Entries that make no sense are passed over.
fn status(list: &str, path: &str) -> Option<StatusCode> {
    let mut of_all = None;
    for entry in list.split(',').map(str::trim) {
        let (of, number) = entry.split_once('=').map_or((None, entry), |(path, number)| (Some(path), number));
        // Lower ones are not the end of an answer.
        let number: Option<u16> = number.parse().ok().filter(|number| (200..=599).contains(number));
        let Some(status) = number.and_then(|number| StatusCode::from_u16(number).ok()) else { continue };
        match of {
            Some(of) if of == path => return Some(status),
            Some(_) => {}
            None => of_all = Some(status),
        }
    }
    of_all
}

/// The value of `delay` in a query, in seconds.
fn delay(query: &str) -> Option<Duration> {
    let value = query.split('&').find_map(|parameter| parameter.strip_prefix("delay="))?;
    Duration::try_from_secs_f64(value.parse().ok()?).ok().map(|delay| delay.min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_given_a_status() {
        let check = |list: &str, path: &str, expected: Option<u16>| {
            assert_eq!(status(list, path).map(|status| status.as_u16()), expected, "{list:?} {path}");
        };
        check("", "/", None);
        check("503", "/", Some(503));
        check("503", "/readyz", Some(503));
        check("/readyz=503", "/readyz", Some(503));
        check("/readyz=503", "/healthz", None);
        check("500, /readyz=200", "/readyz", Some(200));
        check("/readyz=200,500", "/healthz", Some(500));
        check("/readyz=ok,99,100,600,-1", "/readyz", None);
    }

    #[test]
    fn a_delay_is_asked_for_in_seconds() {
        let check = |query: &str, expected: Option<f64>| {
            assert_eq!(delay(query), expected.map(Duration::from_secs_f64), "{query}");
        };
        check("delay=1.5", Some(1.5));
        check("a=b&delay=0", Some(0.0));
        check("delay=1e9", Some(300.0));
        check("delay=", None);
        check("delay=-1", None);
        check("delay=NaN", None);
        check("a=b", None);
    }
}
