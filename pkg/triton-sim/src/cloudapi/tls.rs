//! The server's certificate: a given one, or one made on the spot.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Which certificate CloudAPI serves TLS with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// One that is made at the start and signs itself, as private clouds have it: clients have to be told to
    /// accept it (reference 1.11).
    SelfSigned,
    /// One from files.
    Files {
        /// The certificate chain, PEM, the server's own first.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("cannot use the TLS file {}: give PEM files to --tls-certificate and --tls-key", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate file has no certificate.
    #[error("{} has no certificate: give a PEM file to --tls-certificate", .0.display())]
    NoCertificate(PathBuf),
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// The certificate and the key cannot be used together.
    #[error("cannot use the TLS certificate: give the key that belongs to it")]
    Use(#[source] rustls::Error),
}

/// Reads or makes the certificate. `address` is put into one that is made.
pub(crate) fn acceptor(tls: &Tls, address: IpAddr) -> Result<TlsAcceptor, TlsError> {
    let (chain, key) = match tls {
        Tls::SelfSigned => self_signed(address)?,
        Tls::Files { certificate, key } => from_files(certificate, key)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Use)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn self_signed(address: IpAddr) -> Result<Chain, TlsError> {
    let names = ["localhost".to_owned(), address.to_string(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(TlsError::Make)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((vec![made.cert.der().clone()], key))
}

fn from_files(certificate: &PathBuf, key: &PathBuf) -> Result<Chain, TlsError> {
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_or_read_from_files() {
        let address = IpAddr::from([127, 0, 0, 1]);
        assert!(acceptor(&Tls::SelfSigned, address).is_ok());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let directory = tempfile::tempdir().expect("a directory");
        let [certificate, key, empty] =
            ["cert.pem", "key.pem", "empty"].map(|name| directory.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        std::fs::write(&empty, "").expect("written");
        let files = |certificate: &PathBuf, key: &PathBuf| {
            acceptor(&Tls::Files { certificate: certificate.clone(), key: key.clone() }, address).map(drop)
        };
        files(&certificate, &key).expect("usable");
        assert!(matches!(files(&empty, &key), Err(TlsError::NoCertificate(_))));
        assert!(matches!(files(&certificate, &empty), Err(TlsError::File { path, .. }) if path == empty));
        let missing = directory.path().join("missing");
        assert!(matches!(files(&missing, &key), Err(TlsError::File { path, .. }) if path == missing));
    }
}
