//! What a status and an error body of CloudAPI mean (reference 2.4). Pure.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::error::Kind;

/// The longest part of a foreign error text that is repeated to people.
const LONGEST_MESSAGE: usize = 500;

/// CloudAPI's error body. Every field is optional: proxies answer with less, or with HTML.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

/// One complaint about one parameter.
#[derive(Debug, Default, Deserialize)]
struct FieldError {
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ErrorBody {
    /// Reads what can be read; anything that is not CloudAPI's error object is an empty one.
    pub(super) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The kind of error that this body with this status is.
    pub(super) fn kind(&self, status: StatusCode) -> Kind {
        // Framework errors keep the suffix, CloudAPI's own do not: `TooManyRequestsError`, `InvalidArgument`.
        let code = self.code.as_deref().map(|code| code.strip_suffix("Error").unwrap_or(code)).unwrap_or("");
        match status.as_u16() {
            401 => Kind::Unauthorized,
            403 if self.says("quota exceeded") => Kind::QuotaExceeded,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            405 | 501 => Kind::NotSupported,
            410 => Kind::Gone,
            // The parser of the signature reports skew as a bad header whose reason speaks of the clock.
            400 if code == "RequestExpired" || (code == "InvalidHeader" && self.says("skew")) => {
                Kind::ClockSkew
            }
            400 if code == "InvalidHeader" && self.says("expired") => Kind::ClockSkew,
            409 if self.names_a_duplicate() => Kind::Duplicate,
            409 if matches!(
                code,
                "InvalidArgument"
                    | "MissingParameter"
                    | "ValidationFailed"
                    | "Validation"
                    | "InvalidNetworks"
                    | "InvalidFabricPackage"
                    | "BrandNotSupported"
                    | "VolumeSizeNotAvailable"
            ) =>
            {
                Kind::Invalid
            }
            409 => Kind::Conflict,
            420 | 429 => Kind::Throttled,
            502..=504 => Kind::Unavailable,
            400..=499 => Kind::Invalid,
            500..=599 => Kind::Server,
            _ => Kind::Protocol,
        }
    }

    /// The server's words, with its complaints about single parameters, on one line.
    pub(super) fn text(&self, status: StatusCode) -> String {
        let mut text = self.message.clone().unwrap_or_default();
        for error in &self.errors {
            let parts = [error.field.as_deref(), error.code.as_deref(), error.message.as_deref()];
            let detail: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
            if !detail.is_empty() {
                text.push_str(if text.is_empty() { "" } else { "; " });
                text.push_str(&detail.join(": "));
            }
        }
        if text.trim().is_empty() {
            text = status.canonical_reason().unwrap_or("no reason given").to_owned();
        }
        one_line(&text)
    }

    fn says(&self, words: &str) -> bool {
        self.message.as_deref().is_some_and(|message| message.to_lowercase().contains(words))
    }

    fn names_a_duplicate(&self) -> bool {
        let taken = |error: &FieldError| matches!(error.code.as_deref(), Some("Duplicate" | "UsedBy"));
        self.errors.iter().any(taken)
            || matches!(self.code.as_deref(), Some("VolumeAlreadyExists"))
            || self.says("already exists")
    }
}

/// Foreign text made safe to print: one line, no control characters, bounded.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_MESSAGE + 1)
        .collect::<String>()
        .trim()
        .to_owned();
    if line.chars().count() > LONGEST_MESSAGE {
        line = line.chars().take(LONGEST_MESSAGE).collect();
        line.push('…');
    }
    line
}

/// How long the server asks us to wait: `Retry-After` as seconds or as an HTTP date, which is read against
/// the answer's own `Date` so that a wrong clock here does not matter.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<std::time::Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(std::time::Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = server_date(headers).unwrap_or_else(std::time::SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

