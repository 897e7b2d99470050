//! Private keys in memory, and the signatures they make.

use std::fmt;
use std::io;
use std::path::Path;

use p521::ecdsa::signature::Signer as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use russh::keys::ssh_key;
use russh::keys::ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::key_file::{self, MAX_KEY_FILE};
use super::signature::Signature;
use super::{PublicKey, UnsupportedKey};

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A private key that can sign requests: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-521, Ed25519.
///
/// RSA, P-256 and Ed25519 signatures are computed by `ring` and P-521 ones by `p521`, all in constant
/// time. `Debug` shows the public half only.
pub struct PrivateKey {
    public: PublicKey,
    signer: Signer,
}

enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    P521(Box<p521::ecdsa::SigningKey>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why a private key cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The file is larger than any key.
    #[error("it is larger than any private key ({MAX_KEY_FILE} bytes): give the private key itself")]
    TooLarge,
    /// Neither a key nor anything like it.
    #[error(
        "it is not a private key: expected a file with a line such as -----BEGIN OPENSSH PRIVATE KEY-----"
    )]
    NotAKey,
    /// The public half was given.
    #[error("it is a public key: give the private one, which is the file without .pub")]
    Public,
    /// A PuTTY file.
    #[error("it is a PuTTY key: convert it with puttygen KEY.ppk -O private-openssh -o KEY")]
    Putty,
    /// The end of the text is missing.
    #[error("it is cut off before its -----END line: restore it from a copy")]
    Truncated,
    /// The text has the form of a key, but does not hold one.
    #[error("it is damaged: restore it from a copy, or make a new key")]
    Damaged {
        /// What could not be decoded.
        #[source]
        source: Option<Cause>,
    },
    /// Encrypted, and there is no passphrase.
    #[error(
        "it is encrypted and no passphrase was given: set TRITON_KEY_PASSPHRASE, or add the key to ssh-agent"
    )]
    MissingPassphrase,
    /// The passphrase does not open it.
    #[error("its passphrase is wrong, or it is damaged")]
    WrongPassphrase {
        /// What could not be decrypted.
        #[source]
        source: Option<Cause>,
    },
    /// Encrypted in a way that is not known here.
    #[error("it is encrypted with {cipher}, which is not supported: re-encrypt it with ssh-keygen -p -f KEY")]
    Cipher {
        /// The cipher or key derivation.
        cipher: String,
    },
    /// CloudAPI would not take its signatures.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedKey),
    /// An RSA key of a size or form that cannot be used.
    #[error(
        "it is an RSA key that cannot be used: take one of 2048 to 4096 bits, or add this one to ssh-agent"
    )]
    Rsa {
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// The private and the public half in the file do not belong together.
    #[error(
        "its private and public halves do not belong together: restore it from a copy, or make a new key"
    )]
    Inconsistent,
    /// The key could not sign.
    #[error("it could not make a signature")]
    Sign,
}

impl KeyError {
    pub(super) fn damaged(source: impl Into<Cause>) -> Self {
        Self::Damaged { source: Some(source.into()) }
    }

    pub(super) fn rsa(source: impl Into<Cause>) -> Self {
        Self::Rsa { source: source.into() }
    }
}

impl PrivateKey {
    /// Reads a key file: OpenSSH, PKCS#1, PKCS#8 or SEC1, any of them encrypted or not. The passphrase is
    /// not looked at when the file is not encrypted.
    ///
    /// This reads and decrypts in place, which takes up to a second for an encrypted key: in an
    /// asynchronous program, call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// [`KeyError`], which says what to do.
    pub fn load(path: &Path, passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        Self::from_pem(&key_file::read(path)?, passphrase)
    }

    /// As [`PrivateKey::load`], from the text of a key file.
    ///
    /// # Errors
    ///
    /// [`KeyError`], which says what to do.
    pub fn from_pem(text: &str, passphrase: Option<&SecretString>) -> Result<Self, KeyError> {
        Self::new(&key_file::decode(text, passphrase)?)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message, in the encoding CloudAPI wants for this type of key (Triton reference 1.3).
    ///
    /// # Errors
    ///
    /// [`KeyError::Sign`] when the key turns out to be inconsistent or the system has no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        let algorithm = self.public.signing_algorithm()?;
        let bytes = match &self.signer {
            Signer::Rsa(key) => {
                let mut bytes = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut bytes)
                    .map_err(|_| KeyError::Sign)?;
                bytes
            }
            Signer::P256(key) => {
                key.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Sign)?.as_ref().to_vec()
            }
            Signer::P521(key) => {
                let signature: p521::ecdsa::Signature = key.try_sign(message).map_err(|_| KeyError::Sign)?;
                signature.to_der().as_bytes().to_vec()
            }
            Signer::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        };
        Ok(Signature { algorithm, bytes })
    }

    fn new(key: &ssh_key::PrivateKey) -> Result<Self, KeyError> {
        let public = PublicKey::new(key.public_key());
        public.signing_algorithm()?;
        let signer = match key.key_data() {
            KeypairData::Rsa(_) => {
                let pkcs8 = Zeroizing::new(russh::keys::pkcs8::encode_pkcs8(key).map_err(KeyError::rsa)?);
                Signer::Rsa(Box::new(RsaKeyPair::from_pkcs8(&pkcs8).map_err(KeyError::rsa)?))
            }
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) => {
                let scheme = &ECDSA_P256_SHA256_ASN1_SIGNING;
                let (private, public) = (private.as_slice(), public.as_bytes());
                EcdsaKeyPair::from_private_key_and_public_key(scheme, private, public, &SystemRandom::new())
                    .map(|key| Signer::P256(Box::new(key)))
                    .map_err(|_| KeyError::Inconsistent)?
            }
            KeypairData::Ecdsa(EcdsaKeypair::NistP521 { public, private }) => {
                let key =
                    p521::ecdsa::SigningKey::from_slice(private.as_slice()).map_err(KeyError::damaged)?;
                let same = p521::ecdsa::VerifyingKey::from_sec1_bytes(public.as_bytes())
                    .is_ok_and(|public| public == *key.verifying_key());
                if !same {
                    return Err(KeyError::Inconsistent);
                }
                Signer::P521(Box::new(key))
            }
            KeypairData::Ed25519(Ed25519Keypair { public, private }) => {
                Ed25519KeyPair::from_seed_and_public_key(private.as_ref(), public.as_ref())
                    .map(|key| Signer::Ed25519(Box::new(key)))
                    .map_err(|_| KeyError::Inconsistent)?
            }
            _ => return Err(UnsupportedKey::Other(key.algorithm().as_str().to_owned()).into()),
        };
        Ok(Self { public, signer })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}
