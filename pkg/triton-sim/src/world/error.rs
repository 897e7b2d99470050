//! Why the data centre refuses a request, in the form CloudAPI reports it (reference 2.4).

use std::borrow::Cow;
use std::sync::Arc;

use triton::id::InstanceId;

use super::machine::{Mac, Machine};

/// Why a request was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorldError {
    /// The instance is destroyed: CloudAPI answers 410 with the machine object and no error object.
    #[error("instance {} was deleted", .0.id)]
    Gone(Arc<Machine>),
    /// The instance already has a NIC on that network: CloudAPI answers 302 with its path and no body.
    #[error("instance {instance} already has NIC {mac} on that network")]
    NicExists {
        /// The instance.
        instance: InstanceId,
        /// The NIC it has.
        mac: Mac,
    },
    /// Everything that CloudAPI answers with an error object.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
}

/// The error object of CloudAPI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// CloudAPI's word, such as `InvalidArgument`; with or without `Error` at its end as the server has it.
    pub code: Cow<'static, str>,
    /// The text for people.
    pub message: String,
    /// Which fields are wrong; empty when the object has no `errors`.
    pub errors: Vec<FieldError>,
}

/// An element of `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field, such as `alias`.
    pub field: String,
    /// What is wrong with it, such as `Duplicate`.
    pub code: &'static str,
    /// The text for people, where there is one.
    pub message: Option<String>,
}

impl FieldError {
    /// A field with a value that cannot be.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), code: "Invalid", message: Some(message.into()) }
    }
}

impl WorldError {
    /// An error of any status and code.
    pub fn refused(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        errors: Vec<FieldError>,
    ) -> Self {
        Self::Refused(Box::new(Refusal { status, code: code.into(), message: message.into(), errors }))
    }

    fn simple(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::refused(status, code, message, Vec::new())
    }

    /// 404: there is no such object, or it is another account's.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::simple(404, "ResourceNotFound", message)
    }

    /// 409: a bad value.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::simple(409, "InvalidArgument", message)
    }

    /// 409: a required parameter is absent.
    pub fn missing_parameter(message: impl Into<String>) -> Self {
        Self::simple(409, "MissingParameter", message)
    }

    /// 409: VMAPI refuses these fields.
    pub fn validation_failed(message: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Self::refused(409, "ValidationFailed", message, errors)
    }

    /// 409 with a code of its own, such as `VolumeInUse`.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::simple(409, code, message)
    }

    /// 422: FWAPI and NAPI refuse these fields.
    pub fn invalid_parameters(message: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Self::refused(422, "InvalidParameters", message, errors)
    }

    /// 403: not allowed, or over a quota.
    pub fn not_authorized(message: impl Into<String>) -> Self {
        Self::simple(403, "NotAuthorized", message)
    }

    /// 503: one of the simulator's own bounds is reached; Triton would grow slow instead.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::simple(503, "ServiceUnavailableError", message)
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Gone(_) => 410,
            Self::NicExists { .. } => 302,
            Self::Refused(refusal) => refusal.status,
        }
    }

    /// The error object, unless the answer has none.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Gone(_) | Self::NicExists { .. } => None,
        }
    }
}
