//! What the API server said, in one readable line.

use std::error::Error;
use std::fmt;

/// A failed call. Prints as the server's own message with code and reason; kube's own text repeats the whole status
/// object.
#[derive(Debug)]
pub struct ApiError(kube::Error);

impl ApiError {
    /// The HTTP status that the API server answered with; `None` when it did not answer.
    pub fn code(&self) -> Option<u16> {
        match &self.0 {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// kube's own error.
    pub fn into_inner(self) -> kube::Error {
        self.0
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            kube::Error::Api(status) => write!(f, "{} ({} {})", status.message, status.code, status.reason),
            kube::Error::Service(error) => error.fmt(f),
            other => other.fmt(f),
        }
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            kube::Error::Api(_) => None,
            kube::Error::Service(error) => error.source(),
            other => other.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::exit::one_line;

    #[test]
    fn reads_as_the_servers_own_words() {
        let status = Status::failure("nodes \"n\" is forbidden", "Forbidden").with_code(403);
        let error = ApiError::from(kube::Error::Api(status.boxed()));
        assert_eq!(one_line(&error), "nodes \"n\" is forbidden (403 Forbidden)");
        assert_eq!(error.code(), Some(403));
        let error = ApiError::from(kube::Error::Service("refused".into()));
        assert_eq!((one_line(&error).as_str(), error.code()), ("refused", None));
    }
}
