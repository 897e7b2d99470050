//! Attempts against real servers on the loopback interface.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rstest::rstest;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::{HttpGet, Scheme};
use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A loopback address of the test's own, so that no other test takes a port that this one has closed.
fn loopback() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    thread_local! {
        static ADDRESS: IpAddr = {
            let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            IpAddr::from([127, 71, high, low])
        };
    }
    ADDRESS.with(|address| *address)
}

fn pod() -> PodKey {
    PodKey { namespace: "default".into(), name: "web".into(), uid: "1".into() }
}

async fn try_it(action: Action) -> Finding {
    let pod = pod();
    attempt(&action, Subject { pod: &pod, address: loopback(), exec: None }, LONG).await
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(SocketAddr::new(loopback(), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port that nobody listens on.
async fn closed_port() -> u16 {
    listener().await.1
}

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// An HTTP server whose paths are statuses, or redirects: `/302?to=/200`.
async fn pages(tls: bool) -> (u16, Seen) {
    let (listener, port) = listener().await;
    let seen = Seen::default();
    let requests = Arc::clone(&seen);
    let acceptor = tls.then(acceptor);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (requests, acceptor) = (Arc::clone(&requests), acceptor.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = page(&request);
                    requests.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
                    async move { Ok::<_, Infallible>(answer) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                match acceptor {
                    Some(tls) => {
                        let stream = tls.accept(stream).await.unwrap();
                        drop(http.serve_connection(TokioIo::new(stream), service).await);
                    }
                    None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                }
            });
        }
    });
    (port, seen)
}

fn page(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let status = request.uri().path().trim_matches('/').parse().unwrap_or(404_u16);
    let mut response = Response::builder().status(status);
    if let Some(to) = request.uri().query().and_then(|query| query.strip_prefix("to=")) {
        response = response.header("location", to);
    }
    response.body(Full::from("page")).unwrap()
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["somewhere.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn get(port: u16, path: &str) -> HttpGet {
    HttpGet { scheme: Scheme::Http, host: None, port, path: path.into(), headers: vec![] }
}

fn failure(finding: Finding) -> String {
    match finding {
        Finding::Failure(message) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tcp_succeeds_where_somebody_listens() {
    let (_listener, port) = listener().await;
    assert_eq!(try_it(Action::Tcp { host: None, port }).await, Finding::Success);
    assert_eq!(
        try_it(Action::Tcp { host: Some(loopback().to_string().into()), port }).await,
        Finding::Success
    );
    let port = closed_port().await;
    let message = failure(try_it(Action::Tcp { host: None, port }).await);
    assert!(message.starts_with(&format!("cannot connect to port {port}: ")), "{message}");
}

#[rstest]
#[case("/200", true)]
#[case("204", true)]
#[case("/399", true)]
#[case("/400", false)]
#[case("/404", false)]
#[case("/503", false)]
#[case("/302?to=/200", true)]
#[case("/302?to=/500", false)]
#[case("/301?to=200", true)]
#[case("/307", true)]
#[case("/302?to=http://elsewhere.example/500", true)]
#[case("/302?to=/302?to=/200", true)]
#[tokio::test]
async fn a_page_succeeds_by_its_status_and_redirects_are_followed_on_the_host(
    #[case] path: &str,
    #[case] succeeds: bool,
) {
    let (port, _) = pages(false).await;
    let finding = try_it(Action::Http(get(port, path))).await;
    assert_eq!(finding == Finding::Success, succeeds, "{finding:?}");
}

#[tokio::test]
async fn redirects_in_a_circle_fail() {
    let (port, seen) = pages(false).await;
    let message = failure(try_it(Action::Http(get(port, "/302?to=?to="))).await);
    assert!(message.ends_with("stopped after 10 redirects"), "{message}");
    assert_eq!(seen.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn a_failed_page_says_its_status() {
    let (port, _) = pages(false).await;
    let message = failure(try_it(Action::Http(get(port, "/500"))).await);
    assert_eq!(message, format!("GET http://{}:{port}/500: status 500", loopback()));
    let port = closed_port().await;
    let message = failure(try_it(Action::Http(get(port, "/"))).await);
    assert!(message.contains("refused"), "{message}");
}

#[tokio::test]
async fn a_server_sees_the_headers_that_the_kubelet_sends_and_those_of_the_manifest() {
    let (port, seen) = pages(false).await;
    let plain = get(port, "/200?a=b");
    let named = HttpGet {
        headers: vec![
            ("Host".into(), "shop.example".into()),
            ("X-A".into(), "1".into()),
            ("X-A".into(), "2".into()),
            ("User-Agent".into(), "mine".into()),
        ],
        ..plain.clone()
    };
    assert_eq!(try_it(Action::Http(plain)).await, Finding::Success);
    assert_eq!(try_it(Action::Http(named)).await, Finding::Success);
    let seen = seen.lock().unwrap();
    let (uri, headers) = &seen[0];
    assert_eq!(uri, "/200?a=b");
    assert_eq!(headers["host"], format!("{}:{port}", loopback()));
    assert!(headers["user-agent"].to_str().unwrap().starts_with("kube-probe/"));
    assert_eq!(headers["accept"], "*/*");
    let (_, headers) = &seen[1];
    assert_eq!(
        (&headers["host"], &headers["user-agent"]),
        (&"shop.example".parse().unwrap(), &"mine".parse().unwrap())
    );
    assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_header_that_cannot_be_is_told_without_its_value() {
    let headers = vec![("X".to_owned(), "secret\n".to_owned())];
    let finding = try_it(Action::Http(HttpGet { headers, ..get(1, "/") })).await;
    let Finding::Impossible(why) = finding else { panic!("{finding:?}") };
    assert!(why.contains("\"X\"") && !why.contains("secret"), "{why}");
}

#[tokio::test]
async fn any_certificate_will_do() {
    let (port, seen) = pages(true).await;
    let https = HttpGet { scheme: Scheme::Https, ..get(port, "/200") };
    assert_eq!(try_it(Action::Http(https)).await, Finding::Success);
    assert_eq!(seen.lock().unwrap().len(), 1);
    failure(try_it(Action::Http(get(port, "/200"))).await);
}

/// A server that accepts connections and says nothing.
#[rstest]
#[case::http(|port| Action::Http(get(port, "/")))]
#[case::https(|port| Action::Http(HttpGet { scheme: Scheme::Https, ..get(port, "/") }))]
#[case::grpc(|port| Action::Grpc { port, service: "".into() })]
#[tokio::test]
async fn a_server_that_says_nothing_fails_when_the_time_is_up(#[case] action: fn(u16) -> Action) {
    let (_listener, port) = listener().await;
    let pod = pod();
    let subject = Subject { pod: &pod, address: loopback(), exec: None };
    let finding = attempt(&action(port), subject, Duration::from_millis(200)).await;
    assert_eq!(failure(finding), "no answer within 0.2 s");
}

#[rstest]
#[case::http(|port| Action::Http(get(port, "/")))]
#[case::https(|port| Action::Http(HttpGet { scheme: Scheme::Https, ..get(port, "/") }))]
#[case::grpc(|port| Action::Grpc { port, service: "".into() })]
#[tokio::test]
async fn a_server_that_talks_nonsense_or_hangs_up_fails(#[case] action: fn(u16) -> Action) {
    for greeting in [&b"SSH-2.0-OpenSSH_9.9\r\n"[..], b""] {
        let (listener, port) = listener().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, greeting).await.unwrap();
        });
        failure(try_it(action(port)).await);
    }
}

/// A server of the gRPC health protocol, which knows one service for each status.
async fn health() -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|request: Request<Incoming>| check(request).map(Ok::<_, Infallible>));
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(async move { drop(http.serve_connection(TokioIo::new(stream), service).await) });
        }
    });
    port
}

