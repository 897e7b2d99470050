//! Whose client certificate it is (reference 4.2). Pure.
//!
//! There are two kinds. The newer has the extended key usage `joyentCmon`: a key of the account has issued it for
//! a key that is used for nothing else, and its issuer's name is the fingerprint of the account's key. The older
//! is one that a key of the account has made for itself; CMON does not look at its expiry, as its users had made
//! certificates that would soon have ended. In both, the subject's common name is the login, and the signature is
//! that of a key which the account has now.
//!
//! Certificates are read leniently: those of the official tools have serial numbers that are not quite DER.

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode as _, Reader as _, SliceReader};
use jiff::Timestamp;
use triton::auth::signature::{Algorithm, Signature, verify};
use triton::auth::{Fingerprint, PublicKey};
use triton::id::AccountId;

/// `id-at-commonName` and `id-ce-extKeyUsage` of RFC 5280.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
/// Joyent's extended key usage for CMON.
const JOYENT_CMON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.38678.1.4.2");

/// Types of keys and curves: RFC 3279 and RFC 5480.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVES: [(ObjectIdentifier, &str); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), "nistp256"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "nistp384"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "nistp521"),
];

/// Signature algorithms: RFC 4055 and RFC 5758.
const ALGORITHMS: [(ObjectIdentifier, Algorithm); 7] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), Algorithm::RsaSha1),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), Algorithm::RsaSha256),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), Algorithm::RsaSha384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), Algorithm::RsaSha512),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Algorithm::EcdsaSha256),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Algorithm::EcdsaSha384),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), Algorithm::EcdsaSha512),
];

/// Tags of DER that certificates have.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) login: String,
    pub(super) account: AccountId,
}

/// Why a certificate is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no client certificate")]
    Absent,
    #[error("the client certificate cannot be read")]
    Unreadable,
    #[error("the client certificate has expired or is not valid yet")]
    Expired,
    #[error("the client certificate's issuer is not the MD5 fingerprint of a key")]
    Issuer,
    #[error("the client certificate's subject is no account")]
    Account,
    #[error("the client certificate's issuer is no key of the account")]
    Key,
    #[error("the client certificate's signature does not match")]
    Signature,
}

/// Finds the account of a certificate in DER. `keys` knows the accounts by their logins.
pub(super) fn identify(
    certificate: &[u8],
    now: Timestamp,
    keys: impl FnOnce(&str) -> Option<(AccountId, Vec<PublicKey>)>,
) -> Result<Identity, Refused> {
    let certificate = Certificate::parse(certificate).ok_or(Refused::Unreadable)?;
    let login = common_name(certificate.subject).ok_or(Refused::Account)?;
    let own = || Fingerprint::md5_of(&certificate.key);
    let fingerprint = if !certificate.is_for_cmon {
        own()
    } else if !(certificate.from..=certificate.until).contains(&now.as_second()) {
        return Err(Refused::Expired);
    } else if certificate.subject == certificate.issuer {
        own()
    } else {
        let issuer = common_name(certificate.issuer).and_then(|name| name.parse().ok());
        issuer.filter(|it| matches!(it, Fingerprint::Md5(_))).ok_or(Refused::Issuer)?
    };
    let (account, keys) = keys(login).ok_or(Refused::Account)?;
    let key = keys.iter().find(|key| key.fingerprint() == fingerprint).ok_or(Refused::Key)?;
    verify(key, certificate.signed, &certificate.signature).map_err(|_| Refused::Signature)?;
    Ok(Identity { login: login.to_owned(), account })
}

/// What matters of a certificate.
struct Certificate<'a> {
    /// What is signed.
    signed: &'a [u8],
    signature: Signature,
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Validity in seconds since 1970.
    from: i64,
    until: i64,
    /// The subject's key in SSH's wire format.
    key: Vec<u8>,
    is_for_cmon: bool,
}

impl<'a> Certificate<'a> {
    fn parse(der: &'a [u8]) -> Option<Self> {
        let mut parts = Elements::of(Elements::of(der)?.expect(SEQUENCE)?.content)?;
        let (signed, algorithm, signature) =
            (parts.expect(SEQUENCE)?, parts.expect(SEQUENCE)?, parts.expect(BIT_STRING)?);
        let algorithm = oid(&Elements::of(algorithm.content)?.next()?)?;
        let algorithm = ALGORITHMS.iter().find(|(oid, _)| *oid == algorithm)?.1;

        let mut fields = Elements::of(signed.content)?;
        let first = fields.next()?;
        let serial = if first.tag == VERSION { fields.next()? } else { first };
        if serial.tag != INTEGER {
            return None;
        }
        fields.expect(SEQUENCE)?;
        let (issuer, validity) = (fields.expect(SEQUENCE)?, fields.expect(SEQUENCE)?);
        let (subject, key) = (fields.expect(SEQUENCE)?, fields.expect(SEQUENCE)?);
        let mut validity = Elements::of(validity.content)?;
        let mut is_for_cmon = false;
        while let Some(field) = fields.next() {
            if field.tag == EXTENSIONS {
                is_for_cmon = has_cmon_usage(field.content)?;
            }
        }
        Some(Self {
            signed: signed.raw,
            signature: Signature { algorithm, bytes: bits(&signature)?.to_vec() },
            issuer: issuer.content,
            subject: subject.content,
            from: seconds(&validity.next()?)?,
            until: seconds(&validity.next()?)?,
            key: ssh_key(key.content)?,
            is_for_cmon,
        })
    }
}

