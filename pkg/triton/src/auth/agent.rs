//! Keys held by an ssh-agent.
//!
//! The private key never leaves the agent: it is asked for each signature, over a connection of its own,
//! so that an agent that restarts or hangs spoils one signature and not all later ones.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use der::Encode as _;
use der::asn1::UintRef;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Decode as _;
use russh::keys::ssh_key::{self, HashAlg, Mpint};
use tokio::net::UnixStream;

use super::signature::{Algorithm, Signature};
use super::{Fingerprint, PublicKey, UnsupportedKey};

/// How long an agent may take for one exchange, from connecting to its whole answer. Replies are
/// bounded, too: russh reads no more than 256 KiB.
pub const AGENT_DEADLINE: Duration = Duration::from_secs(10);

/// A key in an ssh-agent.
#[derive(Clone, Debug)]
pub struct AgentKey {
    socket: PathBuf,
    public: PublicKey,
    algorithm: Algorithm,
}

/// Why an agent gave no key or no signature, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nothing answers at the socket.
    #[error("no ssh-agent answers at {}: start one, or correct SSH_AUTH_SOCK", socket.display())]
    Connect {
        /// The agent's socket.
        socket: PathBuf,
        /// What happened instead.
        #[source]
        source: io::Error,
    },
    /// The agent took too long.
    #[error("the ssh-agent at {} did not answer within {} s", socket.display(), AGENT_DEADLINE.as_secs())]
    Deadline {
        /// The agent's socket.
        socket: PathBuf,
    },
    /// The connection ended before the answer.
    #[error(
        "the ssh-agent at {} closed the connection without an answer: it may have been stopped",
        socket.display()
    )]
    Closed {
        /// The agent's socket.
        socket: PathBuf,
        /// How it ended.
        #[source]
        source: io::Error,
    },
    /// The agent answered nonsense.
    #[error("the ssh-agent at {} gave an answer that cannot be understood", socket.display())]
    Protocol {
        /// The agent's socket.
        socket: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The agent has other keys, or none.
    #[error(
        "the ssh-agent at {} does not hold the key {wanted}; it holds {}: add the key with ssh-add, or \
         correct the fingerprint",
        socket.display(), listed(held)
    )]
    NoSuchKey {
        /// The agent's socket.
        socket: PathBuf,
        /// The fingerprint that was looked for.
        wanted: Fingerprint,
        /// The MD5 fingerprints of the keys it holds.
        held: Vec<Fingerprint>,
    },
    /// The agent has the key and would not sign with it.
    #[error(
        "the ssh-agent at {} refused to sign with the key {key}: it may be locked, or no longer hold the \
         key, or have asked for a confirmation that was not given",
        socket.display()
    )]
    Refused {
        /// The agent's socket.
        socket: PathBuf,
        /// The MD5 fingerprint of the key.
        key: Fingerprint,
    },
    /// The agent has the key, but CloudAPI would not take its signatures.
    #[error("the key {key} in the ssh-agent cannot be used")]
    Unsupported {
        /// The MD5 fingerprint of the key.
        key: Fingerprint,
        /// Why.
        #[source]
        source: UnsupportedKey,
    },
}

/// "no keys", "1 key (…)", "3 keys (…, …, …)".
pub(crate) fn listed(held: &[Fingerprint]) -> String {
    let fingerprints: Vec<String> = held.iter().map(ToString::to_string).collect();
    match held.len() {
        0 => "no keys".to_owned(),
        1 => format!("1 key ({})", fingerprints.concat()),
        count => format!("{count} keys ({})", fingerprints.join(", ")),
    }
}

