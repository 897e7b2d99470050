//! The HTTP Signature scheme as CloudAPI speaks it (Triton reference 1.1 to 1.3).
//!
//! [`signing_string`] says which bytes are signed, [`Algorithm`] names the signature, [`Authorization`]
//! is the header that carries it, [`KeyId`] says whose key made it, and [`verify()`] is the server's side.

use std::fmt;
use std::str::FromStr;

mod authorization;
mod key_id;
mod verify;

pub use authorization::{Authorization, ParseAuthorizationError};
pub(crate) use key_id::shown;
pub use key_id::{KeyId, KeyIdError};
pub use verify::{VerifyError, verify};

/// What this library signs of every request, as the `headers` parameter says it: method, path with
/// query, and date (Triton reference 1.1).
pub const SIGNED_HEADERS: &str = "(request-target) date";

/// How a signature was made: the value of the `algorithm` parameter (Triton reference 1.3).
///
/// The hash is taken from here and not from the key: a P-256 key may sign with SHA-512.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `rsa-sha1`: PKCS#1 v1.5.
    RsaSha1,
    /// `rsa-sha256`: PKCS#1 v1.5. What this library makes with RSA keys.
    RsaSha256,
    /// `rsa-sha384`: PKCS#1 v1.5. CloudAPI's parser refuses it.
    RsaSha384,
    /// `rsa-sha512`: PKCS#1 v1.5. What triton-go makes with RSA key files.
    RsaSha512,
    /// `dsa-sha1`: DER `SEQUENCE { r, s }`. Named for parsing only.
    DsaSha1,
    /// `dsa-sha256`: DER `SEQUENCE { r, s }`. Named for parsing only.
    DsaSha256,
    /// `ecdsa-sha256`: DER `SEQUENCE { r, s }`. What this library makes with P-256 keys.
    EcdsaSha256,
    /// `ecdsa-sha384`: DER `SEQUENCE { r, s }`. CloudAPI's parser refuses it.
    EcdsaSha384,
    /// `ecdsa-sha512`: DER `SEQUENCE { r, s }`. What this library makes with P-521 keys.
    EcdsaSha512,
    /// `ed25519-sha512`: 64 raw bytes over the message itself. What this library makes with Ed25519 keys.
    Ed25519Sha512,
}

impl Algorithm {
    /// Every algorithm, for tables.
    pub const ALL: [Self; 10] = [
        Self::RsaSha1,
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::DsaSha1,
        Self::DsaSha256,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::Ed25519Sha512,
    ];

    /// The name on the wire, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
            Self::RsaSha384 => "rsa-sha384",
            Self::RsaSha512 => "rsa-sha512",
            Self::DsaSha1 => "dsa-sha1",
            Self::DsaSha256 => "dsa-sha256",
            Self::EcdsaSha256 => "ecdsa-sha256",
            Self::EcdsaSha384 => "ecdsa-sha384",
            Self::EcdsaSha512 => "ecdsa-sha512",
            Self::Ed25519Sha512 => "ed25519-sha512",
        }
    }

    /// Whether CloudAPI takes signatures of this kind; it cannot hash with SHA-384.
    #[must_use]
    pub fn is_accepted_by_cloudapi(self) -> bool {
        !matches!(self, Self::RsaSha384 | Self::EcdsaSha384)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of [`Algorithm::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown signature algorithm {0:?}: known are rsa-, dsa- and ecdsa- with a hash, and ed25519-sha512")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Letter case is ignored, as the server does.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// The bytes of a signature, in the encoding of their algorithm (Triton reference 1.3).
///
/// `Debug` does not show them: for some minutes, whoever has them can repeat the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// How they were made.
    pub algorithm: Algorithm,
    /// RSA: as long as the modulus. ECDSA and DSA: DER. Ed25519: 64 bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}, {} bytes)", self.algorithm, self.bytes.len())
    }
}

/// A signed header that the request does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature covers the header {0:?}, which is not in the request")]
pub struct MissingHeader(pub String);

/// The text that is signed: one line for each of `headers`, joined by line feeds without one at the end
/// (Triton reference 1.1).
///
/// `target` is the path with its query exactly as sent. `value_of` gives the value of a header by its
/// lower-case name. Two names are not headers: `(request-target)` and the older `request-line`, which
/// is taken to be of HTTP/1.1.
///
/// ```
/// # use triton::auth::signature::signing_string;
/// let date = "Mon, 02 Feb 2026 10:00:00 GMT";
/// let text = signing_string(["(request-target)", "date"], "GET", "/acme/machines?limit=5", |name| {
///     (name == "date").then_some(date)
/// });
/// assert_eq!(
///     text.as_deref(),
///     Ok("(request-target): get /acme/machines?limit=5\ndate: Mon, 02 Feb 2026 10:00:00 GMT")
/// );
/// ```
///
/// # Errors
///
/// [`MissingHeader`] when `value_of` knows no value.
pub fn signing_string<'h, V: fmt::Display>(
    headers: impl IntoIterator<Item = &'h str>,
    method: &str,
    target: &str,
    value_of: impl Fn(&str) -> Option<V>,
) -> Result<String, MissingHeader> {
    let mut lines = Vec::new();
    for name in headers {
        let name = name.to_ascii_lowercase();
        lines.push(match name.as_str() {
            "(request-target)" => format!("(request-target): {} {target}", method.to_ascii_lowercase()),
            "request-line" => format!("{method} {target} HTTP/1.1"),
            _ => match value_of(&name) {
                Some(value) => format!("{name}: {value}"),
                None => return Err(MissingHeader(name)),
            },
        });
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithm_names_are_read_back_in_any_case() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(algorithm.name().to_uppercase().parse(), Ok(algorithm));
        }
        for name in ["", "ed25519", "rsa", "hmac-sha256", "rsa-sha256 "] {
            assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm(name.to_owned())));
        }
    }

    #[test]
    fn the_signing_string_follows_the_order_of_the_names() {
        let value_of = |name: &str| match name {
            "date" => Some("D"),
            "host" => Some("h"),
            _ => None,
        };
        let check = |headers: &[&str], expected: Result<&str, &str>| {
            assert_eq!(
                signing_string(headers.iter().copied(), "POST", "/a/b?c=%20d", value_of),
                expected.map(str::to_owned).map_err(|name| MissingHeader(name.to_owned())),
            );
        };
        check(&[], Ok(""));
        check(&["date"], Ok("date: D"));
        check(&["(request-target)", "date"], Ok("(request-target): post /a/b?c=%20d\ndate: D"));
        check(&["Date", "(Request-Target)"], Ok("date: D\n(request-target): post /a/b?c=%20d"));
        check(&["host", "request-line"], Ok("host: h\nPOST /a/b?c=%20d HTTP/1.1"));
        check(&["date", "digest"], Err("digest"));
        check(&[""], Err(""));
    }
}