async fn check(
    request: Request<Incoming>,
) -> Response<StreamBody<futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(
        (request.method(), &request.headers()["te"]),
        (&http::Method::POST, &"trailers".parse().unwrap())
    );
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let service = body.get(7..).map(String::from_utf8_lossy).unwrap_or_default();
    let (message, status): (&[u8], &str) = match &*service {
        "" | "serving" => (&[0, 0, 0, 0, 2, 8, 1], "0"),
        "not-serving" => (&[0, 0, 0, 0, 2, 8, 2], "0"),
        "unspecified" => (&[0, 0, 0, 0, 0], "0"),
        "nonsense" => (&[9, 9, 9], "0"),
        "unimplemented" => (&[], "12"),
        _ => (&[], "5"),
    };
    let trailers = HeaderMap::from_iter([
        (http::HeaderName::from_static("grpc-status"), status.parse().unwrap()),
        (http::HeaderName::from_static("grpc-message"), "unknown service".parse().unwrap()),
    ]);
    let frames = vec![Ok(Frame::data(Bytes::copy_from_slice(message))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures::stream::iter(frames));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

#[rstest]
#[case("", None)]
#[case("serving", None)]
#[case("not-serving", Some(r#"service "not-serving" does not serve (status 2)"#))]
#[case("unspecified", Some(r#"service "unspecified" does not serve (status 0)"#))]
#[case("nonsense", Some("the answer is none of the health protocol's"))]
#[case("unimplemented", Some("the server does not have the health protocol, grpc.health.v1.Health"))]
#[case("other", Some("status 5 unknown service"))]
#[tokio::test]
async fn a_grpc_service_says_whether_it_serves(#[case] service: &str, #[case] expected: Option<&str>) {
    let port = health().await;
    let finding = try_it(Action::Grpc { port, service: service.into() }).await;
    match expected {
        None => assert_eq!(finding, Finding::Success),
        Some(expected) => {
            let message = failure(finding);
            assert!(message.ends_with(expected), "{message}");
        }
    }
}

struct Commands(Result<i32, String>);

#[async_trait]
impl Exec for Commands {
    async fn exec(&self, pod: &PodKey, command: &[String]) -> Result<i32, String> {
        assert_eq!((&*pod.name, command), ("web", &["true".to_owned()][..]));
        self.0.clone()
    }
}

#[rstest]
#[case(Ok(0), Finding::Success)]
#[case(Ok(3), Finding::Failure("the command ended with exit code 3".into()))]
#[case(Err("no key".to_owned()), Finding::Impossible("no key".into()))]
#[tokio::test]
async fn a_command_succeeds_by_its_exit_code(
    #[case] outcome: Result<i32, String>,
    #[case] expected: Finding,
) {
    let (pod, exec) = (pod(), Commands(outcome));
    let subject = Subject { pod: &pod, address: loopback(), exec: Some(&exec) };
    let action = Action::Exec { command: vec!["true".into()] };
    assert_eq!(attempt(&action, subject, LONG).await, expected);
}

#[tokio::test]
async fn a_command_without_a_way_in_says_what_to_configure() {
    let finding = try_it(Action::Exec { command: vec!["true".into()] }).await;
    let Finding::Impossible(why) = finding else { panic!("{finding:?}") };
    assert!(why.contains("SSH"), "{why}");
}
