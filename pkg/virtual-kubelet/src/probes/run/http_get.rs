//! Getting a page.
//!
//! As the kubelet does: any status from 200 to 399 is a success, certificates are not verified, redirects are followed
//! within the host only, and one that leads away is a success as well. Each attempt has a connection of its own.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{chain, tcp};
use crate::probes::{Finding, HttpGet};

/// As many redirects are followed, as by Go's client, which the kubelet uses.
const REDIRECTS: usize = 10;

/// What servers see in their logs: as with the kubelet, `kube-probe/` and a version.
const AGENT: &str = concat!("kube-probe/", env!("CARGO_PKG_VERSION"));

/// Succeeds when the page is answered with a status from 200 to 399.
pub(super) async fn answers(get: &HttpGet, address: IpAddr) -> Finding {
    let (mut url, headers) = match url(get, address).and_then(|url| Ok((url, headers(get)?))) {
        Ok(request) => request,
        Err(why) => return Finding::Impossible(why),
    };
    for _ in 0..=REDIRECTS {
        let (status, location) = match fetch(&url, &headers, address).await {
            Ok(answer) => answer,
            Err(why) => return Finding::Failure(format!("GET {url}: {why}")),
        };
        let next = location.filter(|_| is_redirect(status)).and_then(|location| url.join(&location).ok());
        match next {
            Some(next) if next.host() == url.host() => url = next,
            // One that leads elsewhere is not followed, and the server has answered.
            _ if (200..400).contains(&status.as_u16()) => return Finding::Success,
            _ => return Finding::Failure(format!("GET {url}: status {}", status.as_u16())),
        }
    }
    Finding::Failure(format!("GET {url}: stopped after {REDIRECTS} redirects"))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn url(get: &HttpGet, address: IpAddr) -> Result<Url, String> {
    let host = match (&get.host, address) {
        (Some(host), _) if tcp::bare(host).contains(':') => format!("[{}]", tcp::bare(host)),
        (Some(host), _) => host.to_string(),
        (None, IpAddr::V4(address)) => address.to_string(),
        (None, IpAddr::V6(address)) => format!("[{address}]"),
    };
    let slash = if get.path.starts_with('/') { "" } else { "/" };
    let text = format!("{}://{host}:{}{slash}{}", get.scheme.as_str(), get.port, get.path);
    Url::parse(&text).map_err(|error| format!("{text} is no URL: {error}"))
}

fn headers(get: &HttpGet) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &get.headers {
        // The value may be secret, so the name must do.
        let wrong = || format!("httpGet.httpHeaders: {name:?} is no header, or its value is not possible");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?);
    }
    for (name, value) in [(USER_AGENT, AGENT), (ACCEPT, "*/*"), (CONNECTION, "close")] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    Ok(headers)
}

/// One request: the status, and where it redirects to.
async fn fetch(
    url: &Url,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<(StatusCode, Option<String>), String> {
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = tcp::connect(url.host_str(), address, port).await.map_err(|error| error.to_string())?;
    let mut request = Request::get(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    });
    if let Some(all) = request.headers_mut() {
        all.clone_from(headers);
        // With the port, whatever it is, as the kubelet sends it.
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        if let Ok(host) = HeaderValue::try_from(host) {
            all.entry(HOST).or_insert(host);
        }
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let response = if url.scheme() == "https" {
        let name = url.host_str().map(tcp::bare).unwrap_or_default().to_owned();
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(unverified()?).connect(name, stream).await;
        send(tls.map_err(|error: io::Error| error.to_string())?, request).await
    } else {
        send(stream, request).await
    };
    let response = response.map_err(|error| chain(&error))?;
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    Ok((response.status(), location.map(str::to_owned)))
}

/// Sends a request on a connection, which ends when the answer is dropped.
async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender and the answer; what it ends with, the request has told.
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await
}

/// TLS that accepts any certificate: probes ask whether a server answers, as the kubelet's do, not who it is.
fn unverified() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// Accepts any certificate; the handshake's signatures are checked all the same.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
