//! What can be wrong with settings.

use std::path::PathBuf;

use rustls_pki_types::pem;

use super::EndpointError;
use crate::auth::signature::KeyIdError;
use crate::auth::{AuthError, ParseFingerprintError};

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
        "cannot look for the profile {name:?}: set HOME, or configure by TRITON_URL, TRITON_ACCOUNT and \
         TRITON_KEY_ID"
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
    /// The key that the settings name cannot be found or used.
    #[error(transparent)]
    Key(#[from] AuthError),
}
