//! A proxy between a process and one of its servers, that lets calls go wrong at will.
//!
//! One connection of the process is one connection to the server, so that what breaks on one side breaks on the other.
//! Watches and WebSockets are passed on as they come.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::call::{Call, Server, collection};
use super::fault::{Fault, Judge};

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Where the server is.
#[derive(Clone)]
pub(super) struct Upstream {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Upstream {
    /// A server without TLS, such as `http://127.0.0.1:80`.
    pub(super) fn plain(url: &str) -> Result<Self> {
        let address = url.strip_prefix("http://").context("not plain HTTP")?.parse()?;
        Ok(Self { address, tls: None })
    }

    /// The server and the authority that a kubeconfig in JSON names, and the token in it.
    pub(super) fn of_kubeconfig(file: &Path) -> Result<(Self, String)> {
        let config: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("an incomplete kubeconfig");
        let cluster = &config["clusters"][0]["cluster"];
        let url = text(&cluster["server"])?;
        let address = url.strip_prefix("https://").context("not HTTPS")?.parse()?;
        let authority = text(&cluster["certificate-authority-data"])?;
        let authority = base64::engine::general_purpose::STANDARD.decode(authority)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&authority) {
            roots.add(certificate?)?;
        }
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let token = text(&config["users"][0]["user"]["token"])?;
        Ok((Self { address, tls: Some(TlsConnector::from(Arc::new(tls))) }, token))
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => begin(stream).await,
            Some(tls) => {
                let name = ServerName::from(self.address.ip());
                begin(tls.connect(name, stream).await?).await
            }
        }
    }
}

async fn begin<S>(stream: S) -> Result<SendRequest<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // How it ends is seen by whoever sends.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// The proxy. Its connections break when it is dropped.
pub(super) struct Proxy {
    pub(super) url: String,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on loopback. What becomes of each call `judge` says. Within a `scope` the process sees only the objects
    /// of the cluster that have this label, so that many processes share a cluster and each believes that it is alone.
    pub(super) async fn start(
        server: Server,
        upstream: Upstream,
        scope: Option<Scope>,
        judge: Arc<dyn Judge>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let link = Arc::new(Link {
                    server,
                    upstream: upstream.clone(),
                    scope: scope.clone(),
                    sender: Mutex::default(),
                    judge: Arc::clone(&judge),
                });
                connections.spawn(serve(stream, link));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { url, task })
    }

    /// Writes a kubeconfig for whoever goes by this proxy with this token.
    pub(super) fn write_kubeconfig(&self, file: &Path, token: &str) -> Result<()> {
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "process", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "process"}}],
        });
        Ok(std::fs::write(file, kubeconfig.to_string())?)
    }

    /// The variables of whoever goes by this proxy instead of straight to CloudAPI.
    pub(super) fn instead_of(&self, mut variables: Vec<(String, String)>) -> Vec<(String, String)> {
        for (name, value) in &mut variables {
            if name == "TRITON_URL" {
                value.clone_from(&self.url);
            }
        }
        variables
    }
}

/// The objects of a cluster that a process sees of some resources.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The plurals of these resources.
    pub(super) resources: &'static [&'static str],
    /// `key=value`, as labels of objects.
    pub(super) label: String,
}

impl Scope {
    /// Narrows a list or a watch of one of the resources.
    fn narrow(&self, request: &mut Request<Incoming>) -> Result<()> {
        let Some(resource) = collection(request) else { return Ok(()) };
        if self.resources.contains(&resource.as_str()) {
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
            let label = self.label.replace('=', "%3D");
            *request.uri_mut() = format!("{path}?{query}&labelSelector={label}").parse()?;
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, link: Arc<Link>) {
    let service = service_fn(move |request| {
        let link = Arc::clone(&link);
        async move { link.answer(request).await }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Broken connections are what this is for.
    let _ = connection.with_upgrades().await;
}

/// One connection of the process.
struct Link {
    server: Server,
    upstream: Upstream,
    scope: Option<Scope>,
    sender: Mutex<Option<SendRequest<Incoming>>>,
    judge: Arc<dyn Judge>,
}

impl Link {
    /// An error breaks the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer> {
        let call = Call::of(self.server, &request);
        let fault = call.as_ref().and_then(|call| self.judge.judge(call));
        let answer = self.answer_or_fail(request, &call, fault).await;
        if let Some(call) = call.filter(Call::is_write) {
            self.judge.written(&call);
        }
        answer
    }

    async fn answer_or_fail(
        &self,
        mut request: Request<Incoming>,
        call: &Option<Call>,
        fault: Option<Fault>,
    ) -> Result<Answer> {
        if let Some(scope) = &self.scope {
            scope.narrow(&mut request)?;
        }
        match fault {
            None => self.forward(request).await,
            Some(Fault::KillBefore) => {
                self.judge.kill().await;
                anyhow::bail!("killed before {call:?}")
            }
            Some(Fault::KillAfter) => {
                let _answer = self.forward(request).await?;
                self.judge.kill().await;
                anyhow::bail!("killed after {call:?}")
            }
            Some(Fault::Lose) => {
                let _answer = self.forward(request).await?;
                anyhow::bail!("the answer to {call:?} is lost")
            }
            Some(Fault::Refuse(status)) => {
                // What is not read would spoil the connection for the next call.
                let _ = request.into_body().collect().await?;
                Ok(refusal(self.server, status))
            }
        }
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Result<Answer> {
        let upgrades = request.headers().contains_key(UPGRADE);
        let ours = upgrades.then(|| hyper::upgrade::on(&mut request));
        let mut sender = self.sender.lock().await;
        let mut ready = match sender.take() {
            Some(ready) if !ready.is_closed() => ready,
            // The first call of this connection, or the server has closed an idle one.
            _ => self.upstream.connect().await?,
        };
        ready.ready().await?;
        let mut answer = ready.send_request(request).await?;
        *sender = Some(ready);
        if let Some(ours) = ours.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
            let theirs = hyper::upgrade::on(&mut answer);
            tokio::spawn(async move {
                let (ours, theirs) = tokio::try_join!(ours, theirs)?;
                tokio::io::copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await?;
                anyhow::Ok(())
            });
            return Ok(answer.map(|_| Either::Right(Full::default())));
        }
        Ok(answer.map(Either::Left))
    }
}

/// An error as the server itself would say it.
fn refusal(server: Server, status: StatusCode) -> Answer {
    let body = match server {
        Server::Kubernetes => json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status.as_u16(),
            "message": "refused by the test",
            "reason": if status == StatusCode::CONFLICT { "Conflict" } else { "InternalError" },
        }),
        Server::CloudApi => json!({"code": "InternalError", "message": "refused by the test"}),
    };
    let mut answer = Response::new(Either::Right(Full::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}