/// The server's clock, as its `Date` header says.
pub(super) fn server_date(headers: &HeaderMap) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(headers.get(http::header::DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    /// Status, body, kind, text: rows from reference 1.5 and 2.4.
    const ANSWERS: &[(u16, &str, Kind, &str)] = &[
        (
            401,
            r#"{"code":"InvalidCredentials","message":"Invalid authorization credentials supplied"}"#,
            Kind::Unauthorized,
            "Invalid authorization credentials supplied",
        ),
        (
            400,
            r#"{"code":"RequestExpired","message":"Date header is too old"}"#,
            Kind::ClockSkew,
            "Date header is too old",
        ),
        (
            400,
            r#"{"code":"InvalidHeader","message":"clock skew of 400s was greater than 300s"}"#,
            Kind::ClockSkew,
            "clock skew of 400s was greater than 300s",
        ),
        (400, r#"{"code":"InvalidHeader","message":"bad algorithm"}"#, Kind::Invalid, "bad algorithm"),
        (
            403,
            r#"{"code":"NotAuthorized","message":"Quota exceeded; to have your limits raised please contact support"}"#,
            Kind::QuotaExceeded,
            "Quota exceeded; to have your limits raised please contact support",
        ),
        (403, r#"{"code":"NotAuthorized","message":"no"}"#, Kind::Forbidden, "no"),
        (404, r#"{"code":"ResourceNotFound","message":"VM not found"}"#, Kind::NotFound, "VM not found"),
        (404, r#"{"code":"VolumeNotFound","message":"gone"}"#, Kind::NotFound, "gone"),
        (
            409,
            r#"{"code":"ValidationFailed","message":"Invalid VM parameters","errors":[{"field":"alias","code":"Duplicate","message":"Already exists for this owner_uuid"}]}"#,
            Kind::Duplicate,
            "Invalid VM parameters; alias: Duplicate: Already exists for this owner_uuid",
        ),
        (
            409,
            r#"{"code":"ValidationFailed","message":"bad","errors":[{"field":"ip","code":"UsedBy","message":"IP in use"}]}"#,
            Kind::Duplicate,
            "bad; ip: UsedBy: IP in use",
        ),
        (
            409,
            r#"{"code":"InvalidArgument","message":"x is not a valid state"}"#,
            Kind::Invalid,
            "x is not a valid state",
        ),
        (409, r#"{"code":"CannotDestroyMachineError","message":"protected"}"#, Kind::Conflict, "protected"),
        (409, r#"{"code":"UnallocatedVM","message":"provisioning"}"#, Kind::Conflict, "provisioning"),
        (409, r#"{"code":"VolumeInUse","message":"in use"}"#, Kind::Conflict, "in use"),
        (409, r#"{"code":"VolumeAlreadyExists","message":"taken"}"#, Kind::Duplicate, "taken"),
        (
            422,
            r#"{"code":"InvalidParameters","message":"Invalid parameters","errors":[{"code":"InvalidParameter","field":"rule","message":"Error at character 0"}]}"#,
            Kind::Invalid,
            "Invalid parameters; rule: InvalidParameter: Error at character 0",
        ),
        (413, "", Kind::Invalid, "Payload Too Large"),
        (
            429,
            r#"{"code":"TooManyRequestsError","message":"You have exceeded your request rate of 10 r/s."}"#,
            Kind::Throttled,
            "You have exceeded your request rate of 10 r/s.",
        ),
        (500, r#"{"code":"InternalError"}"#, Kind::Server, "Internal Server Error"),
        (501, r#"{"code":"NotImplementedError","message":"no fabrics"}"#, Kind::NotSupported, "no fabrics"),
        (503, "<html>\n<body>sorry</body></html>", Kind::Unavailable, "Service Unavailable"),
        (504, "", Kind::Unavailable, "Gateway Timeout"),
        (302, "", Kind::Protocol, "Found"),
        (500, r#"{"code":7,"message":["a"]}"#, Kind::Server, "Internal Server Error"),
        (409, r#"{"message":"two\nlines\u0000"}"#, Kind::Conflict, "two lines"),
    ];

    #[test]
    fn every_answer_has_its_kind_and_words() {
        for &(status, body, kind, text) in ANSWERS {
            let status = StatusCode::from_u16(status).unwrap();
            let parsed = ErrorBody::parse(body.as_bytes());
            assert_eq!((parsed.kind(status), parsed.text(status).as_str()), (kind, text), "{status} {body}");
        }
    }

    #[test]
    fn a_long_foreign_text_is_cut() {
        let body = format!(r#"{{"message":"{}"}}"#, "é".repeat(10_000));
        let text = ErrorBody::parse(body.as_bytes()).text(StatusCode::CONFLICT);
        assert_eq!(text.chars().count(), LONGEST_MESSAGE + 1);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let date = "Mon, 02 Feb 2026 10:00:00 GMT";
        let cases: &[(&str, Option<u64>)] = &[
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("Mon, 02 Feb 2026 10:01:30 GMT", Some(90)),
            ("Mon, 02 Feb 2026 09:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ];
        for &(text, seconds) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::DATE, HeaderValue::from_static(date));
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
