//! A scripted CloudAPI: a real HTTP/1.1 server at the other end of in-memory pipes.
//!
//! No socket is involved, so a paused clock moves only when everybody waits for it, and a test of a minute's
//! back-off takes no time and always goes the same way.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use triton::auth::{AuthError, Authenticate, RequestHead};
use triton::client::{Client, ClientBuilder, Connect, Stream};
use triton::error::BoxError;

/// The server's end of a WebSocket.
pub type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What the server does with a request.
pub enum Answer {
    /// Status, headers and the whole body.
    Whole(StatusCode, HeaderMap, Bytes),
    /// Promises a longer body than it sends, then closes.
    Torn(Bytes),
    /// Closes the connection without a word.
    Closed,
    /// Never answers.
    Silent,
    /// Answers after a while.
    Late(Duration, Box<Answer>),
    /// Switches to a WebSocket and lets this play the server's part.
    WebSocket(Box<dyn FnOnce(Socket) -> BoxFuture<'static, ()> + Send>),
}

impl Answer {
    pub fn json(status: u16, body: impl Into<Value>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self::Whole(status, HeaderMap::new(), body.into().to_string().into())
    }

    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Whole(StatusCode::from_u16(status).expect("a status"), HeaderMap::new(), body.into())
    }

    /// CloudAPI's error object.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, serde_json::json!({"code": code, "message": message}))
    }

    pub fn header(self, name: &'static str, value: &str) -> Self {
        let Self::Whole(status, mut headers, body) = self else { panic!("only a whole answer has headers") };
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value"));
        Self::Whole(status, headers, body)
    }

    pub fn after(self, wait: Duration) -> Self {
        Self::Late(wait, Box::new(self))
    }

    pub fn web_socket<F>(play: impl FnOnce(Socket) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::WebSocket(Box::new(|socket| Box::pin(play(socket))))
    }
}

type Handler = Box<dyn FnMut(&Seen) -> Answer + Send>;

/// The server; cloning gives another handle.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    handler: Mutex<Handler>,
    seen: Mutex<Vec<Seen>>,
    refusing: Mutex<bool>,
}

impl Server {
    /// A server that decides by a function of the request.
    pub fn new(handler: impl FnMut(&Seen) -> Answer + Send + 'static) -> Self {
        Self(Arc::new(Inner {
            handler: Mutex::new(Box::new(handler)),
            seen: Mutex::default(),
            refusing: Mutex::default(),
        }))
    }

    /// A server that gives these answers in order, and panics when asked for more.
    pub fn script(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        answers.reverse();
        Self::new(move |seen| {
            answers.pop().unwrap_or_else(|| panic!("no answer left for {} {}", seen.method, seen.target))
        })
    }

    /// Refuses new connections from now on, or accepts them again.
    pub fn refuse_connections(&self, refuse: bool) {
        *self.0.refusing.lock().unwrap() = refuse;
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// How many requests so far were for this method and path.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method && seen.path() == path).count()
    }

    /// A client of this server for the account `acme`.
    pub fn client(&self) -> Client {
        self.client_builder().build().expect("a client")
    }

    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder("http://cloudapi.test".parse().expect("a URL"), "acme", Arc::new(TestSignature))
            .connect(Arc::new(self.clone()))
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, BoxError>>, BoxError> {
        let (head, body) = request.into_parts();
        let upgrade = head.extensions.get::<hyper::upgrade::OnUpgrade>().cloned();
        let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let body = body.collect().await?.to_bytes();
        let seen = Seen {
            method: head.method.to_string(),
            target,
            headers: head.headers.clone(),
            body,
            at: Instant::now(),
        };
        self.0.seen.lock().unwrap().push(seen.clone());
        let mut answer = (self.0.handler.lock().unwrap())(&seen);
        if let Answer::Late(wait, then) = answer {
            tokio::time::sleep(wait).await;
            answer = *then;
        }
        match answer {
            Answer::Whole(status, headers, body) => {
                let mut response = Response::new(Full::new(body).map_err(infallible).boxed());
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                Ok(response)
            }
            Answer::Torn(part) => {
                let frames = [Ok(Frame::data(part)), Err(BoxError::from("torn on purpose"))];
                Ok(Response::new(StreamBody::new(futures::stream::iter(frames)).boxed()))
            }
            Answer::Closed => Err("closed on purpose".into()),
            Answer::Silent | Answer::Late(..) => std::future::pending().await,
            Answer::WebSocket(play) => {
                let key = head.headers.get(header::SEC_WEBSOCKET_KEY).expect("a WebSocket key").clone();
                let upgrade = upgrade.expect("an upgradable request");
                tokio::spawn(async move {
                    if let Ok(upgraded) = upgrade.await {
                        let io = TokioIo::new(upgraded);
                        play(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await;
                    }
                });
                Ok(Response::builder()
                    .status(StatusCode::SWITCHING_PROTOCOLS)
                    .header(header::CONNECTION, "Upgrade")
                    .header(header::UPGRADE, "websocket")
                    .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
                    .body(Full::default().map_err(infallible).boxed())?)
            }
        }
    }

    /// Serves one connection.
    pub fn serve(&self, io: impl Stream + 'static) {
        let server = self.clone();
        let service = service_fn(move |request| server.clone().answer(request));
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            // Errors are the client's to notice.
            let _ = http
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(io), service)
                .with_upgrades()
                .await;
        });
    }
}

impl Connect for Server {
    fn connect(&self, _: Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, BoxError>> {
        let server = self.clone();
        Box::pin(async move {
            if *server.0.refusing.lock().unwrap() {
                return Err("connection refused on purpose".into());
            }
            let (client, io) = tokio::io::duplex(64 << 10);
            server.serve(io);
            Ok(Box::new(client) as Box<dyn Stream>)
        })
    }
}

fn infallible(never: Infallible) -> BoxError {
    match never {}
}

/// Signs nothing: these tests are about what happens around a signature.
#[derive(Debug)]
pub struct TestSignature;

impl Authenticate for TestSignature {
    fn authorization<'a>(&'a self, _: RequestHead<'a>) -> BoxFuture<'a, Result<HeaderValue, AuthError>> {
        Box::pin(async { Ok(HeaderValue::from_static("Signature keyId=\"/acme/keys/test\"")) })
    }
}
