//! Authentication (provisional: the seam only).

use futures::future::BoxFuture;

/// What of a request an authenticator may depend on.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path and query exactly as sent.
    pub target: &'a str,
    /// Value of the `Date` header.
    pub date: &'a str,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign")]
pub struct AuthError;

/// Gives requests their `Authorization`.
pub trait Authenticate: Send + Sync + std::fmt::Debug {
    /// The value of the `Authorization` header for one request.
    fn authorization<'a>(
        &'a self,
        head: RequestHead<'a>,
    ) -> BoxFuture<'a, Result<http::HeaderValue, AuthError>>;
}
