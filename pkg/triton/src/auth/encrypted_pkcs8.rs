//! Encrypted PKCS#8 (`BEGIN ENCRYPTED PRIVATE KEY`), as `openssl pkcs8 -topk8` writes it.

use pkcs5::EncryptionScheme;
use pkcs8::EncryptedPrivateKeyInfoRef;
use zeroize::Zeroizing;

use super::KeyError;

/// Upper bounds of what deriving the key may cost, in rounds and in bytes to mix. OpenSSL's defaults are
/// 2,048 rounds of PBKDF2 and 16 MiB for scrypt; without a bound, a damaged file could ask for any amount.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// Decrypts the DER of an `ENCRYPTED PRIVATE KEY` to that of a `PRIVATE KEY`.
pub(super) fn decrypt(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| match error {
        pkcs8::Error::Asn1(error) => match error.kind() {
            der::ErrorKind::OidUnknown { oid } => unsupported(oid),
            der::ErrorKind::Value { tag: der::Tag::ObjectIdentifier } => {
                KeyError::Cipher { cipher: "an unknown scheme".to_owned() }
            }
            _ => KeyError::Damaged { source: Some(error.into()) },
        },
        error => KeyError::Damaged { source: Some(error.into()) },
    })?;
    check_cost(&encrypted.encryption_algorithm)?;
    match encrypted.decrypt(passphrase) {
        Ok(document) => Ok(document.to_bytes()),
        Err(pkcs8::Error::EncryptedPrivateKey(error)) => Err(match error {
            pkcs5::Error::NoPbes1CryptSupport => KeyError::Cipher { cipher: "PBES1".to_owned() },
            pkcs5::Error::UnsupportedAlgorithm { oid } | pkcs5::Error::AlgorithmParametersInvalid { oid } => {
                unsupported(oid)
            }
            error => KeyError::WrongPassphrase { source: Some(error.into()) },
        }),
        // What came out is no key.
        Err(error) => Err(KeyError::WrongPassphrase { source: Some(error.into()) }),
    }
}

fn unsupported(oid: pkcs8::ObjectIdentifier) -> KeyError {
    KeyError::Cipher { cipher: format!("an algorithm of the OID {oid}") }
}

fn check_cost(scheme: &EncryptionScheme) -> Result<(), KeyError> {
    let EncryptionScheme::Pbes2(parameters) = scheme else {
        return Ok(());
    };
    if parameters.kdf.pbkdf2().is_some_and(|it| it.iteration_count > MAX_PBKDF2_ROUNDS) {
        return Err(KeyError::Cipher { cipher: format!("more than {MAX_PBKDF2_ROUNDS} rounds of PBKDF2") });
    }
    let bytes = parameters.kdf.scrypt().map(|it| {
        it.cost_parameter
            .saturating_mul(128)
            .saturating_mul(u64::from(it.block_size))
            .saturating_mul(u64::from(it.parallelization))
    });
    if bytes.is_some_and(|bytes| bytes > MAX_SCRYPT_BYTES) {
        return Err(KeyError::Cipher { cipher: "scrypt parameters beyond 256 MiB".to_owned() });
    }
    Ok(())
}
