//! TLS settings: the system's roots, a CA of one's own, a client certificate, or no verification at all.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// How the server proves who it is, and how we do.
#[derive(Clone, Default)]
pub struct TlsSettings {
    /// Accepts any certificate. Private clouds often run CloudAPI with a self-signed one (reference 1.11);
    /// naming its CA is better.
    pub insecure: bool,
    /// Certificates to trust besides the system's.
    pub ca: Vec<CertificateDer<'static>>,
    /// A client certificate, as CMON asks for (reference 4.2).
    pub client_identity: Option<ClientIdentity>,
}

/// A client certificate with its key. `Debug` shows neither.
#[derive(Clone)]
pub struct ClientIdentity {
    /// PEM certificates, the client's own first.
    pub certificate_pem: String,
    /// PEM private key.
    pub key_pem: secrecy::SecretString,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings")
            .field("insecure", &self.insecure)
            .field("own_ca", &!self.ca.is_empty())
            .field("client_identity", &self.client_identity.is_some())
            .finish()
    }
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}

/// Why the TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate of the CA is not one that can be trusted.
    #[error("the CA certificate cannot be used as a trust anchor; give the certificate of the issuing CA")]
    TrustCa(#[source] rustls::Error),
    /// The client certificate or its key is not usable PEM.
    #[error("the client certificate or its key is not readable PEM")]
    ReadIdentity(#[source] Option<rustls::pki_types::pem::Error>),
    /// Certificate and key do not belong together, or the settings contradict each other.
    #[error("the TLS settings do not fit together")]
    Assemble(#[source] rustls::Error),
}

impl TlsSettings {
    /// Builds the settings for rustls, with ring as the one crypto provider.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Assemble)?;
        let verified = if self.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let Some(identity) = &self.client_identity else {
            return Ok(verified.with_no_client_auth());
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::ReadIdentity(Some(error)))?;
        if chain.is_empty() {
            return Err(TlsError::ReadIdentity(None));
        }
        let key_pem = secrecy::ExposeSecret::expose_secret(&identity.key_pem);
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| TlsError::ReadIdentity(Some(error)))?;
        verified.with_client_auth_cert(chain, key).map_err(TlsError::Assemble)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        // A system without certificates can still use its own CA, and plain HTTP needs none.
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        for certificate in &self.ca {
            roots.add(certificate.clone()).map_err(TlsError::TrustCa)?;
        }
        Ok(roots)
    }
}

/// Accepts every server certificate; signatures of the handshake are still checked.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
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
