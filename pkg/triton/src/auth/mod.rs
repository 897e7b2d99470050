//! Signing requests: keys, fingerprints, ssh-agent, and the HTTP Signature scheme (Triton reference 1).
//!
//! A client asks an [`Authenticate`] for the `Authorization` header of each request. The one there is
//! today, [`SshSignature`], signs with an SSH key of the account or of one of its sub-users; the key is
//! in a file ([`PrivateKey`]) or in an ssh-agent ([`AgentKey`]). [`crate::config::Config`] builds one
//! from the user's settings. The server's side, for simulators, is [`signature::Authorization`] and
//! [`signature::verify`].

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::HeaderValue;

mod agent;
mod encrypted_pkcs8;
mod fingerprint;
mod key;
mod key_file;
mod legacy_pem;
mod pem;
mod public_key;
mod replaceable;
mod search;
pub mod signature;

pub(crate) use agent::listed;
pub use agent::{AGENT_DEADLINE, AgentError, AgentKey, list as list_agent_keys};
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use key::{KeyError, PrivateKey};
pub use key_file::load_ssh_key;
pub(crate) use key_file::read_text as read_key_file;
pub use public_key::{KeyKind, ParsePublicKeyError, PublicKey, UnsupportedKey};
pub use replaceable::Replaceable;
pub(crate) use search::{Found, find_in_directory};

use signature::{Authorization, KeyId, KeyIdError, SIGNED_HEADERS, Signature, signing_string};

/// What of a request an authenticator may depend on.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// Path and query exactly as sent.
    pub target: &'a str,
    /// The value of the `Date` header.
    pub date: &'a str,
}

impl RequestHead<'_> {
    /// The text that is signed: [`SIGNED_HEADERS`] of this request (Triton reference 1.1).
    #[must_use]
    pub fn signing_string(&self) -> String {
        let names = SIGNED_HEADERS.split(' ');
        // The only header among the names is the date, which is always there.
        signing_string(names, self.method, self.target, |_| Some(self.date)).unwrap_or_default()
    }
}

/// Something that can prove to CloudAPI who sends a request.
pub trait Authenticate: Send + Sync + fmt::Debug {
    /// The value of the `Authorization` header for one request.
    ///
    /// # Errors
    ///
    /// The future gives [`AuthError`] when no header can be made, such as when the agent is gone.
    fn authorization<'a>(&'a self, head: RequestHead<'a>) -> BoxFuture<'a, Result<HeaderValue, AuthError>>;
}

/// Why requests cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The private key is unusable.
    #[error("cannot use the private key {origin}")]
    Key {
        /// Where it comes from: a path, or the name of a setting.
        origin: String,
        /// Why, and what to do.
        #[source]
        source: KeyError,
    },
    /// The key given is not the one configured.
    #[error(
        "the private key {origin} has the fingerprint {found}, but {wanted} is configured: give the key that \
         belongs to the fingerprint, or correct the fingerprint"
    )]
    Mismatch {
        /// Where it comes from: a path, or the name of a setting.
        origin: String,
        /// The fingerprint in the configuration.
        wanted: Fingerprint,
        /// The fingerprint of the key, of the same kind.
        found: Fingerprint,
    },
    /// No private key was given, and the fingerprint to look for was not either.
    #[error("no key is configured: set TRITON_KEY_ID to the fingerprint of a key of the account")]
    NoKeyConfigured,
    /// The key is nowhere.
    #[error(
        "no private key with the fingerprint {wanted} was found ({}): add the key with ssh-add, or set \
         TRITON_KEY_MATERIAL to its path",
        looked.join("; ")
    )]
    NotFound {
        /// The fingerprint in the configuration.
        wanted: Fingerprint,
        /// Where it was looked for, and what was there.
        looked: Vec<String>,
        /// What kept the agent from being asked, if there is one.
        #[source]
        agent: Option<Box<AgentError>>,
    },
    /// The agent did not sign.
    #[error("cannot sign with the ssh-agent")]
    Agent(#[source] AgentError),
    /// The account or user cannot be named to CloudAPI.
    #[error("cannot name the key to CloudAPI")]
    KeyId(#[source] KeyIdError),
    /// The key could not sign.
    #[error("cannot sign the request")]
    Sign(#[source] KeyError),
    /// The header could not be made.
    #[error("the Authorization header cannot be sent")]
    Header(#[source] http::header::InvalidHeaderValue),
    /// Reading the key was interrupted.
    #[error("reading the private key was interrupted")]
    Interrupted,
}

impl AuthError {
    /// `key` is not the one with the fingerprint `wanted`; the message compares like with like.
    pub(crate) fn mismatch(origin: String, wanted: Fingerprint, key: &PublicKey) -> Self {
        let found = match wanted {
            Fingerprint::Md5(_) => Fingerprint::md5_of(key.wire()),
            Fingerprint::Sha256(_) => Fingerprint::sha256_of(key.wire()),
        };
        Self::Mismatch { origin, wanted, found }
    }
}

/// Who computes signatures: a private key in memory, or an agent that has one.
#[derive(Clone, Debug)]
pub enum Signer {
    /// A key that was read from a file or a setting.
    Key(Arc<PrivateKey>),
    /// A key in an ssh-agent.
    Agent(AgentKey),
}

impl Signer {
    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => key.public_key(),
            Self::Agent(key) => key.public_key(),
        }
    }

    /// Signs a message.
    ///
    /// # Errors
    ///
    /// [`AuthError::Sign`] or [`AuthError::Agent`].
    pub async fn sign(&self, message: &[u8]) -> Result<Signature, AuthError> {
        match self {
            Self::Key(key) => key.sign(message).map_err(AuthError::Sign),
            Self::Agent(key) => key.sign(message).await.map_err(AuthError::Agent),
        }
    }
}

/// Authentication by HTTP signatures with an SSH key (Triton reference 1.1).
///
/// It signs method, path with query, and date. Headers are marked sensitive, so that they are not logged.
#[derive(Clone, Debug)]
pub struct SshSignature {
    key_id: KeyId,
    signer: Signer,
}

impl SshSignature {
    /// Signs as `account`, or as its sub-user `user` (Triton reference 1.2).
    ///
    /// # Errors
    ///
    /// [`KeyIdError`] when a login name has characters that none has.
    pub fn new(account: &str, user: Option<&str>, signer: Signer) -> Result<Self, KeyIdError> {
        let key_id = KeyId::new(account, user, signer.public_key().fingerprint())?;
        Ok(Self { key_id, signer })
    }

    /// How the key is named to CloudAPI.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// What signs.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The header without waiting, for a key in memory; `None` when the key is in an agent.
    ///
    /// # Errors
    ///
    /// As [`Authenticate::authorization`].
    pub fn authorization_now(&self, head: &RequestHead<'_>) -> Option<Result<HeaderValue, AuthError>> {
        let Signer::Key(key) = &self.signer else {
            return None;
        };
        let signature = key.sign(head.signing_string().as_bytes()).map_err(AuthError::Sign);
        Some(signature.and_then(|signature| self.header(signature)))
    }

    fn header(&self, signature: Signature) -> Result<HeaderValue, AuthError> {
        let text = Authorization::new(&self.key_id, signature).to_string();
        let mut value = HeaderValue::try_from(text).map_err(AuthError::Header)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Authenticate for SshSignature {
    fn authorization<'a>(&'a self, head: RequestHead<'a>) -> BoxFuture<'a, Result<HeaderValue, AuthError>> {
        Box::pin(async move {
            let signature = self.signer.sign(head.signing_string().as_bytes()).await?;
            self.header(signature)
        })
    }
}
