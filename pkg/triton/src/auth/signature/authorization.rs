//! The `Authorization` header of a signed request (Triton reference 1.1).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Algorithm, KeyId, MissingHeader, SIGNED_HEADERS, Signature, UnknownAlgorithm, signing_string};

/// Standard Base64: padded when written, as both official clients do; either way when read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A parsed `Authorization: Signature keyId="…",algorithm="…",headers="…",signature="…"`.
///
/// It reads what the server's parser (http-signature) reads: the scheme is exactly `Signature` and one
/// blank; parameters come in any order, separated by commas without blanks, the last of a name winning;
/// values are quoted strings without escapes, or bare numbers; unknown parameters are ignored.
///
/// ```
/// # use triton::auth::signature::{Algorithm, Authorization};
/// let header = "Signature keyId=\"/acme/keys/laptop\",algorithm=\"rsa-sha256\",signature=\"AAEC\"";
/// let parsed = Authorization::parse(header)?;
/// assert_eq!(parsed.algorithm(), Algorithm::RsaSha256);
/// assert_eq!(parsed.headers(), ["date"]);
/// # Ok::<(), triton::auth::signature::ParseAuthorizationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    key_id: String,
    headers: Vec<String>,
    signature: Signature,
    opaque: Option<String>,
    created: Option<u64>,
    expires: Option<u64>,
}

/// Why an `Authorization` header is not a signature. CloudAPI answers 400 `InvalidHeader` to all of
/// these (Triton reference 1.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAuthorizationError {
    /// The first word is not `Signature`.
    #[error("scheme was not \"Signature\"")]
    Scheme,
    /// The parameters are not of the form `name="value",name="value"`.
    #[error("bad param format at byte {0}")]
    Format(usize),
    /// A parameter that must be there is not, or is empty.
    #[error("{0} was not specified")]
    Missing(&'static str),
    /// The algorithm has no known name.
    #[error("the algorithm is not supported")]
    Algorithm(#[source] UnknownAlgorithm),
    /// The signature is not Base64.
    #[error("the signature is not Base64")]
    Signature,
}

impl Authorization {
    /// The header of a request of which [`SIGNED_HEADERS`] were signed.
    #[must_use]
    pub fn new(key_id: &KeyId, signature: Signature) -> Self {
        Self {
            key_id: key_id.to_string(),
            headers: SIGNED_HEADERS.split(' ').map(str::to_owned).collect(),
            signature,
            opaque: None,
            created: None,
            expires: None,
        }
    }

    /// Parses the value of an `Authorization` header. Where it names no headers, `date` was signed.
    ///
    /// # Errors
    ///
    /// [`ParseAuthorizationError`] says what is wrong with it.
    pub fn parse(value: &str) -> Result<Self, ParseAuthorizationError> {
        let (scheme, params) = value.split_once(' ').unwrap_or((value, ""));
        if scheme != "Signature" {
            return Err(ParseAuthorizationError::Scheme);
        }
        let params = Params::parse(params).map_err(|at| {
            ParseAuthorizationError::Format(scheme.len().saturating_add(1).saturating_add(at))
        })?;
        let required = |name| {
            params.text(name).filter(|text| !text.is_empty()).ok_or(ParseAuthorizationError::Missing(name))
        };
        let key_id = required("keyId")?.to_owned();
        let algorithm = required("algorithm")?.parse().map_err(ParseAuthorizationError::Algorithm)?;
        let bytes = BASE64.decode(required("signature")?).map_err(|_| ParseAuthorizationError::Signature)?;
        let headers = params.text("headers").filter(|text| !text.is_empty()).unwrap_or("date");
        Ok(Self {
            key_id,
            headers: headers.split(' ').map(str::to_ascii_lowercase).collect(),
            signature: Signature { algorithm, bytes },
            opaque: params.text("opaque").map(str::to_owned),
            created: params.number("created"),
            expires: params.number("expires"),
        })
    }

    /// The `keyId` as sent. It is text because the server answers a bad header and a bad key id
    /// differently: parse it as [`KeyId`].
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// How the signature was made.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.signature.algorithm
    }

    /// The names that were signed, in order and in lower case.
    #[must_use]
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the client claims to have signed of a request: see [`signing_string`]. The pseudo headers
    /// `(keyid)`, `(algorithm)`, `(opaque)`, `(created)` and `(expires)` are answered from the
    /// parameters; `value_of` is asked for all others.
    ///
    /// # Errors
    ///
    /// [`MissingHeader`] when a signed header has no value.
    pub fn signing_string<'v>(
        &self,
        method: &str,
        target: &str,
        value_of: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<String, MissingHeader> {
        signing_string(self.headers.iter().map(String::as_str), method, target, |name| match name {
            "(keyid)" => Some(self.key_id.clone()),
            "(algorithm)" => Some(self.algorithm().to_string()),
            "(opaque)" => self.opaque.clone(),
            "(created)" => self.created.map(|seconds| seconds.to_string()),
            "(expires)" => self.expires.map(|seconds| seconds.to_string()),
            _ => value_of(name).map(str::to_owned),
        })
    }
}

impl FromStr for Authorization {
    type Err = ParseAuthorizationError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Self::parse(value)
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature keyId=\"{}\",algorithm=\"{}\"", self.key_id, self.algorithm())?;
        if let Some(seconds) = self.created {
            write!(f, ",created={seconds}")?;
        }
        if let Some(seconds) = self.expires {
            write!(f, ",expires={seconds}")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ",opaque=\"{opaque}\"")?;
        }
        let signature = BASE64.encode(&self.signature.bytes);
        write!(f, ",headers=\"{}\",signature=\"{signature}\"", self.headers.join(" "))
    }
}

/// One parameter's value.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

/// The parameters in the order they were sent.
struct Params<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Params<'a> {
    /// What the server does with an unfinished last parameter is done here too: it is dropped.
    fn parse(params: &'a str) -> Result<Self, usize> {
        let mut read = Vec::new();
        let mut rest = params;
        let position = |rest: &str| params.len().saturating_sub(rest.len());
        while let Some((name, after)) = rest.split_once('=') {
            check_name(name).map_err(|at| position(rest).saturating_add(at))?;
            if name.is_empty() {
                return Err(position(rest));
            }
            if let Some(text) = after.strip_prefix('"') {
                let Some((text, after)) = text.split_once('"') else {
                    return Ok(Self(read));
                };
                read.push((name, Value::Text(text)));
                rest = match after.strip_prefix(',') {
                    Some(next) => next,
                    None if after.is_empty() => after,
                    None => return Err(position(after)),
                };
            } else {
                let (digits, next) = after.split_once(',').unwrap_or((after, ""));
                if let Some(at) = digits.find(|digit: char| !digit.is_ascii_digit()) {
                    return Err(position(after).saturating_add(at));
                }
                if after.is_empty() {
                    return Ok(Self(read));
                }
                let number = digits.parse().map_err(|_| position(after))?;
                read.push((name, Value::Number(number)));
                rest = next;
            }
        }
        check_name(rest).map_err(|at| position(rest).saturating_add(at))?;
        Ok(Self(read))
    }

    fn get(&self, name: &str) -> Option<Value<'a>> {
        self.0.iter().rev().find(|(it, _)| *it == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Number(number) => Some(number),
            Value::Text(_) => None,
        }
    }
}

/// Names are letters; the error is where they are not.
fn check_name(name: &str) -> Result<(), usize> {
    name.find(|letter: char| !letter.is_ascii_alphabetic()).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
