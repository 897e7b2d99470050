//! CMON, asked by the library's client and by a plain one.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use triton::auth::{PrivateKey, Signer};
use triton::client::{Connect, Stream, TlsSettings};
use triton::cmon::CmonClient;
use triton::cmon::certificate::{self, ClientCertificate};
use triton::error::Kind;
use triton_sim::cmon::{Cmon, CmonError, CmonSettings, Load, Throttle};
use triton_sim::view::{DataCenter as _, VmState};

use crate::data_center::{FakeDataCenter, account, instance, running, start};

const ZONE: &str = "dc1.triton.zone";

/// A key of an account, on P-256.
pub fn ecdsa() -> Arc<PrivateKey> {
    let pair = rcgen::KeyPair::generate().unwrap();
    Arc::new(PrivateKey::from_pem(&pair.serialize_pem(), None).unwrap())
}

/// A key of an account by `ssh-keygen`; `None` where that is missing, which CI does not allow.
fn rsa() -> Option<Arc<PrivateKey>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    let mut command = Command::new("ssh-keygen");
    let Ok(output) = command.args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&file).output()
    else {
        assert!(std::env::var_os("CI").is_none(), "ssh-keygen not found: install OpenSSH");
        eprintln!("skipped: ssh-keygen not found: install OpenSSH");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(Arc::new(PrivateKey::load(&file, None).unwrap()))
}

async fn issue(key: &Arc<PrivateKey>, login: &str) -> ClientCertificate {
    issue_at(key, login, start()).await
}

/// A client certificate for ten days from a time on.
pub async fn issue_at(key: &Arc<PrivateKey>, login: &str, now: jiff::Timestamp) -> ClientCertificate {
    let mut random = |bytes: &mut [u8]| {
        bytes.fill_with(|| fastrand::u8(..));
        Ok(())
    };
    certificate::issue_at(&Signer::Key(Arc::clone(key)), login, 10, now, &mut random).await.unwrap()
}

fn settings() -> CmonSettings {
    CmonSettings::new("127.0.0.1:0".parse().unwrap(), ZONE)
}

/// A data centre of `acme`, which has this key, and of `other`, which has none.
fn data_center(key: &PrivateKey) -> Arc<FakeDataCenter> {
    let mut foreign = running(3, "192.168.128.7");
    (foreign.owner, foreign.owner_login) = (account(0xf), "other".into());
    let mut stopped = running(2, "192.168.128.6");
    stopped.state = VmState::Stopped;
    let data_center = FakeDataCenter::new([running(1, "192.168.128.5"), stopped, foreign]);
    data_center.set_keys("acme", account(0xa), vec![key.public_key().clone()]);
    data_center.set_keys("other", account(0xf), Vec::new());
    data_center
}

/// Reaches a CMON on loopback by any name, with or without a client certificate.
struct Loopback {
    address: std::net::SocketAddr,
    tls: TlsConnector,
}

