//! SSH public keys: their wire format, their kind, and which signatures they can make.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PublicKeyBase64 as _;
use russh::keys::ssh_key::{self, EcdsaCurve, public::KeyData};

use super::Fingerprint;
use super::signature::Algorithm;

/// An SSH public key.
#[derive(Clone)]
pub struct PublicKey {
    data: KeyData,
    wire: Vec<u8>,
}

/// What kind of key it is, as far as signing is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Length of the modulus in bits, rounded up to whole bytes.
        bits: u32,
    },
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// Any other, by the name SSH gives it: `ssh-dss`, `sk-ssh-ed25519@openssh.com`, ...
    Other(String),
}

/// What to do about a key that cannot sign.
const REMEDY: &str = "add an Ed25519, ECDSA P-256 or RSA key to the account and use that";

/// A key that cannot sign requests to CloudAPI (Triton reference 1.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedKey {
    /// The server takes no signature with SHA-384, which this curve goes with.
    #[error("it is an ECDSA P-384 key, whose signatures (ecdsa-sha384) CloudAPI refuses: {REMEDY}")]
    P384,
    /// DSA, obsolete and disabled nearly everywhere.
    #[error("it is a DSA key, which is obsolete: {REMEDY}")]
    Dsa,
    /// A key that lives in a hardware token and signs more than it is asked to.
    #[error("it is a security key ({0}), which cannot sign plain HTTP requests: {REMEDY}")]
    SecurityKey(String),
    /// A kind that is not known here.
    #[error("it is of the unsupported type {0}: {REMEDY}")]
    Other(String),
}

