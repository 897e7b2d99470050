//! CMON's side of TLS: its own certificate, and asking for the client's.
//!
//! Any client certificate is taken, or none: whose it is, and whether that is enough, is a question for each
//! request, because its answer is an HTTP status. TLS makes sure that the client has the certificate's key.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use super::CmonError;

/// What a server needs, and what its clients need to trust it.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) ca_pem: String,
}

/// Makes a certificate for `host` and the hosts below it, and the authority that issued it.
pub(super) fn new(host: &str) -> Result<Tls, CmonError> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.distinguished_name.push(DnType::CommonName, "triton-sim CMON");
    let certificate = |source| CmonError::Certificate { host: host.to_owned(), source };
    let ca =
        KeyPair::generate().and_then(|key| CertifiedIssuer::self_signed(ca, key)).map_err(certificate)?;
    let key = KeyPair::generate().map_err(certificate)?;
    let mut parameters =
        CertificateParams::new([host.to_owned(), format!("*.{host}")]).map_err(certificate)?;
    parameters.distinguished_name.push(DnType::CommonName, host);
    let leaf = parameters.signed_by(&key, &ca).map_err(certificate)?;

    let provider = Arc::new(ring::default_provider());
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| CmonError::Key)?;
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(CmonError::Tls)?
        .with_client_cert_verifier(Arc::new(AnyClient(provider)))
        .with_single_cert(vec![leaf.der().clone()], private)
        .map_err(CmonError::Tls)?;
    Ok(Tls { config: Arc::new(config), ca_pem: ca.pem() })
}

/// Takes every client that has the key of its certificate, and those without a certificate.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
