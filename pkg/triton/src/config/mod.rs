//! Where the data centre is, whose account is used, and with which key (Triton reference 1.9 and 1.10).
//!
//! [`Config`] is a plain struct that a program may fill in itself, or have [`Config::load`] fill in from
//! environment variables and the official client's profile files. [`Config::authenticator`] finds the key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::signature::KeyIdError;
use crate::auth::{
    AgentError, AgentKey, AuthError, Fingerprint, Found, ParseFingerprintError, PrivateKey, Signer,
    SshSignature, find_in_directory, listed,
};

mod endpoint;
mod environment;
mod load;
mod profile;

pub use endpoint::{Endpoint, EndpointError};
pub use environment::Environment;
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

/// Settings that cannot be used, each with the place to correct.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Settings that must be there are not, in the environment.
    #[error("settings are missing: set {}", variables.join(", "))]
    MissingVariables {
        /// The variables, all of them.
        variables: Vec<&'static str>,
    },
    /// Settings that must be there are not, in a profile.
    #[error("{}: settings are missing: add {}", path.display(), keys.join(", "))]
    MissingKeys {
        /// The profile's file.
        path: PathBuf,
        /// The keys, all of them.
        keys: Vec<&'static str>,
    },
    /// The endpoint is no URL of a CloudAPI.
    #[error("{origin} is not the address of a CloudAPI")]
    Url {
        /// The variable, or file and key.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: EndpointError,
    },
    /// The key's fingerprint is malformed.
    #[error("{origin} is not a key fingerprint")]
    KeyId {
        /// The variable, or file and key.
        origin: String,
        /// What a fingerprint looks like.
        #[source]
        source: ParseFingerprintError,
    },
    /// An account or user that has characters which no login name has.
    #[error("{origin} is not a login name")]
    Login {
        /// The variables, or the file.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: KeyIdError,
    },
    /// A variable that must be a boolean is not.
    #[error("{variable} must be true, false, 1 or 0")]
    Boolean {
        /// The variable.
        variable: &'static str,
    },
    /// A profile name that is no plain file name.
    #[error("{name:?} cannot be the name of a profile: give the name of a file in profiles.d, without .json")]
    ProfileName {
        /// The name.
        name: String,
    },
    /// A profile was asked for, and there is no directory to look in.
    #[error(
        "cannot look for the profile {name:?}: set HOME, or configure by TRITON_URL, TRITON_ACCOUNT and TRITON_KEY_ID"
    )]
    NoDirectory {
        /// The name.
        name: String,
    },
    /// There is no such profile.
    #[error("there is no profile {name:?}: no file {}", path.display())]
    NoSuchProfile {
        /// The name.
        name: String,
        /// The file that would hold it.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than settings can be.
    #[error("{} is larger than {limit} bytes: it is not a file of settings", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// A file is not JSON.
    #[error("{}, line {line}: it is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
    /// A file holds JSON that is not an object.
    #[error("{}: it must hold a JSON object", path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
    },
    /// A key that no profile has.
    #[error("{}: unknown key {key:?}: a profile has {known}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The keys that there are.
        known: String,
    },
    /// A profile that names itself.
    #[error("{}: remove the key \"name\": a profile has the name of its file", path.display())]
    NameKey {
        /// The file.
        path: PathBuf,
    },
    /// A key with a value of another type.
    #[error("{}: the key \"{key}\" must be {expected}", path.display())]
    KeyType {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The certificates to trust cannot be read.
    #[error("{origin} is not a file of certificates: give one with -----BEGIN CERTIFICATE----- in it")]
    Certificates {
        /// The file, or a name for the text.
        origin: String,
        /// What is wrong with it, unless it has no certificate at all.
        #[source]
        source: Option<pem::Error>,
    },
}

impl Config {
    /// The account in the paths of requests: the one acted in, else the one whose key signs (Triton
    /// reference 1.2).
    #[must_use]
    pub fn account_path(&self) -> &str {
        self.act_as.as_deref().unwrap_or(&self.account)
    }

