//! Forwards HTTP requests, each to a server of its own choice.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::backend::Backend;

/// The cookie that keeps a client with its server.
const COOKIE: &str = "CLOUD-TRITONCOMPUTE-RS";
/// How long a client may be silent (`timeout client`), and a server (`timeout server`).
const CLIENT: Duration = Duration::from_secs(55);
const SERVER: Duration = Duration::from_secs(120);

type Answer = Response<Either<Full<Bytes>, Incoming>>;

/// Serves one client until it has gone.
pub(super) async fn serve(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send,
    client: IpAddr,
    backend: &Arc<Backend>,
) {
    let answer = service_fn(|request| async move {
        Ok::<_, Infallible>(forward(request, client, backend).await.unwrap_or_else(|refusal| refusal))
    });
    serve_by(socket, answer).await;
}

/// Serves one client of the metrics: with this text, or, where there is none, a refusal.
pub(super) async fn serve_metrics(socket: TcpStream, exposition: Option<String>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let answer = match &exposition {
            None => text(StatusCode::FORBIDDEN, "403 Forbidden\n"),
            Some(exposition) if request.uri().path() == "/metrics" => text(StatusCode::OK, exposition),
            Some(_) => text(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable\n"),
        };
        async move { Ok::<_, Infallible>(answer) }
    });
    serve_by(socket, answer).await;
}

async fn serve_by(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send,
    service: impl Service<Request<Incoming>, Response = Answer, Error = Infallible, Future: Send> + Send,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client of a load balancer has gone");
    }
}

async fn forward(
    mut request: Request<Incoming>,
    client: IpAddr,
    backend: &Arc<Backend>,
) -> Result<Answer, Answer> {
    let named = cookie(&request);
    let preferred = named
        .as_ref()
        .and_then(|named| backend.servers().addresses().into_iter().find(|it| id(*it) == *named));
    let none = "503 Service Unavailable\nNo server is available to handle this request.\n";
    let connected = backend.connect(preferred).await;
    let connected = connected.ok_or_else(|| text(StatusCode::SERVICE_UNAVAILABLE, none))?;
    let headers = request.headers_mut();
    if named.is_some() {
        drop_cookie(headers);
    }
    if let Ok(client) = HeaderValue::from_str(&client.to_string()) {
        headers.append("x-forwarded-for", client);
    }
    let server = connected.server;
    let exchange = async {
        let (mut sender, connection) = client::handshake(TokioIo::new(connected.socket)).await?;
        // It counts as long as its answer comes.
        let counted = connected.counted;
        tokio::spawn(async move {
            let _ = connection.await;
            drop(counted);
        });
        sender.send_request(request).await
    };
    let mut response = match tokio::time::timeout(SERVER, exchange).await {
        Ok(Ok(response)) => response.map(Either::Right),
        Ok(Err(error)) => {
            tracing::debug!(%server, %error, "a server gave no answer");
            return Err(text(StatusCode::BAD_GATEWAY, "502 Bad Gateway\n"));
        }
        Err(_) => return Err(text(StatusCode::GATEWAY_TIMEOUT, "504 Gateway Time-out\n")),
    };
    if preferred != Some(server)
        && let Ok(cookie) = HeaderValue::from_str(&format!("{COOKIE}={}; path=/", id(server)))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    Ok(response)
}

/// The name of a server in cookies.
fn id(server: SocketAddrV4) -> String {
    let digest = Sha256::digest(server.to_string());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn cookies(header: &HeaderValue) -> impl Iterator<Item = &str> {
    header.to_str().unwrap_or_default().split(';').map(str::trim)
}

fn own(cookie: &str) -> Option<&str> {
    cookie.strip_prefix(COOKIE)?.strip_prefix('=')
}

fn cookie<B>(request: &Request<B>) -> Option<String> {
    let mut all = request.headers().get_all(header::COOKIE).iter().flat_map(cookies);
    all.find_map(own).map(str::to_owned)
}

/// Takes our cookie away: it is none of the server's (`indirect`).
fn drop_cookie(headers: &mut http::HeaderMap) {
    let all = headers.get_all(header::COOKIE);
    let kept: Vec<&str> = all.iter().flat_map(cookies).filter(|cookie| own(cookie).is_none()).collect();
    let kept = HeaderValue::from_str(&kept.join("; ")).ok().filter(|kept| !kept.is_empty());
    headers.remove(header::COOKIE);
    if let Some(kept) = kept {
        headers.insert(header::COOKIE, kept);
    }
}

/// Whether a server answers a path with 200.
pub(super) async fn is_ok(socket: TcpStream, path: &str, server: SocketAddrV4) -> bool {
    let request = Request::get(path).header(header::HOST, server.to_string()).body(Empty::<Bytes>::new());
    let (Ok(request), Ok((mut sender, connection))) =
        (request, client::handshake(TokioIo::new(socket)).await)
    else {
        return false;
    };
    tokio::select! {
        biased;
        response = sender.send_request(request) => {
            response.is_ok_and(|response| response.status() == StatusCode::OK)
        }
        _ = connection => false,
    }
}

fn text(status: StatusCode, text: &str) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(Bytes::copy_from_slice(text.as_bytes()))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookie_is_read_and_taken_away_and_others_stay() {
        let server = "192.168.128.5:80".parse().unwrap();
        let request = Request::get("/")
            .header("cookie", format!("a=b; {COOKIE}={}", id(server)))
            .header("cookie", "c=d")
            .body(())
            .unwrap();
        assert_eq!(cookie(&request), Some(id(server)));
        let mut headers = request.headers().clone();
        drop_cookie(&mut headers);
        assert_eq!(headers["cookie"], "a=b; c=d");
        let request = Request::get("/").header("cookie", "CLOUD-TRITONCOMPUTE-RSX=1").body(()).unwrap();
        assert_eq!(cookie(&request), None);
    }
}
