//! The address of a CloudAPI.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// The base URL of a CloudAPI: `https://cloudapi.dc1.example.com`. One is one data centre.
///
/// Plain `http` is taken, too: signatures do not depend on it (Triton reference 1.11). A path before
/// CloudAPI's own is kept, a slash at its end is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    base_path: String,
}

/// A text that is no address of a CloudAPI. It is not repeated, because it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL with a host.
    #[error("not a URL: expected one such as https://cloudapi.example.com")]
    Malformed,
    /// Another protocol.
    #[error("the URL must start with https:// or http://, such as https://cloudapi.example.com")]
    Scheme,
    /// A user name or password before the host.
    #[error("the URL must not have a user name or password: CloudAPI is called with SSH keys")]
    UserInfo,
    /// Something after the path.
    #[error("the URL must end with the host or a path: leave out what follows ? or #")]
    Query,
}

impl Endpoint {
    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Host, and port if one is given.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What comes before CloudAPI's own paths: empty, or a path without a slash at its end.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EndpointError::Malformed);
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::HTTPS,
            "http" => Scheme::HTTP,
            _ => return Err(EndpointError::Scheme),
        };
        // http::Uri would drop a fragment without a word.
        if rest.contains(['?', '#']) {
            return Err(EndpointError::Query);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        let authority = uri.authority().ok_or(EndpointError::Malformed)?.clone();
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if authority.host().is_empty() || (!port.is_empty() && authority.port_u16().is_none()) {
            return Err(EndpointError::Malformed);
        }
        Ok(Self { scheme, authority, base_path: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_and_printed_without_a_slash_at_the_end() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Endpoint>().map(|it| it.to_string()).as_deref(), Ok(expected), "{text}");
        };
        check("https://cloudapi.example.com", "https://cloudapi.example.com");
        check("https://cloudapi.example.com/", "https://cloudapi.example.com");
        check(" HTTPS://cloudapi.example.com:8443// \n", "https://cloudapi.example.com:8443");
        check("http://127.0.0.1:8080/base/", "http://127.0.0.1:8080/base");
        check("http://[::1]:8080", "http://[::1]:8080");
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        let check = |text: &str, expected: EndpointError| {
            assert_eq!(text.parse::<Endpoint>(), Err(expected), "{text}");
        };
        check("", EndpointError::Malformed);
        check("cloudapi.example.com", EndpointError::Malformed);
        check("https://", EndpointError::Malformed);
        check("https:///x", EndpointError::Malformed);
        check("https://a b", EndpointError::Malformed);
        check("https://a:99999", EndpointError::Malformed);
        check("https://a:", EndpointError::Malformed);
        check("ftp://a", EndpointError::Scheme);
        check("https://a/?x=y", EndpointError::Query);
        check("https://a/#x", EndpointError::Query);
        check("https://user:hunter2@a", EndpointError::UserInfo);
        let error = "https://user:hunter2@a".parse::<Endpoint>().expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn printed_endpoints_are_read_back(text in "https?://([a-z0-9.:/@%]|.){0,30}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }
    }
}