/// A text that is no SSH public key.
#[derive(Debug, thiserror::Error)]
#[error("not an SSH public key: expected a line as in a .pub file, such as \"ssh-ed25519 AAAA… comment\"")]
pub struct ParsePublicKeyError(#[source] Option<russh::keys::Error>);

impl PublicKey {
    /// Parses the line of a `.pub` file, which is also how CloudAPI shows and takes keys.
    ///
    /// # Errors
    ///
    /// [`ParsePublicKeyError`], also for SSH certificates, which Triton does not know.
    pub fn from_openssh(line: &str) -> Result<Self, ParsePublicKeyError> {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(ParsePublicKeyError(None));
        };
        let wire = STANDARD.decode(base64).map_err(|_| ParsePublicKeyError(None))?;
        let key = Self::from_wire(&wire)?;
        if key.data.algorithm().as_str() != name {
            return Err(ParsePublicKeyError(None));
        }
        Ok(key)
    }

    /// Parses SSH's wire format: what is behind the Base64 of a `.pub` file, and what an agent sends.
    ///
    /// # Errors
    ///
    /// [`ParsePublicKeyError`].
    pub fn from_wire(wire: &[u8]) -> Result<Self, ParsePublicKeyError> {
        let key =
            russh::keys::key::parse_public_key(wire).map_err(|error| ParsePublicKeyError(Some(error)))?;
        let key = Self::new(&key);
        // A certificate, bytes behind the key, or an encoding that is not canonical: its fingerprint
        // would not be the one that others compute.
        if key.data.algorithm().as_str().contains("-cert-") || key.wire != wire {
            return Err(ParsePublicKeyError(None));
        }
        Ok(key)
    }

    pub(super) fn new(key: &ssh_key::PublicKey) -> Self {
        Self { data: key.key_data().clone(), wire: key.public_key_bytes() }
    }

    /// SSH's wire format of the key, which its fingerprints are hashes of.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The line of a `.pub` file, without a comment.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        format!("{} {}", self.data.algorithm(), STANDARD.encode(&self.wire))
    }

    /// The MD5 fingerprint, which CloudAPI knows the key by (Triton reference 1.2).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::md5_of(&self.wire)
    }

    /// What kind of key it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match &self.data {
            KeyData::Rsa(key) => KeyKind::Rsa { bits: key.key_size() },
            KeyData::Ecdsa(key) => match key.curve() {
                EcdsaCurve::NistP256 => KeyKind::EcdsaP256,
                EcdsaCurve::NistP384 => KeyKind::EcdsaP384,
                EcdsaCurve::NistP521 => KeyKind::EcdsaP521,
            },
            KeyData::Ed25519(_) => KeyKind::Ed25519,
            other => KeyKind::Other(other.algorithm().as_str().to_owned()),
        }
    }

    /// The algorithm this library signs with when it has this key: the one the official client picks.
    ///
    /// # Errors
    ///
    /// [`UnsupportedKey`] when CloudAPI would take no signature of this key, and what to do.
    pub fn signing_algorithm(&self) -> Result<Algorithm, UnsupportedKey> {
        match self.kind() {
            KeyKind::Rsa { .. } => Ok(Algorithm::RsaSha256),
            KeyKind::EcdsaP256 => Ok(Algorithm::EcdsaSha256),
            KeyKind::EcdsaP384 => Err(UnsupportedKey::P384),
            KeyKind::EcdsaP521 => Ok(Algorithm::EcdsaSha512),
            KeyKind::Ed25519 => Ok(Algorithm::Ed25519Sha512),
            KeyKind::Other(name) if name == "ssh-dss" => Err(UnsupportedKey::Dsa),
            KeyKind::Other(name) if name.starts_with("sk-") => Err(UnsupportedKey::SecurityKey(name)),
            KeyKind::Other(name) => Err(UnsupportedKey::Other(name)),
        }
    }

    pub(crate) fn data(&self) -> &KeyData {
        &self.data
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("kind", &self.kind())
            .field("fingerprint", &self.fingerprint())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_public_key_is_read_with_or_without_a_comment() {
        for line in [ED25519.to_owned(), format!("{ED25519} me@host"), format!("\n{ED25519}  a b c\r\n")] {
            let key = PublicKey::from_openssh(&line).expect("valid");
            assert_eq!((key.kind(), key.to_openssh().as_str()), (KeyKind::Ed25519, ED25519));
            assert_eq!(key.signing_algorithm(), Ok(Algorithm::Ed25519Sha512));
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        for line in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 *",
            "ssh-ed25519 AAAA",
            &format!("{ED25519}AAAA"),
            &ED25519.replace("ssh-ed25519", "ssh-rsa"),
            &ED25519[12..],
        ] {
            assert!(PublicKey::from_openssh(line).is_err(), "{line}");
        }
    }

    /// SSH's wire format: strings behind their lengths.
    fn wire(strings: &[&[u8]]) -> Vec<u8> {
        strings
            .iter()
            .flat_map(|it| [&u32::try_from(it.len()).expect("short").to_be_bytes(), *it].concat())
            .collect()
    }

    #[test]
    fn security_keys_and_unknown_types_are_read_but_cannot_sign() {
        let check = |wire: &[u8], expected: UnsupportedKey| {
            let key = PublicKey::from_wire(wire).expect("valid");
            assert_eq!(key.signing_algorithm(), Err(expected));
        };
        let name = "sk-ssh-ed25519@openssh.com";
        check(&wire(&[name.as_bytes(), &[7; 32], b"ssh:"]), UnsupportedKey::SecurityKey(name.to_owned()));
        check(&wire(&[b"x@y", b"anything"]), UnsupportedKey::Other("x@y".to_owned()));
    }

    #[test]
    fn keys_that_cloudapi_takes_no_signatures_of_say_what_to_use_instead() {
        for unsupported in [
            UnsupportedKey::P384,
            UnsupportedKey::Dsa,
            UnsupportedKey::SecurityKey("sk-ssh-ed25519@openssh.com".to_owned()),
            UnsupportedKey::Other("x@y".to_owned()),
        ] {
            assert!(
                unsupported.to_string().contains("add an Ed25519, ECDSA P-256 or RSA key"),
                "{unsupported}"
            );
        }
    }
}
