//! Where the data centre is, whose account is used, and with which key (Triton reference 1.9 and 1.10).
//!
//! [`Config`] is a plain struct that a program may fill in itself, or have [`Config::load`] fill in from
//! environment variables and the official client's profile files. [`Config::authenticator`] finds the key.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::SecretString;

use crate::auth::Fingerprint;

mod authenticator;
mod endpoint;
mod environment;
mod error;
mod load;
mod profile;

pub use endpoint::{Endpoint, EndpointError};
pub use environment::Environment;
pub use error::ConfigError;
pub use profile::ENVIRONMENT_PROFILE;

/// Everything needed to call one CloudAPI as one account.
///
/// `Debug` shows no key material and no passphrase.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data centre's CloudAPI.
    pub url: Endpoint,
    /// Login name of the account whose key signs.
    pub account: String,
    /// Login name of a sub-user of the account, if the key is a sub-user's.
    pub user: Option<String>,
    /// Roles to take up in every request (`as-role`); none means the user's default roles.
    pub roles: Vec<String>,
    /// Login name of another account to act in, for operators and members of its roles.
    pub act_as: Option<String>,
    /// Fingerprint of the key. It may be left out when the key itself is given.
    pub key_id: Option<Fingerprint>,
    /// Where the key is.
    pub key: KeySource,
    /// Opens an encrypted key.
    pub passphrase: Option<SecretString>,
    /// How the server is told from an impostor.
    pub tls: Tls,
}

/// Where the private key is.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The text of a key file.
    Pem(SecretString),
    /// A key file.
    File(PathBuf),
    /// Wherever [`Config::key_id`] is found: first in the agent, then among the files of a directory.
    Search {
        /// The socket of an ssh-agent, which `SSH_AUTH_SOCK` names.
        agent: Option<PathBuf>,
        /// A directory of key files, which usually is `~/.ssh`.
        directory: Option<PathBuf>,
    },
}

/// How the server is told from an impostor (Triton reference 1.11).
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Accept any certificate. Private clouds with self-signed ones do better with `ca`.
    pub insecure: bool,
    /// Certificates to trust, in addition to those the system trusts.
    pub ca: Option<CaSource>,
}

/// Where certificates to trust are.
#[derive(Clone, Debug)]
pub enum CaSource {
    /// PEM text.
    Pem(String),
    /// A PEM file.
    File(PathBuf),
}

impl Config {
    /// The account in the paths of requests: the one acted in, else the one whose key signs (Triton
    /// reference 1.2).
    #[must_use]
    pub fn account_path(&self) -> &str {
        self.act_as.as_deref().unwrap_or(&self.account)
    }
}

impl Tls {
    /// The certificates to trust in addition to the system's; none unless `ca` is given.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`], [`ConfigError::TooLarge`], or [`ConfigError::Certificates`] when there is no
    /// certificate in it.
    pub fn ca_certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let (origin, text) = match &self.ca {
            None => return Ok(Vec::new()),
            Some(CaSource::Pem(text)) => ("the CA text".to_owned(), text.clone().into_bytes()),
            Some(CaSource::File(path)) => {
                let missing =
                    || ConfigError::Read { path: path.clone(), source: std::io::ErrorKind::NotFound.into() };
                (path.display().to_string(), profile::read_file(path)?.ok_or_else(missing)?)
            }
        };
        match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if certificates.is_empty() => {
                Err(ConfigError::Certificates { origin, source: None })
            }
            Ok(certificates) => Ok(certificates),
            Err(source) => Err(ConfigError::Certificates { origin, source: Some(source) }),
        }
    }
}

#[cfg(test)]
mod tests;
