//! What can go wrong with a call of CloudAPI, told once for users, logs and code.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

/// Any error that a lower layer can give.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The class of a failure, for decisions and metric labels. [`Kind::as_str`] never changes for a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request could not be signed: key, passphrase or ssh-agent.
    Credentials,
    /// The server does not accept the signature (401).
    Unauthorized,
    /// The server finds the request's date too far from its own clock (reference 1.1).
    ClockSkew,
    /// The account may not do this (403).
    Forbidden,
    /// A provisioning limit is reached (403, "Quota exceeded").
    QuotaExceeded,
    /// No such object, or not visible to this account (404). Not proof that an instance is gone.
    NotFound,
    /// The instance is destroyed (410) and the operation needs a living one.
    Gone,
    /// A name or address is taken (409 `ValidationFailed` with `Duplicate`, `UsedBy`).
    Duplicate,
    /// The object's state forbids the operation (409: protected, in use, still provisioning).
    Conflict,
    /// A parameter is missing or wrong (400, 409, 413, 422).
    Invalid,
    /// Too many requests (429).
    Throttled,
    /// The service is down or read-only for now (502, 503, 504).
    Unavailable,
    /// The server failed (other 5xx).
    Server,
    /// The datacenter does not offer this (405, 501).
    NotSupported,
    /// No answer within the deadline.
    Timeout,
    /// No connection: name, route, TLS.
    Unreachable,
    /// The connection broke while the answer was due.
    Interrupted,
    /// An answer that is not CloudAPI's: torn or undecodable body, wrong object, unexpected status.
    Protocol,
}

impl Kind {
    /// A stable name for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Unauthorized => "unauthorized",
            Self::ClockSkew => "clock_skew",
            Self::Forbidden => "forbidden",
            Self::QuotaExceeded => "quota_exceeded",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Server => "server",
            Self::NotSupported => "not_supported",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
            Self::Protocol => "protocol",
        }
    }

    /// What a person can do about it, where the kind alone tells.
    fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Unauthorized => {
                "check that the account and the key fingerprint are right and that the key is on the account \
                 (a key just added may take seconds to be known)"
            }
            Self::ClockSkew => "set this machine's clock; the server accepts 300 s of difference",
            Self::Forbidden => "check the sub-user's roles and policies, or name a role with as-role",
            Self::QuotaExceeded => "delete instances or ask the operator to raise the account's limits",
            Self::Throttled => "send fewer requests, or lower the configured request rate",
            Self::Unreachable => "check the CloudAPI URL, the network and the TLS settings",
            _ => return None,
        })
    }
}

/// A failed call: which operation on which object, what the server said, and what may have happened.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    operation: &'static str,
    object: String,
    message: String,
    status: Option<StatusCode>,
    code: Option<String>,
    request_id: Option<String>,
    unsent: bool,
    source: Option<BoxError>,
}

/// The result of a call of CloudAPI.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(
        kind: Kind,
        operation: &'static str,
        object: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            object: object.into(),
            message: message.into(),
            status: None,
            code: None,
            request_id: None,
            unsent: false,
            source: None,
        }))
    }

    pub(crate) fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks that no byte of the request reached the server.
    pub(crate) fn never_sent(mut self) -> Self {
        self.0.unsent = true;
        self
    }

    pub(crate) fn answered(
        mut self,
        status: StatusCode,
        code: Option<String>,
        request_id: Option<String>,
    ) -> Self {
        self.0.status = Some(status);
        self.0.code = code;
        self.0.request_id = request_id;
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// CloudAPI's name of the operation, such as `CreateMachine`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The object that the operation was for, such as `instance 8a5918c3-…`.
    pub fn object(&self) -> &str {
        &self.0.object
    }

    /// What went wrong, in the server's words where it had some.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status, when the server answered.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// CloudAPI's error code, such as `ResourceNotFound` (reference 2.4).
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The server's `Request-Id`, for the operator's logs.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the server may have acted on the request although it failed here. False when it was never
    /// sent or was refused; then repeating it cannot do it twice. After a create for which this is true, look
    /// for the instance before creating again.
    pub fn may_have_taken_effect(&self) -> bool {
        if self.0.unsent {
            return false;
        }
        match self.0.status {
            // An answer below 500 that is not a success is a refusal.
            Some(status) => status.is_success() || status.is_server_error(),
            None => true,
        }
    }
}

impl fmt::Display for Error {
    /// One line: operation, object, message, and the remedy where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{} for {}: {}", inner.operation, inner.object, inner.message)?;
        match (inner.status, &inner.code) {
            (Some(status), Some(code)) => write!(f, " ({} {code}", status.as_u16())?,
            (Some(status), None) => write!(f, " ({}", status.as_u16())?,
            (None, _) => write!(f, " ({}", inner.kind.as_str())?,
        }
        if let Some(id) = &inner.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")?;
        match inner.kind.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("object", &self.0.object)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("request_id", &self.0.request_id)
            .field("may_have_taken_effect", &self.may_have_taken_effect())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
