//! Client certificates for CMON, issued by an SSH key of the account (Triton reference 4.2).
//!
//! CMON knows its users by TLS client certificates. A certificate is for a key of its own and names the
//! account as its subject; its issuer is named by the fingerprint of an SSH key of the account, and that
//! key signs it. CMON looks the key up among the account's and checks the signature, so a certificate stops
//! working when its SSH key is removed from the account.
//!
//! The form is that of `triton profile cmon-certgen`, which sshpk gives it, with three differences that
//! CMON does not mind: the serial number is random, validity begins five minutes early because clocks
//! differ, and it is not also a server's certificate.

use std::time::Duration;

use der::asn1::{Any, AnyRef, BitStringRef, ContextSpecific, GeneralizedTime, Null, ObjectIdentifier};
use der::asn1::{PrintableStringRef, UtcTime, Utf8StringRef};
use der::pem::LineEnding;
use der::{Decode as _, Encode as _, EncodePem as _, Tag, TagMode, TagNumber};
use jiff::Timestamp;
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretString;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};
use zeroize::Zeroizing;

use crate::auth::signature::{Algorithm, Signature, shown};
use crate::auth::{AuthError, Signer, UnsupportedKey};

/// How long certificates last unless told otherwise: ten years, as those of the official client.
pub const DEFAULT_LIFETIME_DAYS: u32 = 3650;

/// How far before "now" validity begins: as far as clocks may differ for CloudAPI.
const BACKDATED: Duration = Duration::from_secs(300);

/// `id-at-commonName` of RFC 5280.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// The most characters that RFC 5280 lets a common name have.
const COMMON_NAME_LIMIT: usize = 64;

/// Extended key usages: TLS client of RFC 5280, and Joyent's for CMON, by which CMON tells these
/// certificates from the older self-signed ones.
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const JOYENT_CMON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.38678.1.4.2");

/// Signature algorithms of RFC 4055 and RFC 5758.
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// A certificate and the key it is for.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate: `-----BEGIN CERTIFICATE-----`.
    pub certificate_pem: String,
    /// Its private key, ECDSA on P-256: `-----BEGIN PRIVATE KEY-----`, PKCS#8, not encrypted.
    pub key_pem: SecretString,
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// CMON does not check signatures of this type of key.
    #[error(
        "CMON takes no certificates that are signed with {algorithm}: add an RSA or ECDSA key to the \
         account, and issue the certificate with that"
    )]
    Algorithm {
        /// What the key signs with.
        algorithm: Algorithm,
    },
    /// The key cannot sign at all.
    #[error("the key cannot issue certificates")]
    Unsupported(#[source] UnsupportedKey),
    /// The account's name cannot be that of a certificate.
    #[error("{account:?} cannot be the subject of a certificate: give the account's login name")]
    Account {
        /// The name.
        account: String,
    },
    /// The validity cannot be expressed.
    #[error("a certificate cannot be valid for {days} days from now: give 1 to about 36500")]
    Lifetime {
        /// The days asked for.
        days: u32,
    },
    /// The system has no randomness.
    #[error("no random numbers could be had")]
    Random,
    /// The key could not sign the certificate.
    #[error("cannot sign the certificate for {account}")]
    Sign {
        /// The account.
        account: String,
        /// Why.
        #[source]
        source: AuthError,
    },
    /// The certificate could not be encoded.
    #[error("cannot encode the certificate for {account}")]
    Encode {
        /// The account.
        account: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Fills a slice with unpredictable bytes.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Result<(), CertificateError> + Send + 'a;

/// Makes a key, and a certificate for it that identifies `account` to CMON for `lifetime_days` from now.
///
/// `signer` has a key of the account: [`crate::auth::SshSignature::signer`]. It is RSA or ECDSA; CMON cannot
/// check signatures of Ed25519 keys.
///
/// # Errors
///
/// [`CertificateError`], which says what to do.
pub async fn issue(
    signer: &Signer,
    account: &str,
    lifetime_days: u32,
) -> Result<ClientCertificate, CertificateError> {
    let mut random = |bytes: &mut [u8]| SystemRandom::new().fill(bytes).map_err(|_| CertificateError::Random);
    issue_at(signer, account, lifetime_days, Timestamp::now(), &mut random).await
}

/// As [`issue`], with the time and the source of randomness as arguments.
///
/// # Errors
///
/// As [`issue`].
pub async fn issue_at(
    signer: &Signer,
    account: &str,
    lifetime_days: u32,
    now: Timestamp,
    random: &mut Random<'_>,
) -> Result<ClientCertificate, CertificateError> {
    let algorithm = signer.public_key().signing_algorithm().map_err(CertificateError::Unsupported)?;
    let oid = signature_oid(algorithm).ok_or(CertificateError::Algorithm { algorithm })?;
    let printable = |it: char| !it.is_control();
    if account.is_empty() || account.chars().count() > COMMON_NAME_LIMIT || !account.chars().all(printable) {
        return Err(CertificateError::Account { account: shown(account) });
    }
    let validity = validity(now, lifetime_days).ok_or(CertificateError::Lifetime { days: lifetime_days })?;
    let encode = |source| CertificateError::Encode { account: account.to_owned(), source };

    let key = new_key(random)?;
    let serial = serial(random)?;
    let issuer = signer.public_key().fingerprint().to_base64();
    let body = Body { oid, serial, issuer: &issuer, validity, subject: account, key: &key };
    let tbs = body.to_der().map_err(|error| encode(error.into()))?;
    let signature = signer
        .sign(&tbs)
        .await
        .map_err(|source| CertificateError::Sign { account: account.to_owned(), source })?;
    Ok(ClientCertificate {
        certificate_pem: certificate_pem(oid, &tbs, &signature).map_err(|error| encode(error.into()))?,
        key_pem: SecretString::from(
            key.to_pkcs8_pem(LineEnding::LF).map_err(|error| encode(error.into()))?.as_str(),
        ),
    })
}

fn signature_oid(algorithm: Algorithm) -> Option<ObjectIdentifier> {
    match algorithm {
        Algorithm::RsaSha256 => Some(SHA256_WITH_RSA),
        Algorithm::EcdsaSha256 => Some(ECDSA_WITH_SHA256),
        Algorithm::EcdsaSha512 => Some(ECDSA_WITH_SHA512),
        _ => None,
    }
}

/// What is signed: the `TBSCertificate` of RFC 5280.
struct Body<'a> {
    oid: ObjectIdentifier,
    serial: SerialNumber,
    issuer: &'a str,
    validity: Validity,
    subject: &'a str,
    key: &'a p256::SecretKey,
}

impl Body<'_> {
    fn to_der(&self) -> der::Result<Vec<u8>> {
        let subject = common_name(self.subject)?;
        let explicit = TagMode::Explicit;
        let version = ContextSpecific { tag_number: TagNumber(0), tag_mode: explicit, value: 2_u8 };
        let extensions = extensions(&subject)?;
        let extensions = ContextSpecific { tag_number: TagNumber(3), tag_mode: explicit, value: extensions };
        let key = self.key.public_key().to_public_key_der().map_err(|_| Tag::Sequence.value_error())?;
        sequence(&[
            version.to_der()?,
            self.serial.to_der()?,
            algorithm_identifier(self.oid)?,
            common_name(self.issuer)?.to_der()?,
            self.validity.to_der()?,
            subject.to_der()?,
            key.as_bytes().to_vec(),
            extensions.to_der()?,
        ])
    }
}

