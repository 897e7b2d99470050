//! Who signed a request (reference 1).
//!
//! [`read`] takes the `Authorization` header apart, which is what answers 400; [`verify`] checks the signature
//! with a key of the directory, which is what answers 401. What the signer may do is decided in
//! [`super::access`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::Timestamp;
use semver::Version;
use triton::auth::PublicKey;
use triton::auth::signature::{self, Authorization, KeyId, ParseAuthorizationError};

use super::date;
use super::error::ApiError;
use super::request::header_text;

/// What is said to whoever did not sign.
const UNSIGNED: &str = "You must make authenticated requests to use CloudAPI";
/// What is said whenever account, user, key or signature are wrong: not which.
pub(crate) const WRONG: &str = "Invalid authorization credentials supplied";

/// The first version of the API with sub-users.
const SUB_USERS_SINCE: Version = Version::new(7, 2, 0);

fn invalid(reason: impl std::fmt::Display) -> ApiError {
    ApiError::invalid_header(format!("Authorization header invalid: {reason}"))
}

/// Reads the `Authorization` header; `None` when there is none, or one of a scheme that nobody signs with.
///
/// # Errors
///
/// 400 `InvalidHeader` when it cannot be read, does not cover the date, names an algorithm that the server cannot
/// compute, or is of another time than `now` by more than `skew`; 401 for an algorithm that is not for
/// signatures. An unsigned request of another time is 400 `RequestExpired`.
pub(crate) fn read(
    headers: &HeaderMap,
    now: Timestamp,
    skew: Duration,
) -> Result<Option<Authorization>, ApiError> {
    let Some(value) = headers.get(http::header::AUTHORIZATION) else {
        return check_date_of_unsigned(headers, now, skew).map(|()| None);
    };
    let value = value.to_str().map_err(|_| invalid("not ASCII"))?;
    let Some((scheme, rest)) = value.split_once(' ') else {
        return Err(ApiError::invalid_header("BasicAuth content is invalid."));
    };
    if !scheme.eq_ignore_ascii_case("signature") {
        if scheme.eq_ignore_ascii_case("basic")
            && STANDARD.decode(rest).is_ok_and(|decoded| decoded.is_empty())
        {
            return Err(ApiError::invalid_header("Authorization header invalid"));
        }
        return check_date_of_unsigned(headers, now, skew).map(|()| None);
    }
    let authorization = Authorization::parse(value).map_err(|error| match error {
        // HMAC is a signature of the scheme, but not one with a public key (reference 1.3).
        ParseAuthorizationError::Algorithm(unknown)
            if unknown.0.to_ascii_lowercase().starts_with("hmac-") =>
        {
            let name = unknown.0.to_ascii_uppercase();
            ApiError::invalid_credentials(format!("{name} is not a supported signing algorithm"))
        }
        ParseAuthorizationError::Algorithm(unknown) => invalid(format!("{} is not supported", unknown.0)),
        other => invalid(other),
    })?;
    if !authorization.algorithm().is_accepted_by_cloudapi() {
        return Err(invalid(format!("{} is not supported", authorization.algorithm())));
    }
    check_signed_headers(&authorization, headers, now, skew)?;
    Ok(Some(authorization))
}

/// That the date is signed, is there, and is near.
fn check_signed_headers(
    authorization: &Authorization,
    headers: &HeaderMap,
    now: Timestamp,
    skew: Duration,
) -> Result<(), ApiError> {
    let dated = if headers.contains_key("x-date") { "x-date" } else { "date" };
    for name in authorization.headers() {
        let pseudo = name.starts_with('(') || name == "request-line";
        if !pseudo && !headers.contains_key(name.as_str()) {
            return Err(invalid(format!("{name} was not in the request")));
        }
    }
    if !authorization.headers().iter().any(|name| name == dated) {
        return Err(invalid(format!("{dated} was not a signed header")));
    }
    let text = header_text(headers, dated).unwrap_or_default();
    let Some(time) = date::parse(text) else {
        return Err(invalid(format!("{text:?} is not a date")));
    };
    let off = now.duration_since(time).unsigned_abs();
    if off > skew {
        let (off, skew) = (off.as_secs_f64(), skew.as_secs());
        return Err(invalid(format!("clock skew of {off:.3}s was greater than {skew}s")));
    }
    Ok(())
}