    /// Finds the key and returns what signs requests with it.
    ///
    /// A key that is given is used, and must have [`Config::key_id`] if that is given, too. Otherwise the
    /// key with that fingerprint is looked for in the agent, then among the files of the directory, where
    /// only the file that matches is decrypted (Triton reference 1.10).
    ///
    /// # Errors
    ///
    /// [`AuthError`], which says what to do.
    pub async fn authenticator(&self) -> Result<SshSignature, AuthError> {
        let signer = match &self.key {
            KeySource::Pem(pem) => {
                let pem = pem.clone();
                let load = move |passphrase: Option<&SecretString>| {
                    PrivateKey::from_pem(pem.expose_secret(), passphrase)
                };
                self.given_key("given as text (TRITON_KEY_MATERIAL)".to_owned(), load)
                    .await?
            }
            KeySource::File(path) => {
                let origin = path.display().to_string();
                let path = path.clone();
                self.given_key(origin, move |passphrase| PrivateKey::load(&path, passphrase))
                    .await?
            }
            KeySource::Search { agent, directory } => {
                self.search(agent.as_deref(), directory.as_deref()).await?
            }
        };
        SshSignature::new(&self.account, self.user.as_deref(), signer).map_err(AuthError::KeyId)
    }

    async fn given_key(
        &self,
        origin: String,
        load: impl FnOnce(Option<&SecretString>) -> Result<PrivateKey, crate::auth::KeyError> + Send + 'static,
    ) -> Result<Signer, AuthError> {
        let passphrase = self.passphrase.clone();
        let key = match blocking(move || load(passphrase.as_ref())).await? {
            Ok(key) => key,
            Err(source) => return Err(AuthError::Key { origin, source }),
        };
        match self.key_id {
            Some(wanted) if !wanted.matches(key.public_key()) => {
                Err(AuthError::mismatch(origin, wanted, key.public_key()))
            }
            _ => Ok(Signer::Key(Arc::new(key))),
        }
    }

    async fn search(&self, agent: Option<&Path>, directory: Option<&Path>) -> Result<Signer, AuthError> {
        let Some(wanted) = self.key_id else {
            return Err(AuthError::NoKeyConfigured);
        };
        let mut looked = Vec::new();
        let mut agent_error = None;
        match agent {
            None => looked.push("no ssh-agent: SSH_AUTH_SOCK is not set".to_owned()),
            Some(socket) => match AgentKey::find(socket, &wanted).await {
                Ok(key) => return Ok(Signer::Agent(key)),
                // The key is there: any other copy of it would be no better.
                Err(error @ AgentError::Unsupported { .. }) => return Err(AuthError::Agent(error)),
                Err(AgentError::NoSuchKey { socket, held, .. }) => {
                    looked.push(format!(
                        "the ssh-agent at {} holds {}",
                        socket.display(),
                        listed(&held)
                    ));
                }
                Err(error) => {
                    looked.push(format!(
                        "the ssh-agent at {} could not be asked",
                        socket.display()
                    ));
                    agent_error = Some(Box::new(error));
                }
            },
        }
        match directory {
            None => looked.push("no directory of keys: HOME is not set".to_owned()),
            Some(directory) => {
                let (directory, passphrase) = (directory.to_owned(), self.passphrase.clone());
                match blocking(move || find_in_directory(&directory, &wanted, passphrase.as_ref())).await?? {
                    Found::Key(key) => return Ok(Signer::Key(Arc::from(key))),
                    Found::Nothing(why) => looked.push(why),
                }
            }
        }
        Err(AuthError::NotFound {
            wanted,
            looked,
            agent: agent_error,
        })
    }
}

/// Runs what reads files and decrypts keys where it holds up no other task.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| AuthError::Interrupted)
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
                let missing = || ConfigError::Read {
                    path: path.clone(),
                    source: std::io::ErrorKind::NotFound.into(),
                };
                (
                    path.display().to_string(),
                    profile::read_file(path)?.ok_or_else(missing)?,
                )
            }
        };
        match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if certificates.is_empty() => {
                Err(ConfigError::Certificates { origin, source: None })
            }
            Ok(certificates) => Ok(certificates),
            Err(source) => Err(ConfigError::Certificates {
                origin,
                source: Some(source),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
