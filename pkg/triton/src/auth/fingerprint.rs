//! Fingerprints of SSH keys, as configured and as sent (Triton reference 1.2).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::PublicKey;

/// Fingerprints are printed without padding and, by some tools, with it: both are read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The fingerprint of an SSH public key: a hash of its wire format.
///
/// Either kind identifies a key in configuration. CloudAPI is always told the MD5 one, whatever was
/// configured (Triton reference 1.2).
///
/// It is parsed from, letter case of the prefix and of hexadecimal digits aside,
///
/// - `2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5`, with or without `MD5:` before it,
/// - `SHA256:` and the Base64 of the hash, as `ssh-keygen -l` prints it,
/// - `MD5:` and the Base64 of the hash, which is how CMON certificates name their issuer (Triton
///   reference 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// MD5, 16 bytes.
    Md5([u8; 16]),
    /// SHA-256, 32 bytes.
    Sha256([u8; 32]),
}

/// A text that is no fingerprint. The text itself is not repeated: what lands in the wrong setting by
/// mistake may be a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "malformed key fingerprint: write it as \"2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5\" or as \
     \"SHA256:\" and 43 Base64 characters, both as ssh-keygen -l prints them"
)]
pub struct ParseFingerprintError(());

impl Fingerprint {
    /// The MD5 fingerprint of a public key in wire format.
    #[must_use]
    pub fn md5_of(wire: &[u8]) -> Self {
        Self::Md5(Md5::digest(wire).into())
    }

    /// The SHA-256 fingerprint of a public key in wire format.
    #[must_use]
    pub fn sha256_of(wire: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(wire).into())
    }

    /// Whether this is the fingerprint of `key`.
    #[must_use]
    pub fn matches(&self, key: &PublicKey) -> bool {
        *self
            == match self {
                Self::Md5(_) => Self::md5_of(key.wire()),
                Self::Sha256(_) => Self::sha256_of(key.wire()),
            }
    }

    /// The hash's name and its Base64 without padding, for either kind: `MD5:LskJ…`, `SHA256:…`.
    ///
    /// CMON certificates carry the account key's fingerprint in this form (Triton reference 4.2).
    #[must_use]
    pub fn to_base64(&self) -> String {
        match self {
            Self::Md5(hash) => format!("MD5:{}", BASE64.encode(hash)),
            Self::Sha256(hash) => format!("SHA256:{}", BASE64.encode(hash)),
        }
    }

    fn parse_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 16];
        let mut pairs = text.split(':');
        for byte in &mut hash {
            let pair = pairs.next()?;
            // from_str_radix alone would take a sign.
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        pairs.next().is_none().then_some(Self::Md5(hash))
    }

    fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once(':')?;
        if prefix.eq_ignore_ascii_case("sha256") {
            return Some(Self::Sha256(BASE64.decode(rest).ok()?.try_into().ok()?));
        }
        if !prefix.eq_ignore_ascii_case("md5") {
            return Self::parse_hex(text);
        }
        if rest.contains(':') {
            return Self::parse_hex(rest);
        }
        Some(Self::Md5(BASE64.decode(rest).ok()?.try_into().ok()?))
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.trim()).ok_or(ParseFingerprintError(()))
    }
}

/// MD5 as 16 lower-case hexadecimal pairs without a prefix, the form CloudAPI wants; SHA-256 with its
/// prefix and without padding, as `ssh-keygen -l`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(hash) => {
                for (position, byte) in hash.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ":" };
                    write!(f, "{separator}{byte:02x}")?;
                }
                Ok(())
            }
            Self::Sha256(_) => f.write_str(&self.to_base64()),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MD5: &str = "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5";
    const SHA256: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

    #[track_caller]
    fn check(text: &str, canonical: &str) {
        assert_eq!(text.parse::<Fingerprint>().map(|it| it.to_string()).as_deref(), Ok(canonical), "{text}");
    }

    #[test]
    fn every_usual_spelling_is_read() {
        check(MD5, MD5);
        check(&MD5.to_uppercase(), MD5);
        check(&format!("MD5:{MD5}"), MD5);
        check(&format!("md5:{MD5}"), MD5);
        check(&format!("  {MD5}\n"), MD5);
        check("MD5:Lsn5iex4BF3//XSI86UYpQ", MD5);
        check("MD5:Lsn5iex4BF3//XSI86UYpQ==", MD5);
        check(SHA256, SHA256);
        check("sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", SHA256);
    }

    #[test]
    fn anything_else_is_refused_with_an_example_and_without_repeating_it() {
        for text in [
            "",
            ":",
            "MD5:",
            "SHA256:",
            "my-key",
            "2ec9f989ec78045dfffd7488f3a518a5",
            "2e:c9",
            "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5:00",
            "+e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5",
            "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:ag",
            "SHA1:2jmj7l5rSw0yVb/vlWAYkK/YBwk",
            "SHA256:47DEQpj8HBSa",
            "MD5:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        ] {
            let message = text.parse::<Fingerprint>().expect_err(text).to_string();
            assert!(message.contains(MD5) && message.contains("SHA256:"), "{message}");
        }
        let secret = "-----BEGIN PRIVATE KEY----- c2VjcmV0";
        assert!(
            !format!("{0} {0:?}", secret.parse::<Fingerprint>().expect_err("no fingerprint")).contains("c2V")
        );
    }

    #[test]
    fn the_base64_form_names_its_hash() {
        assert_eq!(
            MD5.parse::<Fingerprint>().map(|it| it.to_base64()).as_deref(),
            Ok("MD5:Lsn5iex4BF3//XSI86UYpQ")
        );
        assert_eq!(Fingerprint::sha256_of(b"").to_base64(), SHA256);
    }

    proptest! {
        #[test]
        fn printed_fingerprints_are_read_back(md5: [u8; 16], sha256: [u8; 32]) {
            for fingerprint in [Fingerprint::Md5(md5), Fingerprint::Sha256(sha256)] {
                prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
                prop_assert_eq!(fingerprint.to_base64().parse(), Ok(fingerprint));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
