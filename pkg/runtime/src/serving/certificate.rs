//! The certificate that a server shows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::client_certificate::AnyClient;
use crate::exit::one_line;

/// How often files are looked at again, as in Kubernetes' own servers.
const REREAD: Duration = Duration::from_secs(60);

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files in PEM, which may be replaced while the server runs.
    Files {
        /// The server's certificate, and those between it and the authority.
        certificate: PathBuf,
        /// Its private key, not encrypted.
        key: PathBuf,
    },
    /// Made in memory and signed by itself, for clients that do not check it.
    SelfSigned {
        /// The host names and addresses that it is for.
        names: Vec<String>,
    },
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MinimumVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {file}; check --tls-cert-file and --tls-private-key-file")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{file} holds no {what} in PEM; check --tls-cert-file and --tls-private-key-file")]
    Pem {
        /// The file.
        file: String,
        /// What it should hold.
        what: &'static str,
        /// What is wrong, unless there is just nothing in it.
        source: Option<pem::Error>,
    },
    /// The two do not belong together, or the key is of an unknown kind.
    #[error(
        "{certificate} and {key} cannot be used together; give a certificate with its own RSA, ECDSA or Ed25519 key"
    )]
    Pair {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// Why.
        source: rustls::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate for {}; give one with --tls-cert-file and --tls-private-key-file", names.join(", "))]
    Make {
        /// The names that it was to be for.
        names: Vec<String>,
        /// Why.
        source: rcgen::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Assemble(#[source] rustls::Error),
}

/// What a server shows now. Its TLS asks for it at every handshake.
pub struct ServingCertificate {
    source: CertificateSource,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServingCertificate {
    /// Reads or makes a certificate. Reads files in place: call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], which names the file.
    pub fn load(source: CertificateSource) -> Result<Arc<Self>, CertificateError> {
        let current = match &source {
            CertificateSource::Files { certificate, key } => read(certificate, key)?,
            CertificateSource::SelfSigned { names } => make(names)?,
        };
        Ok(Arc::new(Self { source, current: RwLock::new(Arc::new(current)) }))
    }

    /// The TLS of a server that shows this certificate and speaks HTTP/1.1.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Assemble`]
    pub fn config(self: &Arc<Self>, minimum: MinimumVersion) -> Result<Arc<ServerConfig>, CertificateError> {
        let versions: &[&SupportedProtocolVersion] = match minimum {
            MinimumVersion::Tls12 => &[&version::TLS13, &version::TLS12],
            MinimumVersion::Tls13 => &[&version::TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .map_err(CertificateError::Assemble)?
            .with_client_cert_verifier(Arc::new(AnyClient::new()))
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Reads the files again. What cannot be used changes nothing. Says whether there is another certificate now.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], which names the file.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let CertificateSource::Files { certificate, key } = &self.source else { return Ok(false) };
        let next = read(certificate, key)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.cert != next.cert;
        *current = Arc::new(next);
        Ok(changed)
    }

    /// Reads the files again once a minute, for ever.
    pub async fn follow(self: Arc<Self>) {
        if matches!(self.source, CertificateSource::SelfSigned { .. }) {
            return;
        }
        let mut said = None;
        loop {
            tokio::time::sleep(REREAD).await;
            let certificate = Arc::clone(&self);
            // A panic or the end of the runtime; either ends this as well.
            let Ok(reloaded) = tokio::task::spawn_blocking(move || certificate.reload()).await else {
                return;
            };
            let error = match reloaded {
                Ok(changed) => {
                    if changed {
                        tracing::info!("the serving certificate was renewed");
                    }
                    None
                }
                Err(error) => Some(one_line(&error)),
            };
            if error != said
                && let Some(error) = &error
            {
                tracing::warn!(%error, "the old serving certificate is kept");
            }
            said = error;
        }
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl std::fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingCertificate").field("source", &self.source).finish_non_exhaustive()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let text = |path: &Path| {
        std::fs::read(path)
            .map_err(|source| CertificateError::Read { file: path.display().to_string(), source })
    };
    let no_certificate = |source| CertificateError::Pem {
        file: certificate.display().to_string(),
        what: "certificate",
        source,
    };
    let chain = CertificateDer::pem_slice_iter(&text(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| no_certificate(Some(source)))?;
    if chain.is_empty() {
        return Err(no_certificate(None));
    }
    let private = PrivateKeyDer::from_pem_slice(&text(key)?).map_err(|source| CertificateError::Pem {
        file: key.display().to_string(),
        what: "private key",
        // Nothing of what is in the file.
        source: Some(source),
    })?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|source| {
        CertificateError::Pair {
            certificate: certificate.display().to_string(),
            key: key.display().to_string(),
            source,
        }
    })
}

fn make(names: &[String]) -> Result<CertifiedKey, CertificateError> {
    let failed = |source| CertificateError::Make { names: names.to_vec(), source };
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // It lives as long as the process, so its validity is not bounded: rcgen's own default.
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let private = PrivateKeyDer::try_from(key.serialize_der());
    let private =
        private.map_err(|why| CertificateError::Assemble(rustls::Error::General(why.to_owned())))?;
    CertifiedKey::from_der(vec![certificate.der().clone()], private, &ring::default_provider())
        .map_err(CertificateError::Assemble)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a certificate and a key in PEM.
    fn write(folder: &Path, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
        let paths = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&paths.0, certificate).unwrap();
        std::fs::write(&paths.1, key).unwrap();
        paths
    }

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn shown(certificate: &ServingCertificate) -> Vec<u8> {
        certificate.current.read().unwrap().cert[0].to_vec()
    }

    #[test]
    fn files_are_read_again_and_what_cannot_be_used_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (pair("a.example"), pair("b.example"));
        let (certificate, key) = write(folder.path(), &old.0, &old.1);
        let serving = ServingCertificate::load(CertificateSource::Files { certificate, key }).unwrap();
        let first = shown(&serving);
        assert!(!serving.reload().unwrap());

        write(folder.path(), &new.0, &old.1);
        assert!(one_line(&serving.reload().unwrap_err()).contains("cannot be used together"));
        write(folder.path(), "nothing", &new.1);
        assert!(one_line(&serving.reload().unwrap_err()).contains("tls.crt holds no certificate"));
        write(folder.path(), &new.0, "hunter2");
        let error = one_line(&serving.reload().unwrap_err());
        assert!(error.contains("tls.key holds no private key") && !error.contains("hunter2"), "{error}");
        assert_eq!(shown(&serving), first);

        write(folder.path(), &new.0, &new.1);
        assert!(serving.reload().unwrap());
        assert_ne!(shown(&serving), first);
    }

    #[test]
    fn a_missing_file_is_named() {
        let source = CertificateSource::Files { certificate: "/nowhere/a".into(), key: "/nowhere/b".into() };
        let error = one_line(&ServingCertificate::load(source).unwrap_err());
        assert!(error.contains("/nowhere/a") && error.contains("--tls-cert-file"), "{error}");
    }

    #[test]
    fn one_is_made_for_names_and_addresses() {
        let names = vec!["host-1".to_owned(), "10.0.0.1".to_owned(), "::1".to_owned()];
        let serving = ServingCertificate::load(CertificateSource::SelfSigned { names }).unwrap();
        assert!(!serving.reload().unwrap());
        serving.config(MinimumVersion::Tls13).unwrap();
    }
}