/// Requests without a signature are refused for their date first.
fn check_date_of_unsigned(headers: &HeaderMap, now: Timestamp, skew: Duration) -> Result<(), ApiError> {
    let Some(text) = header_text(headers, "date") else { return Ok(()) };
    match date::parse(text) {
        Some(time) if now.duration_since(time).unsigned_abs() <= skew => Ok(()),
        Some(_) => Err(ApiError::request_expired(format!("Date header {text} is too old"))),
        None => Err(ApiError::invalid_header(format!("Date header {text:?} is invalid"))),
    }
}

/// Whose key signed, by the name it was signed with.
///
/// # Errors
///
/// 401 `InvalidCredentials` when there is no signature, or its key id is of another shape. Versions of the API
/// before sub-users know one shape only.
pub(crate) fn key_id(authorization: Option<&Authorization>, version: &Version) -> Result<KeyId, ApiError> {
    let Some(authorization) = authorization else { return Err(ApiError::invalid_credentials(UNSIGNED)) };
    let text = authorization.key_id();
    let key_id = text.parse::<KeyId>().ok();
    key_id
        .filter(|id| id.user().is_none() || *version >= SUB_USERS_SINCE)
        .ok_or_else(|| ApiError::invalid_credentials(format!("Invalid KeyId {text} in authorization header")))
}

/// The request as its signature covers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// Path and query exactly as received.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// Checks a signature.
///
/// # Errors
///
/// 401 `InvalidCredentials`, which does not say why.
pub(crate) fn verify(
    authorization: &Authorization,
    signed: Signed<'_>,
    key: &PublicKey,
) -> Result<(), ApiError> {
    let wrong = || ApiError::invalid_credentials(WRONG);
    let text = authorization
        .signing_string(signed.method, signed.target, |name| header_text(signed.headers, name))
        .map_err(|_| wrong())?;
    signature::verify(key, text.as_bytes(), authorization.signature()).map_err(|_| wrong())
}