/// Whether one of the extensions is the extended key usage, with CMON's among its usages.
fn has_cmon_usage(extensions: &[u8]) -> Option<bool> {
    let mut extensions = Elements::of(Elements::of(extensions)?.expect(SEQUENCE)?.content)?;
    while let Some(extension) = extensions.next() {
        let mut parts = Elements::of(extension.content)?;
        if oid(&parts.next()?)? != EXTENDED_KEY_USAGE {
            continue;
        }
        // Between the name and the value, there may be whether it is critical.
        let value = std::iter::from_fn(|| parts.next()).find(|part| part.tag == OCTET_STRING)?;
        let mut usages = Elements::of(Elements::of(value.content)?.expect(SEQUENCE)?.content)?;
        return Some(std::iter::from_fn(|| usages.next()).any(|usage| oid(&usage) == Some(JOYENT_CMON)));
    }
    Some(false)
}

/// The first common name of a name.
fn common_name(name: &[u8]) -> Option<&str> {
    let mut names = Elements::of(name)?;
    while let Some(set) = names.next() {
        let mut set = Elements::of(set.content)?;
        while let Some(pair) = set.next() {
            let mut pair = Elements::of(pair.content)?;
            if oid(&pair.next()?)? == COMMON_NAME {
                return std::str::from_utf8(pair.next()?.content).ok();
            }
        }
    }
    None
}

/// SSH's wire format of a `SubjectPublicKeyInfo`.
fn ssh_key(info: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Elements::of(info)?;
    let (algorithm, key) = (parts.expect(SEQUENCE)?, parts.expect(BIT_STRING)?);
    let mut algorithm = Elements::of(algorithm.content)?;
    let (kind, key) = (oid(&algorithm.next()?)?, bits(&key)?);
    if kind == RSA {
        let mut numbers = Elements::of(Elements::of(key)?.expect(SEQUENCE)?.content)?;
        let (modulus, exponent) = (numbers.expect(INTEGER)?, numbers.expect(INTEGER)?);
        // SSH writes numbers as DER does.
        return Some(wire(&[b"ssh-rsa", exponent.content, modulus.content]));
    }
    if kind != EC {
        // No key of an account is like this one, but it may be what a certificate is for.
        return Some(Vec::new());
    }
    let curve = oid(&algorithm.next()?)?;
    let curve = CURVES.iter().find(|(oid, _)| *oid == curve)?.1;
    Some(wire(&[format!("ecdsa-sha2-{curve}").as_bytes(), curve.as_bytes(), key]))
}

/// Strings behind their lengths.
fn wire(strings: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for string in strings {
        wire.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
        wire.extend_from_slice(string);
    }
    wire
}

/// Seconds since 1970.
fn seconds(time: &Element<'_>) -> Option<i64> {
    let since = match UtcTime::from_der(time.raw) {
        Ok(time) => time.to_unix_duration(),
        Err(_) => GeneralizedTime::from_der(time.raw).ok()?.to_unix_duration(),
    };
    i64::try_from(since.as_secs()).ok()
}

/// Whole bytes.
fn bits<'a>(string: &Element<'a>) -> Option<&'a [u8]> {
    string.content.strip_prefix(&[0])
}

fn oid(element: &Element<'_>) -> Option<ObjectIdentifier> {
    ObjectIdentifier::from_der(element.raw).ok()
}

/// One value in DER.
struct Element<'a> {
    tag: u8,
    raw: &'a [u8],
    content: &'a [u8],
}

/// Values in DER, one after the other. The first that cannot be read ends them.
struct Elements<'a>(SliceReader<'a>);

impl<'a> Elements<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        SliceReader::new(bytes).ok().map(Self)
    }

    fn next(&mut self) -> Option<Element<'a>> {
        let raw = self.0.tlv_bytes().ok()?;
        let content = AnyRef::from_der(raw).ok()?.value();
        Some(Element { tag: *raw.first()?, raw, content })
    }

    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

#[cfg(test)]
mod tests;
