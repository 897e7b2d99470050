//! A small CloudAPI that answers from a recording, and checks signatures for real.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use triton::auth::PublicKey;
use triton::auth::signature::{Authorization, verify};

/// The one instance that the recording destroys, by the path of its reads.
const DESTROYED: &str = "/acme/machines/3c1a0f5e-6a6c-4a0e-9a3b-1b1f6f1e7a11";

/// The server's state: what it was recorded to say, whose signatures it accepts, whom it has throttled.
pub(crate) struct Recorded {
    recording: Value,
    account_key: PublicKey,
    throttled_once: Mutex<HashSet<String>>,
}

impl Recorded {
    pub(crate) fn new(account_key: PublicKey) -> serde_json::Result<Self> {
        let recording = serde_json::from_str(include_str!("recording.json"))?;
        Ok(Self { recording, account_key, throttled_once: Mutex::default() })
    }

    /// Serves until the program ends.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((socket, _)) = listener.accept().await {
            let server = Arc::clone(&self);
            let answer = service_fn(move |request| std::future::ready(server.answer(request)));
            let http = hyper::server::conn::http1::Builder::new();
            let connection = http.serve_connection(TokioIo::new(socket), answer).with_upgrades();
            tokio::spawn(connection);
        }
    }

    fn answer(&self, request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        if !self.is_signed(&request) {
            let message = "Invalid authorization credentials supplied";
            return reply(
                StatusCode::UNAUTHORIZED,
                &json!({"code": "InvalidCredentials", "message": message}),
            );
        }
        if path == "/acme/changefeed" {
            return self.changefeed(request);
        }
        let first = self.throttled_once.lock().is_ok_and(|mut throttled| throttled.insert(path.clone()));
        if path == "/acme/packages" && first {
            let message = "You have exceeded your request rate of 10 r/s.";
            let error = json!({"code": "TooManyRequestsError", "message": message});
            return reply(StatusCode::TOO_MANY_REQUESTS, &error);
        }
        match self.recording.get(format!("{} {path}", request.method())) {
            Some(body) if path == DESTROYED => reply(StatusCode::GONE, body),
            Some(body) => reply(StatusCode::OK, body),
            None => {
                let error = json!({"code": "ResourceNotFound", "message": format!("{path} does not exist")});
                reply(StatusCode::NOT_FOUND, &error)
            }
        }
    }

    fn is_signed(&self, request: &Request<Incoming>) -> bool {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let check = || {
            let authorization = Authorization::parse(header("authorization")?).ok()?;
            let message = authorization.signing_string(request.method().as_str(), target, header).ok()?;
            verify(&self.account_key, message.as_bytes(), authorization.signature()).ok()
        };
        check().is_some()
    }

    fn changefeed(&self, mut request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
        let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
            return reply(
                StatusCode::BAD_REQUEST,
                &json!({"code": "BadRequestError", "message": "no WebSocket"}),
            );
        };
        let events: Vec<String> =
            self.recording["changefeed"].as_array().into_iter().flatten().map(Value::to_string).collect();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(io) = upgrade.await else { return };
            let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, None).await;
            for event in events {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if socket.send(Message::text(event)).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
            .body(Full::default())
    }
}

fn reply(status: StatusCode, body: &Value) -> http::Result<Response<Full<Bytes>>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body.to_string().into()))
}