/// Whether a key id means this key: by its MD5 fingerprint, or by its name (reference 1.2).
pub(crate) fn names_key(key_id: &KeyId, name: &str, fingerprint: &str) -> bool {
    key_id.key() == fingerprint || key_id.key() == name
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: &str = "2026-02-02T10:00:00Z";
    const DATE: &str = "Mon, 02 Feb 2026 10:00:00 GMT";
    const SKEW: Duration = Duration::from_secs(300);

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn signature(algorithm: &str, names: &str) -> String {
        format!(
            r#"Signature keyId="/acme/keys/aa",algorithm="{algorithm}",headers="{names}",signature="AAEC""#
        )
    }

    #[track_caller]
    fn check(list: &[(&'static str, &str)], expected: Result<bool, (u16, &str, &str)>) {
        let found = read(&headers(list), NOW.parse().unwrap(), SKEW);
        match (found, expected) {
            (Ok(found), Ok(signed)) => assert_eq!(found.is_some(), signed),
            (Err(error), Err((status, code, part))) => {
                assert_eq!((error.status.as_u16(), &*error.code), (status, code), "{}", error.message);
                assert!(error.message.contains(part), "{}", error.message);
            }
            (found, expected) => panic!("{list:?}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn signatures_of_both_official_clients_are_read() {
        for names in ["(request-target) date", "date", "date (request-target) host"] {
            let value = signature("rsa-sha256", names);
            check(&[("authorization", &value), ("date", DATE), ("host", "h")], Ok(true));
        }
        let value = signature("ED25519-SHA512", "x-date");
        check(&[("authorization", &value), ("date", "x"), ("x-date", DATE)], Ok(true));
        let value = signature("rsa-sha512", "date");
        check(&[("authorization", &value), ("date", "Mon, 02 Feb 2026 10:04:59 UTC")], Ok(true));
    }

    #[test]
    fn requests_without_a_signature_are_for_later_to_refuse() {
        check(&[], Ok(false));
        check(&[("date", DATE)], Ok(false));
        check(&[("authorization", "Basic YTpi")], Ok(false));
        check(&[("authorization", "Bearer x")], Ok(false));
        let error = key_id(None, &Version::new(9, 0, 0)).unwrap_err();
        assert_eq!((error.status.as_u16(), error.message.as_str()), (401, UNSIGNED));
    }

    #[test]
    fn every_unreadable_header_is_a_400_with_its_reason() {
        let invalid = |list: &[(&'static str, &str)], part: &str| {
            check(list, Err((400, "InvalidHeader", part)));
        };
        let signed = |algorithm: &str, names: &str| signature(algorithm, names);
        invalid(&[("authorization", "Signature")], "BasicAuth content is invalid.");
        invalid(&[("authorization", "signature keyId=\"a\"")], "scheme was not \"Signature\"");
        invalid(&[("authorization", "Basic "), ("date", DATE)], "Authorization header invalid");
        invalid(&[("authorization", "Signature nonsense"), ("date", DATE)], "keyId was not specified");
        invalid(&[("authorization", "Signature a b"), ("date", DATE)], "bad param format");
        for algorithm in ["rsa-sha384", "ecdsa-sha384", "rsa-md5", "ed25519"] {
            invalid(&[("authorization", &signed(algorithm, "date")), ("date", DATE)], "is not supported");
        }
        let value = signed("rsa-sha256", "(request-target)");
        invalid(&[("authorization", &value), ("date", DATE)], "date was not a signed header");
        let value = signed("rsa-sha256", "date");
        invalid(&[("authorization", &value)], "date was not in the request");
        invalid(&[("authorization", &value), ("date", "soon")], "is not a date");
        for date in ["Mon, 02 Feb 2026 09:54:59 GMT", "Mon, 02 Feb 2026 10:05:01 GMT"] {
            let part = "clock skew of 301.000s was greater than 300s";
            invalid(&[("authorization", &value), ("date", date)], part);
        }
        let value = signed("rsa-sha256", "date x-other");
        invalid(&[("authorization", &value), ("date", DATE)], "x-other was not in the request");
    }

    #[test]
    fn an_algorithm_without_a_public_key_is_a_401() {
        let value = signature("hmac-sha256", "date");
        let part = "HMAC-SHA256 is not a supported signing algorithm";
        check(&[("authorization", &value), ("date", DATE)], Err((401, "InvalidCredentials", part)));
    }

    #[test]
    fn an_unsigned_request_of_another_time_has_expired() {
        for date in ["Mon, 02 Feb 2026 09:54:59 GMT", "Mon, 02 Feb 2026 10:05:01 GMT"] {
            check(&[("date", date)], Err((400, "RequestExpired", "too old")));
        }
        check(&[("date", "x")], Err((400, "InvalidHeader", "invalid")));
    }

    #[test]
    fn a_key_id_of_another_shape_is_a_401_that_repeats_it() {
        let check = |key_id: &str, version: Version, ok: bool| {
            let value = format!(r#"Signature keyId="{key_id}",algorithm="rsa-sha256",signature="AAEC""#);
            let authorization = Authorization::parse(&value).expect("a signature");
            match super::key_id(Some(&authorization), &version) {
                Ok(found) => assert!(ok, "{found}"),
                Err(error) => {
                    assert!(!ok, "{key_id}");
                    assert_eq!(error.status.as_u16(), 401);
                    assert_eq!(error.message, format!("Invalid KeyId {key_id} in authorization header"));
                }
            }
        };
        let newest = || Version::new(9, 0, 0);
        check("/acme/keys/aa", newest(), true);
        check("/acme/users/bob/keys/aa", newest(), true);
        check("/acme/users/bob/keys/aa", Version::new(7, 1, 0), false);
        for key_id in ["acme", "/acme/keys", "/my/keys/aa", "/acme/nokeys/aa", "/acme/users/bob/x/keys/aa"] {
            check(key_id, newest(), false);
        }
    }
}
