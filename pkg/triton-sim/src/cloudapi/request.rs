//! A request as the endpoints see it: its parameters in one bag, and who sent it (reference 2.2).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use md5::{Digest as _, Md5};

use super::error::ApiError;
use super::params::Params;

/// How many bytes of body are taken (reference 2.2).
pub(crate) const MAX_BODY: usize = 100_000;

/// The value of a header, if it is there and is text.
pub(crate) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Path and query exactly as they were sent, which is what is signed.
pub(crate) fn raw_target(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// The address that a request came from, for the audit.
pub(crate) fn caller_address(headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let forwarded = header_text(headers, "x-forwarded-for").and_then(|list| list.rsplit(',').next());
    forwarded.and_then(|address| address.trim().parse().ok()).unwrap_or(peer)
}

/// Whether the client takes JSON: `Accept` is missing, or one of its ranges admits it.
pub(crate) fn check_accept(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(accept) = header_text(headers, "accept") else { return Ok(()) };
    let admits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight == 0.0))
        });
        !refused
            && ["*/*", "*", "application/*", "application/json"]
                .iter()
                .any(|it| it.eq_ignore_ascii_case(kind))
    };
    if accept.trim().is_empty() || accept.split(',').any(admits) {
        return Ok(());
    }
    Err(ApiError::wrong_accept("Server accepts: application/json"))
}

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentType {
    Json,
    Form,
    /// No type was given.
    Unknown,
}

fn content_type(headers: &HeaderMap) -> Result<ContentType, ApiError> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(ContentType::Unknown) };
    let given = given.to_str().unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "" => Ok(ContentType::Unknown),
        "application/json" => Ok(ContentType::Json),
        "application/x-www-form-urlencoded" => Ok(ContentType::Form),
        _ if kind.ends_with("+json") => Ok(ContentType::Json),
        _ => Err(ApiError::unsupported_media_type(kind)),
    }
}

/// Adds the parameters of a body. Nothing is wrong with an empty body, whatever its type; a body without a type
/// is JSON when it begins like an object, and ignored when not.
pub(crate) fn merge_body(params: &mut Params, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    if body.is_empty() {
        return Ok(());
    }
    if let Some(expected) = header_text(headers, "content-md5") {
        let found = STANDARD.encode(Md5::digest(body));
        if expected != found {
            return Err(ApiError::bad_digest(format!("Content-MD5 ({expected}) did not match {found}")));
        }
    }
    match header_text(headers, "content-encoding") {
        None | Some("" | "identity") => {}
        Some(other) => return Err(ApiError::unsupported_media_type(other)),
    }
    match content_type(headers)? {
        ContentType::Json => params.merge_json(body),
        ContentType::Form => {
            params.merge_form(&String::from_utf8_lossy(body));
            Ok(())
        }
        ContentType::Unknown if body.trim_ascii_start().starts_with(b"{") => params.merge_json(body),
        ContentType::Unknown => Ok(()),
    }
}

/// Reads a whole body, but no more than [`MAX_BODY`] bytes.
pub(crate) async fn read_body<B>(headers: &HeaderMap, body: B) -> Result<Bytes, ApiError>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || ApiError::too_large(format!("Request body size exceeds {MAX_BODY}"));
    let announced = header_text(headers, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(ApiError::bad_request("the request body did not arrive")),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::Full;

    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn accept_has_to_admit_json() {
        for (accept, ok) in [
            ("application/json", true),
            ("*/*", true),
            ("", true),
            ("text/html, application/*;q=0.5", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("application/jsonx", false),
        ] {
            assert_eq!(check_accept(&headers(&[("accept", accept)])).is_ok(), ok, "{accept}");
        }
        assert!(check_accept(&HeaderMap::new()).is_ok());
        let error = check_accept(&headers(&[("accept", "text/html")])).unwrap_err();
        assert_eq!((error.status.as_u16(), &*error.code), (406, "WrongAccept"));
    }

    #[test]
    fn bodies_are_read_by_their_type() {
        let check = |list: &[(&'static str, &str)], body: &str, expected: Result<Option<&str>, u16>| {
            let mut params = Params::default();
            let found = merge_body(&mut params, &headers(list), body.as_bytes());
            let found = found.map(|()| params.text("a")).map_err(|error| error.status.as_u16());
            assert_eq!(found, expected.map(|it| it.map(Into::into)), "{list:?} {body}");
        };
        check(&[("content-type", "application/json")], r#"{"a": "x"}"#, Ok(Some("x")));
        check(&[("content-type", "application/json; charset=utf-8")], r#"{"a": 1}"#, Ok(Some("1")));
        check(&[("content-type", "application/x-www-form-urlencoded")], "a=x+y", Ok(Some("x y")));
        check(&[("content-type", "application/json")], "a=x", Err(400));
        check(&[("content-type", "text/xml")], "<a/>", Err(415));
        check(&[("content-type", "text/xml")], "", Ok(None));
        check(&[], "", Ok(None));
        check(&[], r#" {"a": "x"}"#, Ok(Some("x")));
        check(&[], "a=x", Ok(None));
        check(&[("content-encoding", "gzip"), ("content-type", "application/json")], "{}", Err(415));
        check(&[("content-md5", "AAAA"), ("content-type", "application/json")], "{}", Err(400));
        check(
            &[("content-md5", "mZFLkyvTelC5g8XnyQrpOw=="), ("content-type", "application/json")],
            "{}",
            Ok(None),
        );
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_read() {
        let read = async |length: usize, announced: Option<usize>| {
            let list = announced.map(|length| ("content-length", length.to_string()));
            let list: Vec<_> = list.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let body = Full::new(Bytes::from(vec![b' '; length]));
            read_body(&headers(&list), body)
                .await
                .map(|body| body.len())
                .map_err(|error| error.status.as_u16())
        };
        assert_eq!(read(MAX_BODY, None).await, Ok(MAX_BODY));
        assert_eq!(read(MAX_BODY + 1, None).await, Err(413));
        assert_eq!(read(0, Some(MAX_BODY + 1)).await, Err(413));
    }

    #[test]
    fn the_caller_is_the_last_forwarded_address_or_the_peer() {
        let peer = IpAddr::from([127, 0, 0, 1]);
        for (forwarded, expected) in
            [("10.0.0.1, 10.0.0.2", "10.0.0.2"), ("", "127.0.0.1"), ("nonsense", "127.0.0.1")]
        {
            let found = caller_address(&headers(&[("x-forwarded-for", forwarded)]), peer);
            assert_eq!(found.to_string(), expected);
        }
        assert_eq!(caller_address(&HeaderMap::new(), peer), peer);
    }
}
