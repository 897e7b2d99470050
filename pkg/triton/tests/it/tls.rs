//! TLS for real, on loopback: whom the client trusts, and what it says when it does not.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use triton::client::{Client, TlsSettings};
use triton::config::{CaSource, Tls};
use triton::error::{Error, Kind};

use crate::server::{Answer, Server, TestSignature};

/// A CloudAPI with a certificate for `localhost` from a CA of its own: its URL and the CA in PEM.
async fn private_cloud() -> (String, String) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();

    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let server = Server::new(|_| Answer::json(200, json!({"id": crate::cloud::id(1), "login": "acme"})));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(socket).await {
                server.serve(stream);
            }
        }
    });
    (url, ca.pem())
}

async fn get_account(url: &str, tls: TlsSettings) -> Result<(), Error> {
    let client =
        Client::builder(url.parse().unwrap(), "acme", Arc::new(TestSignature)).tls(tls).build().unwrap();
    client.with_deadline(Duration::from_secs(5)).get_account().await.map(drop)
}

#[tokio::test]
async fn a_private_cloud_is_trusted_by_its_ca_or_when_told_to_be_insecure() {
    let (url, ca) = private_cloud().await;

    let error = get_account(&url, TlsSettings::default()).await.expect_err("an unknown CA");
    assert_eq!((error.kind(), error.may_have_taken_effect()), (Kind::Unreachable, false));
    assert!(error.to_string().contains("TLS settings"), "{error}");

    let ca = Tls { insecure: false, ca: Some(CaSource::Pem(ca)) }.ca_certificates().unwrap();
    get_account(&url, TlsSettings { ca, ..TlsSettings::default() }).await.expect("the CA is trusted");
    get_account(&url, TlsSettings { insecure: true, ..TlsSettings::default() }).await.expect("anything goes");

    // Another private cloud's CA vouches for nothing here.
    let (_, other) = private_cloud().await;
    let ca = Tls { insecure: false, ca: Some(CaSource::Pem(other)) }.ca_certificates().unwrap();
    let error =
        get_account(&url, TlsSettings { ca, ..TlsSettings::default() }).await.expect_err("a foreign CA");
    assert_eq!(error.kind(), Kind::Unreachable);
}
