//! Traces to an OpenTelemetry collector, as OTLP over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetryLayer;

use super::LogError;

/// How long one batch may take to be sent. The SDK drops spans when its queue is full; it never blocks.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long sending the last batch may hold up the end of the process.
const FINISH: Duration = Duration::from_secs(3);

/// The largest answer that is read; a collector says little.
const ANSWER: usize = 64 * 1024;

/// A running export.
#[derive(Debug)]
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    pub(super) fn start(endpoint: &str, service: &str) -> Result<Self, LogError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LogError::Export {
            endpoint: endpoint.to_owned(),
            source,
        };
        let target = target(endpoint)?;
        let http = Hyper::new().map_err(|error| failed(error.into()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(http)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(target)
            .with_timeout(DEADLINE)
            .build()
            .map_err(|error| failed(error.into()))?;
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self(provider))
    }

    pub(super) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        tracing_opentelemetry::layer().with_tracer(self.0.tracer("runtime"))
    }

    pub(super) fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FINISH) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Where traces are posted to: the endpoint itself when it has a path, else OTLP's usual one.
fn target(endpoint: &str) -> Result<String, LogError> {
    let wrong = || LogError::Endpoint { endpoint: endpoint.to_owned() };
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    let bare = matches!(uri.path(), "" | "/");
    Ok(if bare { format!("{}/v1/traces", endpoint.trim_end_matches('/')) } else { endpoint.to_owned() })
}

/// Our own HTTP client for the SDK, whose batches are sent from a thread of its own: the requests run on the
/// process's tokio runtime.
#[derive(Debug, Clone)]
struct Hyper {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Hyper {
    fn new() -> Result<Self, std::io::Error> {
        let runtime = Handle::try_current().map_err(std::io::Error::other)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), runtime })
    }
}

#[async_trait]
impl HttpClient for Hyper {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = self.runtime.spawn(async move {
            let exchange = async {
                let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            tokio::time::timeout(DEADLINE, exchange).await?
        });
        exchange.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_path_gets_the_usual_one() {
        for (endpoint, expected) in [
            ("http://collector:4318", Some("http://collector:4318/v1/traces")),
            ("https://collector/", Some("https://collector/v1/traces")),
            ("http://collector/in/traces", Some("http://collector/in/traces")),
            ("collector:4318", None),
            ("ftp://collector", None),
            ("http://", None),
            ("", None),
        ] {
            assert_eq!(target(endpoint).ok().as_deref(), expected, "{endpoint}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_arrive_at_the_collector() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use tracing_subscriber::layer::SubscriberExt as _;

        let collector = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", collector.local_addr().unwrap());
        let received = tokio::spawn(async move {
            let (mut connection, _) = collector.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.windows(8).any(|bytes| bytes == b"a-lookup") {
                let mut bytes = [0; 4096];
                let count = connection.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the connection ended before the span: {received:?}");
                received.extend_from_slice(&bytes[..count]);
            }
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            received
        });
        let exporter = Exporter::start(&endpoint, "triton-test").unwrap();
        let subscriber = tracing_subscriber::registry().with(exporter.layer());
        tracing::subscriber::with_default(subscriber, || tracing::info_span!("a-lookup").in_scope(|| ()));
        tokio::task::spawn_blocking(|| exporter.finish()).await.unwrap();
        let received = tokio::time::timeout(Duration::from_secs(10), received).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&received);
        assert!(text.starts_with("POST /v1/traces HTTP/1.1"), "{text}");
        assert!(text.contains("triton-test"), "{text}");
    }
}