impl Loopback {
    fn new(cmon: &Cmon, certificate: Option<&ClientCertificate>) -> Arc<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cmon.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(it) => {
                let chain = vec![CertificateDer::from_pem_slice(it.certificate_pem.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(it.key_pem.expose_secret().as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Arc::new(Self { address: cmon.address(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// The status and the JSON of an answer to a plain client.
    async fn get(&self, host: &str, target: &str) -> (StatusCode, Value) {
        let stream = self.connect(format!("https://{host}/").parse().unwrap()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::get(target).header("host", host).body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        connection.abort();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

impl Connect for Loopback {
    fn connect(&self, uri: Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, triton::error::BoxError>> {
        let (address, tls) = (self.address, self.tls.clone());
        Box::pin(async move {
            let name = ServerName::try_from(uri.host().unwrap_or_default().to_owned())?;
            let stream = tls.connect(name, TcpStream::connect(address).await?).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

pub fn client(cmon: &Cmon, certificate: &ClientCertificate) -> CmonClient {
    CmonClient::builder(cmon.url().parse().unwrap(), TlsSettings::default())
        .connect(Loopback::new(cmon, Some(certificate)))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_librarys_client_discovers_and_measures_with_a_certificate_of_either_kind_of_key() {
    for key in [Some(ecdsa()), rsa()].into_iter().flatten() {
        let data_center = data_center(&key);
        data_center.change(instance(1), |view| {
            view.tags.insert("triton.cmon.groups".to_owned(), json!("api,production"));
        });
        data_center.put(running(4, "192.168.128.8"));
        let cmon = Cmon::start(data_center.clone(), settings()).unwrap();
        let client = client(&cmon, &issue(&key, "acme").await);

        let ids = async |groups: &[&str]| {
            let found = client.discover(groups).await.unwrap();
            assert_eq!(found.undecodable, 0);
            found.containers.iter().map(|it| it.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[]).await, [instance(1), instance(4)]);
        assert_eq!(ids(&["production", "test"]).await, [instance(1)]);
        assert_eq!(ids(&["test"]).await, []);
        let container = client.discover(&["api"]).await.unwrap().containers.remove(0);
        let view = data_center.instance(instance(1)).unwrap();
        assert_eq!((container.name.as_deref(), container.brand.as_deref()), (Some("web1"), Some("lx")));
        assert_eq!((container.image, container.owner), (Some(view.image), Some(view.owner)));
        assert_eq!(container.compute_node, view.compute_node);
        assert_eq!(container.groups, ["api".into(), "production".into()]);

        let metrics = client.metrics(instance(1)).await.unwrap();
        assert_eq!((metrics.unreadable_lines, metrics.value("mem_limit")), (0, Some(512.0 * 1_048_576.0)));

        for (id, what) in [(2, "stopped"), (3, "another account's"), (9, "nothing")] {
            let error = client.metrics(instance(id)).await.expect_err(what);
            assert_eq!(error.kind(), Kind::NotFound, "{what}");
        }
        let error = client.discover(&["a b"]).await.expect_err("no group");
        assert_eq!(error.kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn who_has_no_certificate_of_the_account_is_unauthorized() {
    let key = ecdsa();
    let data_center = data_center(&key);
    let cmon = Cmon::start(data_center.clone(), settings()).unwrap();
    let host = format!("cmon.{ZONE}");
    let good = issue(&key, "acme").await;
    let discover = async |certificate: Option<&ClientCertificate>| {
        let client = Loopback::new(&cmon, certificate);
        let (of_all, body) = client.get(&host, "/v1/discover").await;
        let metrics = format!("{}.{host}", instance(1));
        assert_eq!(client.get(&metrics, "/metrics").await.0, of_all);
        assert_eq!(client.get(&host, "/_ping").await.0, 200, "asks for nothing");
        assert!(of_all == 200 || body["code"] == "Unauthorized", "{body}");
        of_all.as_u16()
    };
    assert_eq!(discover(Some(&good)).await, 200);
    assert_eq!(discover(None).await, 401);
    assert_eq!(discover(Some(&issue(&ecdsa(), "acme").await)).await, 401, "a foreign key");
    assert_eq!(discover(Some(&issue(&key, "other").await)).await, 401, "another account");
    assert_eq!(discover(Some(&issue(&key, "nobody").await)).await, 401, "no account");
    data_center.set_now(start() + SignedDuration::from_hours(11 * 24));
    assert_eq!(discover(Some(&good)).await, 401, "expired");
    data_center.set_now(start());
    data_center.set_keys("acme", account(0xa), Vec::new());
    assert_eq!(discover(Some(&good)).await, 401, "its key was removed");
}

#[tokio::test]
async fn hosts_paths_and_groups_that_there_are_not_are_refused() {
    let key = ecdsa();
    let cmon = Cmon::start(data_center(&key), settings()).unwrap();
    let client = Loopback::new(&cmon, Some(&issue(&key, "acme").await));
    let host = format!("cmon.{ZONE}");
    let check = async |host: &str, target: &str, expected: u16| {
        assert_eq!(client.get(host, target).await.0, expected, "{host} {target}");
    };
    check(&host, "/v1/discover?groups=a,b", 200).await;
    check(&host, "/v1/discover?groups=a%2Cb", 200).await;
    for groups in ["", "a,", "a,a", "a%20b", &"x".repeat(101)] {
        check(&host, &format!("/v1/discover?groups={groups}"), 400).await;
    }
    check(&host, "/v1/gz/discover", 403).await;
    check(&host, "/metrics", 404).await;
    check(&host, "/", 404).await;
    let id = instance(1);
    check(&format!("{id}.{host}"), "/metrics", 200).await;
    check(&format!("{id}.{host}"), "/v1/discover", 200).await;
    check(&format!("{}.{host}", instance(2)), "/v1/discover", 404).await;
    check(&format!("x.{host}"), "/metrics", 404).await;
}

#[tokio::test]
async fn counters_grow_with_the_load_and_never_go_back() {
    let key = ecdsa();
    let data_center = data_center(&key);
    let cmon = Cmon::start(data_center.clone(), settings()).unwrap();
    let client = client(&cmon, &issue(&key, "acme").await);
    let id = instance(1);
    let at = |seconds| data_center.set_now(start() + SignedDuration::from_secs(seconds));
    // CPU time in seconds, memory, bytes in.
    let read = async || {
        let metrics = client.metrics(id).await.unwrap();
        let value = |name| metrics.value(name).unwrap();
        let cpu = (value("cpu_user_usage") + value("cpu_sys_usage")) / 1e9;
        (cpu, value("mem_agg_usage") / value("mem_limit"), value("net_agg_bytes_in"))
    };
    assert!(cmon.set_load(id, Load { cpu_percent: 50, memory_percent: 25, network_bytes: 100 }));
    let (cpu, _, bytes) = read().await;
    assert_eq!((cpu, bytes), (0.0, 0.0));
    at(10);
    assert_eq!(read().await, (5.0, 0.25, 1000.0));
    at(19);
    assert_eq!(read().await, (5.0, 0.25, 1000.0), "measured every 10 s");
    assert!(cmon.set_load(id, Load { cpu_percent: 200, memory_percent: 75, network_bytes: 0 }));
    assert_eq!(read().await, (5.0, 0.25, 1000.0));
    at(30);
    assert_eq!(read().await, (45.0, 0.75, 1000.0));
    // The guest says how busy it is, and that counts before what was set.
    data_center.guest_sets_metadata(id, "sim.load-cpu", Some("0"));
    assert_eq!(read().await, (45.0, 0.75, 1000.0));
    at(40);
    assert_eq!(read().await, (45.0, 0.75, 1000.0));
    data_center.guest_reboots(id);
    at(100);
    assert_eq!(read().await, (0.0, 0.75, 0.0), "another boot, a minute later");
    assert!(!cmon.set_load(instance(9), Load::default()), "no such instance");
}

#[tokio::test]
async fn a_login_may_make_only_so_many_requests() {
    let key = ecdsa();
    let throttle = Some(Throttle { rate: 1, burst: 3 });
    let cmon = Cmon::start(data_center(&key), CmonSettings { throttle, ..settings() }).unwrap();
    let client = Loopback::new(&cmon, Some(&issue(&key, "acme").await));
    let host = format!("cmon.{ZONE}");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(client.get(&host, "/v1/discover").await.0.as_u16());
    }
    assert!(statuses.starts_with(&[200, 200, 200]) && statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_cmon_goes_when_it_is_dropped_and_says_when_its_address_is_taken() {
    let data_center = data_center(&ecdsa());
    let cmon = Cmon::start(data_center.clone(), settings()).unwrap();
    let address = cmon.address();
    assert_eq!(cmon.url(), format!("https://cmon.{ZONE}:{}", address.port()));
    let again = CmonSettings::new(address, ZONE);
    let error = Cmon::start(data_center, again).expect_err("taken");
    assert!(matches!(error, CmonError::Listen { .. }), "{error}");
    // A client that never says anything does not keep it.
    let idle = TcpStream::connect(address).await.unwrap();
    drop(cmon);
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("gone");
    drop(idle);
}
