//! What CloudAPI answers when it does not do what it was asked (reference 2.4).

use std::borrow::Cow;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// One wrong field, in the `errors` list of an error's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// The field, in the server's own terms: the name of an instance is its `alias`.
    pub(crate) field: String,
    /// Such as `Duplicate`.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
}

/// A failed request: status, code and message of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    /// What few errors have, kept apart so that results stay small.
    details: Option<Box<Details>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    errors: Vec<FieldError>,
    /// Headers that belong to the error, such as `Allow`.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A destroyed instance, which is the body instead of code and message (410).
    instance: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

macro_rules! constructors {
    ($( $(#[$meta:meta])* $name:ident = $status:ident $code:literal; )*) => {$(
        $(#[$meta])*
        pub(crate) fn $name(message: impl Into<String>) -> Self {
            Self::new(StatusCode::$status, $code, message)
        }
    )*};
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), details: None }
    }

    /// 410 with a destroyed instance as the body.
    pub(crate) fn gone(instance: Option<Vec<u8>>) -> Self {
        let mut error = Self::new(StatusCode::GONE, "ResourceNotFound", "VM not found");
        error.details_mut().instance = instance;
        error
    }

    fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    constructors! {
        invalid_header = BAD_REQUEST "InvalidHeader";
        invalid_content = BAD_REQUEST "InvalidContent";
        invalid_version = BAD_REQUEST "InvalidVersion";
        request_expired = BAD_REQUEST "RequestExpired";
        bad_digest = BAD_REQUEST "BadDigest";
        bad_request = BAD_REQUEST "BadRequestError";
        invalid_credentials = UNAUTHORIZED "InvalidCredentials";
        not_authorized = FORBIDDEN "NotAuthorized";
        not_found = NOT_FOUND "ResourceNotFound";
        method_not_allowed = METHOD_NOT_ALLOWED "MethodNotAllowedError";
        wrong_accept = NOT_ACCEPTABLE "WrongAccept";
        /// 409, not 400 (reference 2.4).
        invalid_argument = CONFLICT "InvalidArgument";
        missing_parameter = CONFLICT "MissingParameter";
        validation_failed = CONFLICT "ValidationFailed";
        too_large = PAYLOAD_TOO_LARGE "RequestEntityTooLargeError";
        unsupported_media_type = UNSUPPORTED_MEDIA_TYPE "UnsupportedMediaTypeError";
        throttled = TOO_MANY_REQUESTS "TooManyRequestsError";
        internal = INTERNAL_SERVER_ERROR "InternalError";
        unavailable = SERVICE_UNAVAILABLE "ServiceUnavailableError";
    }

    /// With one more wrong field.
    pub(crate) fn field(
        mut self,
        field: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let error = FieldError { field: field.into(), code: code.into(), message: message.into() };
        self.details_mut().errors.push(error);
        self
    }

    /// With one more header, unless the value cannot be in one.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.details_mut().headers.push((name, value));
        }
        self
    }

    /// The body: an object with `code` and `message`, and `errors` when there are wrong fields.
    pub(crate) fn body(&self) -> Vec<u8> {
        let none = Details::default();
        let details = self.details.as_deref().unwrap_or(&none);
        if let Some(instance) = &details.instance {
            return instance.clone();
        }
        let body = Body { code: &self.code, message: &self.message, errors: &details.errors };
        // Strings always serialise; the fallback keeps the promise that every error has an object.
        serde_json::to_vec(&body)
            .unwrap_or_else(|_| b"{\"code\":\"InternalError\",\"message\":\"\"}".to_vec())
    }

    /// The headers that belong to the error.
    pub(crate) fn into_headers(self) -> Vec<(HeaderName, HeaderValue)> {
        self.details.map(|details| details.headers).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_an_object_with_code_and_message_and_its_fields_if_any() {
        let check = |error: &ApiError, expected: &str| {
            assert_eq!(String::from_utf8(error.body()).expect("UTF-8"), expected);
        };
        check(&ApiError::not_found("x"), r#"{"code":"ResourceNotFound","message":"x"}"#);
        check(
            &ApiError::validation_failed("bad").field("alias", "Duplicate", "exists"),
            r#"{"code":"ValidationFailed","message":"bad","errors":[{"field":"alias","code":"Duplicate","message":"exists"}]}"#,
        );
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_left_out() {
        let error = ApiError::not_found("x").header(http::header::ALLOW, "a\nb");
        assert_eq!(error.into_headers(), []);
    }
}
