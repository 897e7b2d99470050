//! Private keys in files: every format that `ssh-keygen` and `openssl` write, encrypted or not.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use der::Encode as _;
use der::asn1::{AnyRef, OctetStringRef};
use russh::keys::ssh_key;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{KeyError, PublicKey, UnsupportedKey, encrypted_pkcs8, legacy_pem, pem};

/// Upper bound of a key file, as in the official client; the largest RSA key takes a tenth of it.
pub(super) const MAX_KEY_FILE: u64 = 128 * 1024;

/// The label of OpenSSH's own format.
const OPENSSH: &str = "OPENSSH PRIVATE KEY";

/// The text of a key file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let mut text = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(KeyError::Read)?;
    file.take(MAX_KEY_FILE.saturating_add(1)).read_to_end(&mut text).map_err(KeyError::Read)?;
    if u64::try_from(text.len()).is_ok_and(|size| size > MAX_KEY_FILE) {
        return Err(KeyError::TooLarge);
    }
    let text = std::str::from_utf8(&text).map_err(|_| KeyError::NotAKey)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The text of a key file, for whoever passes it on.
pub(crate) fn read_text(path: &Path) -> Result<SecretString, KeyError> {
    Ok(SecretString::from(read(path)?.as_str()))
}

/// Reads a key file as [`PrivateKey::load`](super::PrivateKey::load) does, for use with SSH itself instead of CloudAPI.
///
/// This reads and decrypts in place, which takes up to a second for an encrypted key: in an asynchronous program, call it
/// where blocking is allowed.
///
/// # Errors
///
/// [`KeyError`], which says what to do.
pub fn load_ssh_key(path: &Path, passphrase: Option<&SecretString>) -> Result<ssh_key::PrivateKey, KeyError> {
    decode(&read(path)?, passphrase)
}

/// Decodes the text of a key file, and decrypts it if it is encrypted.
pub(super) fn decode(text: &str, passphrase: Option<&SecretString>) -> Result<ssh_key::PrivateKey, KeyError> {
    let pem = pem::private_key(text)?;
    let passphrase = || passphrase.map(ExposeSecret::expose_secret).ok_or(KeyError::MissingPassphrase);
    let decrypted = match (pem.label, pem.header("DEK-Info")) {
        (OPENSSH, _) => {
            let key = decode_openssh(&pem.body)?;
            if !key.is_encrypted() {
                return Ok(key);
            }
            // What cannot sign is refused before anybody looks for its passphrase.
            PublicKey::new(key.public_key()).signing_algorithm()?;
            let wrong = |error: ssh_key::Error| KeyError::WrongPassphrase { source: Some(error.into()) };
            return key.decrypt(passphrase()?).map_err(wrong);
        }
        ("ENCRYPTED PRIVATE KEY", _) => encrypted_pkcs8::decrypt(&pem.body, passphrase()?.as_bytes())?,
        (_, Some(dek_info)) => legacy_pem::decrypt(dek_info, &pem.body, passphrase()?.as_bytes())?,
        (_, None) => return decode_der(pem.label, &pem.body),
    };
    decode_der(pem.label, &decrypted).map_err(|error| match error {
        // A wrong passphrase goes unnoticed by the padding once in 256 times.
        KeyError::Damaged { source } => KeyError::WrongPassphrase { source },
        error => error,
    })
}

/// The public half of a key file without decrypting it, where the format tells it: OpenSSH's does.
pub(super) fn public_half(text: &str) -> Option<PublicKey> {
    let pem = pem::private_key(text).ok().filter(|pem| pem.label == OPENSSH)?;
    let key = decode_openssh(&pem.body).ok()?;
    Some(PublicKey::new(key.public_key()))
}

/// The body of OpenSSH's own format, which may still be encrypted.
fn decode_openssh(body: &[u8]) -> Result<ssh_key::PrivateKey, KeyError> {
    // Certificates may be nested, and ssh-key would follow them as deep as they go. Here there are none.
    const CERTIFICATE: &[u8] = b"-cert-v01@";
    let depth = body.windows(CERTIFICATE.len()).filter(|it| *it == CERTIFICATE).count();
    if depth > 8 {
        return Err(KeyError::Damaged { source: None });
    }
    ssh_key::PrivateKey::from_bytes(body).map_err(KeyError::damaged)
}

/// Decodes the DER of a block that is not, or no longer, encrypted.
fn decode_der(label: &str, der: &[u8]) -> Result<ssh_key::PrivateKey, KeyError> {
    match label {
        "RSA PRIVATE KEY" => decode_pkcs8(&wrap_pkcs1(der).map_err(KeyError::damaged)?),
        "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "EC PRIVATE KEY" => decode_pkcs8(der),
        "DSA PRIVATE KEY" => Err(UnsupportedKey::Dsa.into()),
        _ => Err(UnsupportedKey::Other(label.to_owned()).into()),
    }
}

/// PKCS#8 or SEC1.
fn decode_pkcs8(der: &[u8]) -> Result<ssh_key::PrivateKey, KeyError> {
    russh::keys::pkcs8::decode_pkcs8(der, None).map_err(|error| match error {
        russh::keys::Error::Rsa(error) => KeyError::rsa(error),
        russh::keys::Error::UnknownAlgorithm(oid) if oid == ID_DSA => UnsupportedKey::Dsa.into(),
        russh::keys::Error::UnknownAlgorithm(oid) => UnsupportedKey::Other(oid.to_string()).into(),
        error => KeyError::damaged(error),
    })
}

/// `id-dsa` of RFC 3279.
const ID_DSA: pkcs8::ObjectIdentifier = pkcs8::ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
/// `rsaEncryption` of RFC 8017.
const RSA_ENCRYPTION: pkcs8::ObjectIdentifier = pkcs8::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Puts a PKCS#1 key into the envelope of PKCS#8, so that one decoder serves both.
fn wrap_pkcs1(der: &[u8]) -> der::Result<Zeroizing<Vec<u8>>> {
    let algorithm = pkcs8::AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    Ok(Zeroizing::new(pkcs8::PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(der)?).to_der()?))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    /// What comes before the noise, so that some of it gets past the first check of each format.
    const STARTS: [&[u8]; 3] =
        [b"", b"0\x82", b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01"];
    const KINDS: [&str; 7] = ["OPENSSH ", "RSA ", "EC ", "DSA ", "ENCRYPTED ", "", "OTHER "];
    const HEADER: &str = "Proc-Type: 4,ENCRYPTED\nDEK-Info: (AES-256|DES-EDE3|X)-CBC,[0-9A-F]{0,32}\n\n";

    proptest! {
        #[test]
        fn no_body_makes_a_parser_panic(
            kind in proptest::sample::select(&KINDS[..]),
            start in proptest::sample::select(&STARTS[..]),
            noise in proptest::collection::vec(any::<u8>(), 0..120),
            header in proptest::option::of(HEADER),
            passphrase in proptest::option::of(".{1,4}"),
        ) {
            let label = format!("{kind}PRIVATE KEY");
            let (header, body) = (header.unwrap_or_default(), STANDARD.encode([start, &noise].concat()));
            let pem = format!("-----BEGIN {label}-----\n{header}{body}\n-----END {label}-----");
            prop_assert!(decode(&pem, passphrase.map(SecretString::from).as_ref()).is_err());
            let _ = public_half(&pem);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(-----BEGIN |-----END |PRIVATE KEY-----|\n|.){0,20}") {
            let _ = decode(&text, None);
        }
    }
}
