//! Checking a signature: the server's side of the scheme, for simulators and tests.

use md5::Digest as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::signature as ring_signature;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData, RsaPublicKey};
use sha2::{Sha256, Sha384, Sha512};

use super::{Algorithm, Signature};
use crate::auth::PublicKey;

/// Why a signature is not that of a key over a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The algorithm is for keys of another type.
    #[error("a key of type {key} makes no {algorithm} signatures")]
    KeyType {
        /// The key's type, as SSH names it.
        key: String,
        /// The algorithm that was claimed.
        algorithm: Algorithm,
    },
    /// DSA, which nothing here computes.
    #[error("{0} signatures cannot be checked")]
    Unsupported(Algorithm),
    /// The public key is no valid one of its type.
    #[error("the public key is damaged")]
    Key,
    /// The signature is malformed, or is not of this message, or is not by this key.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks that `signature` was made over `message` with the private half of `key`.
///
/// The hash is the one the algorithm names, whatever the key's curve is, as CloudAPI does it (Triton
/// reference 1.3). Which algorithms CloudAPI accepts at all is [`Algorithm::is_accepted_by_cloudapi`].
///
/// # Errors
///
/// [`VerifyError`]. Anything but `Ok` means that the signature must not be trusted.
pub fn verify(key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), VerifyError> {
    use Algorithm as A;
    let Signature { algorithm, bytes } = signature;
    match (key.data(), algorithm) {
        (KeyData::Rsa(rsa), A::RsaSha1) => {
            verify_rsa(rsa, &ring_signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, message, bytes)
        }
        (KeyData::Rsa(rsa), A::RsaSha256) => {
            verify_rsa(rsa, &ring_signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, message, bytes)
        }
        (KeyData::Rsa(rsa), A::RsaSha384) => {
            verify_rsa(rsa, &ring_signature::RSA_PKCS1_2048_8192_SHA384, message, bytes)
        }
        (KeyData::Rsa(rsa), A::RsaSha512) => {
            verify_rsa(rsa, &ring_signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, message, bytes)
        }
        (KeyData::Ecdsa(point), A::EcdsaSha256) => verify_ecdsa(point, &Sha256::digest(message), bytes),
        (KeyData::Ecdsa(point), A::EcdsaSha384) => verify_ecdsa(point, &Sha384::digest(message), bytes),
        (KeyData::Ecdsa(point), A::EcdsaSha512) => verify_ecdsa(point, &Sha512::digest(message), bytes),
        (KeyData::Ed25519(point), A::Ed25519Sha512) => {
            ring_signature::UnparsedPublicKey::new(&ring_signature::ED25519, point.as_ref())
                .verify(message, bytes)
                .map_err(|_| VerifyError::Mismatch)
        }
        (KeyData::Dsa(_), A::DsaSha1 | A::DsaSha256) => Err(VerifyError::Unsupported(*algorithm)),
        (other, _) => {
            Err(VerifyError::KeyType { key: other.algorithm().as_str().to_owned(), algorithm: *algorithm })
        }
    }
}

fn verify_rsa(
    key: &RsaPublicKey,
    scheme: &'static ring_signature::RsaParameters,
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let (Some(n), Some(e)) = (key.n().as_positive_bytes(), key.e().as_positive_bytes()) else {
        return Err(VerifyError::Key);
    };
    ring_signature::RsaPublicKeyComponents { n, e }
        .verify(scheme, message, signature)
        .map_err(|_| VerifyError::Mismatch)
}

/// ECDSA over a hash that need not be of the curve's size.
fn verify_ecdsa(point: &EcdsaPublicKey, hash: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
    macro_rules! verify_on {
        ($curve:ident, $point:expr) => {{
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes($point.as_bytes())
                .map_err(|_| VerifyError::Key)?;
            let signature =
                $curve::ecdsa::Signature::from_der(signature).map_err(|_| VerifyError::Mismatch)?;
            key.verify_prehash(hash, &signature).map_err(|_| VerifyError::Mismatch)
        }};
    }
    match point {
        EcdsaPublicKey::NistP256(point) => verify_on!(p256, point),
        EcdsaPublicKey::NistP384(point) => verify_on!(p384, point),
        EcdsaPublicKey::NistP521(point) => verify_on!(p521, point),
    }
}