impl AgentKey {
    /// Finds a key by its fingerprint. `socket` is what `SSH_AUTH_SOCK` names.
    ///
    /// # Errors
    ///
    /// [`AgentError`], which says what to do.
    pub async fn find(socket: &Path, fingerprint: &Fingerprint) -> Result<Self, AgentError> {
        let held = list(socket).await?;
        let Some(public) = held.iter().find(|key| fingerprint.matches(key)).cloned() else {
            return Err(AgentError::NoSuchKey {
                socket: socket.to_owned(),
                wanted: *fingerprint,
                held: held.iter().map(PublicKey::fingerprint).collect(),
            });
        };
        let unsupported = |source| AgentError::Unsupported { key: public.fingerprint(), source };
        let algorithm = public.signing_algorithm().map_err(unsupported)?;
        Ok(Self { socket: socket.to_owned(), public, algorithm })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Has the agent sign a message, in the encoding CloudAPI wants (Triton reference 1.3): RSA with
    /// SHA-256, ECDSA as DER, Ed25519 raw.
    ///
    /// # Errors
    ///
    /// [`AgentError`], which says what to do.
    pub async fn sign(&self, message: &[u8]) -> Result<Signature, AgentError> {
        exchange(&self.socket, async |mut agent| {
            let identity = AgentIdentity::from(ssh_key::PublicKey::new(self.public.data().clone(), ""));
            let reply = agent.sign_request(&identity, Some(HashAlg::Sha256), message.to_vec()).await;
            match reply {
                Ok(reply) => self.decode(message, &reply),
                Err(russh::keys::Error::AgentFailure) => {
                    Err(AgentError::Refused { socket: self.socket.clone(), key: self.public.fingerprint() })
                }
                Err(error) => Err(failed(&self.socket, error)),
            }
        })
        .await
    }

    /// Re-encodes SSH's form of a signature. russh puts it, behind its length, at the end of the message.
    fn decode(&self, message: &[u8], reply: &[u8]) -> Result<Signature, AgentError> {
        let protocol = |source| AgentError::Protocol { socket: self.socket.clone(), source };
        let blob = reply.get(message.len().saturating_add(4)..).unwrap_or_default();
        let signature = ssh_key::Signature::try_from(blob).map_err(|error| protocol(error.into()))?;
        let bytes = match (self.algorithm, signature.algorithm()) {
            (Algorithm::RsaSha256, ssh_key::Algorithm::Rsa { hash: Some(HashAlg::Sha256) })
            | (Algorithm::Ed25519Sha512, ssh_key::Algorithm::Ed25519) => signature.as_bytes().to_vec(),
            (Algorithm::EcdsaSha256 | Algorithm::EcdsaSha512, kind)
                if kind == self.public.data().algorithm() =>
            {
                ecdsa_der(signature.as_bytes()).map_err(protocol)?
            }
            (wanted, given) => {
                return Err(protocol(format!("it made a {given} signature when asked for {wanted}").into()));
            }
        };
        Ok(Signature { algorithm: self.algorithm, bytes })
    }
}

/// The public keys that an agent holds. Certificates are left out: they sign nothing that their plain
/// keys, which agents list too, do not.
///
/// # Errors
///
/// [`AgentError`], which says what to do.
pub async fn list(socket: &Path) -> Result<Vec<PublicKey>, AgentError> {
    exchange(socket, async |mut agent| {
        let identities = agent.request_identities().await.map_err(|error| failed(socket, error))?;
        Ok(identities
            .iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(PublicKey::new(key)),
                AgentIdentity::Certificate { .. } => None,
            })
            .collect())
    })
    .await
}

/// Connects, and runs one exchange, within [`AGENT_DEADLINE`].
async fn exchange<T>(
    socket: &Path,
    talk: impl AsyncFnOnce(AgentClient<UnixStream>) -> Result<T, AgentError>,
) -> Result<T, AgentError> {
    let connect_and_talk = async {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|source| AgentError::Connect { socket: socket.to_owned(), source })?;
        talk(AgentClient::connect(stream)).await
    };
    tokio::time::timeout(AGENT_DEADLINE, connect_and_talk)
        .await
        .unwrap_or_else(|_| Err(AgentError::Deadline { socket: socket.to_owned() }))
}

fn failed(socket: &Path, error: russh::keys::Error) -> AgentError {
    let socket = socket.to_owned();
    match error {
        russh::keys::Error::IO(source) => AgentError::Closed { socket, source },
        error => AgentError::Protocol { socket, source: error.into() },
    }
}

/// SSH's `mpint r, mpint s` as `SEQUENCE { INTEGER r, INTEGER s }`.
fn ecdsa_der(mut mpints: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut integer = || -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mpint = Mpint::decode(&mut mpints)?;
        let bytes = mpint.as_positive_bytes().ok_or("a number in an ECDSA signature is not positive")?;
        Ok(UintRef::new(bytes)?.to_der()?)
    };
    let both = [integer()?, integer()?].concat();
    Ok(der::asn1::AnyRef::new(der::Tag::Sequence, &both)?.to_der()?)
}

#[cfg(test)]
mod tests;