/// The same three, all critical, as sshpk writes for the purposes `signature`, `identity`, `clientAuth` and
/// `joyentCmon`.
fn extensions(subject: &Name) -> der::Result<Vec<Extension>> {
    let no_authority = BasicConstraints { ca: false, path_len_constraint: None };
    let key_usage = KeyUsage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation);
    let extended = ExtendedKeyUsage(vec![CLIENT_AUTH, JOYENT_CMON]);
    Ok(vec![
        (true, &no_authority).to_extension(subject, &[])?,
        (true, &key_usage).to_extension(subject, &[])?,
        (true, &extended).to_extension(subject, &[])?,
    ])
}

/// `AlgorithmIdentifier`, whose parameters are NULL for RSA and absent for ECDSA.
fn algorithm_identifier(oid: ObjectIdentifier) -> der::Result<Vec<u8>> {
    match oid {
        SHA256_WITH_RSA => sequence(&[oid.to_der()?, Null.to_der()?]),
        _ => sequence(&[oid.to_der()?]),
    }
}

/// A name that is a common name alone, as a `PrintableString` where that has its characters.
fn common_name(text: &str) -> der::Result<Name> {
    let value = match PrintableStringRef::new(text) {
        Ok(text) => Any::encode_from(&text)?,
        Err(_) => Any::encode_from(&Utf8StringRef::new(text)?)?,
    };
    let part = RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid: COMMON_NAME, value }])?;
    Name::from_der(&RdnSequence::from(vec![part]).to_der()?)
}

fn sequence(parts: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    AnyRef::new(Tag::Sequence, &parts.concat())?.to_der()
}

fn certificate_pem(oid: ObjectIdentifier, tbs: &[u8], signature: &Signature) -> der::Result<String> {
    let signature = BitStringRef::from_bytes(&signature.bytes)?.to_der()?;
    let der = sequence(&[tbs.to_vec(), algorithm_identifier(oid)?, signature])?;
    x509_cert::Certificate::from_der(&der)?.to_pem(LineEnding::LF)
}

fn validity(now: Timestamp, days: u32) -> Option<Validity> {
    let now = Duration::from_secs(u64::try_from(now.as_second()).ok()?);
    let lifetime = Duration::from_secs(u64::from(days).checked_mul(24 * 60 * 60)?);
    let until = now.checked_add(lifetime)?;
    (days > 0).then_some(Validity::new(time(now.checked_sub(BACKDATED)?)?, time(until)?))
}

/// `UTCTime` while it can express the year, as RFC 5280 asks for.
fn time(since_epoch: Duration) -> Option<Time> {
    UtcTime::from_unix_duration(since_epoch)
        .map(Time::UtcTime)
        .or_else(|_| GeneralizedTime::from_unix_duration(since_epoch).map(Time::GeneralTime))
        .ok()
}

/// A new P-256 key: a random number, unless it is not below the order of the curve, which happens about
/// once in four thousand million times.
fn new_key(random: &mut Random<'_>) -> Result<p256::SecretKey, CertificateError> {
    const ATTEMPTS: usize = 8;
    let mut scalar = Zeroizing::new([0; 32]);
    for _ in 0..ATTEMPTS {
        random(scalar.as_mut_slice())?;
        if let Ok(key) = p256::SecretKey::from_slice(scalar.as_slice()) {
            return Ok(key);
        }
    }
    Err(CertificateError::Random)
}

/// A random positive number of 64 bits.
fn serial(random: &mut Random<'_>) -> Result<SerialNumber, CertificateError> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::new(&bytes).map_err(|_| CertificateError::Random)
}
