//! One call of CloudAPI as a value, before it is signed and sent.

use bytes::Bytes;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::retry::Repeat;
use crate::budget::Priority;
use crate::error::{Error, Kind};

/// Everything except RFC 3986's unreserved characters is encoded in a path segment: fingerprints have colons,
/// tag names dots and blanks.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same in a query, except what CloudAPI's own clients leave readable.
const QUERY: &AsciiSet = &SEGMENT.remove(b'*').remove(b',');

/// A call: what to do, to what, and what may be done when it fails. Not `Debug`: bodies carry metadata, which
/// may be secret.
pub(crate) struct Call {
    pub(super) operation: &'static str,
    pub(super) object: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Option<Bytes>,
    pub(super) repeat: Repeat,
    pub(super) priority: Priority,
    pub(super) also_accepted: &'static [StatusCode],
}

impl Call {
    /// A read. `operation` is CloudAPI's name of it, `object` what errors call its subject.
    pub(crate) fn get(operation: &'static str, object: impl Into<String>) -> Self {
        Self::new(operation, object, Method::GET, Repeat::Harmless, Priority::Status)
    }

    /// A POST that must not happen twice. Make it [`Call::repeatable`] where it may.
    pub(crate) fn post(operation: &'static str, object: impl Into<String>) -> Self {
        Self::new(operation, object, Method::POST, Repeat::OnlyIfRefused, Priority::Lifecycle)
    }

    /// A replacement.
    pub(crate) fn put(operation: &'static str, object: impl Into<String>) -> Self {
        Self::new(operation, object, Method::PUT, Repeat::Harmless, Priority::Lifecycle)
    }

    /// A deletion.
    pub(crate) fn delete(operation: &'static str, object: impl Into<String>) -> Self {
        Self::new(operation, object, Method::DELETE, Repeat::Harmless, Priority::Lifecycle)
    }

    fn new(
        operation: &'static str,
        object: impl Into<String>,
        method: Method,
        repeat: Repeat,
        priority: Priority,
    ) -> Self {
        Self {
            operation,
            object: object.into(),
            method,
            path: String::new(),
            query: String::new(),
            body: None,
            repeat,
            priority,
            also_accepted: &[],
        }
    }

    /// Appends path segments below `/:account`, encoding each.
    pub(crate) fn path<S: AsRef<str>>(mut self, segments: impl IntoIterator<Item = S>) -> Self {
        for segment in segments {
            self.path.push('/');
            match segment.as_ref() {
                // A lone dot or two is a relative reference that proxies resolve, and has no encoded form.
                // Encoding the dots keeps the request below its own path; the server then knows no such name.
                "." => self.path.push_str("%2E"),
                ".." => self.path.push_str("%2E%2E"),
                other => self.path.extend(utf8_percent_encode(other, SEGMENT)),
            }
        }
        self
    }

    /// Appends query parameters, encoding names and values.
    pub(crate) fn query<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        for (name, value) in pairs {
            push_pair(&mut self.query, name.as_ref(), value.as_ref());
        }
        self
    }

    /// Sets a JSON body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        match serde_json::to_vec(body) {
            Ok(bytes) => {
                self.body = Some(bytes.into());
                Ok(self)
            }
            Err(source) => Err(Error::new(
                Kind::Invalid,
                self.operation,
                self.object,
                "the request cannot be written as JSON",
            )
            .caused_by(source)
            .never_sent()),
        }
    }

    /// Says that doing it twice is the same as doing it once.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Harmless;
        self
    }

    /// Sets how urgent the call is where its operation's usual priority is not right.
    pub(crate) fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Statuses that are answers to this call although they are not successes, such as 410 for a read.
    pub(crate) fn accept(mut self, statuses: &'static [StatusCode]) -> Self {
        self.also_accepted = statuses;
        self
    }

    /// Path and query as sent: `/acct/machines?limit=5`.
    pub(super) fn target(&self, account_path: &str, roles: &str) -> String {
        let mut query = self.query.clone();
        if !roles.is_empty() {
            push_pair(&mut query, "as-role", roles);
        }
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{account_path}{}{mark}{query}", self.path)
    }

    /// An error about this call.
    pub(crate) fn error(&self, kind: Kind, message: impl Into<String>) -> Error {
        Error::new(kind, self.operation, self.object.clone(), message)
    }
}

/// Encodes the account, which is the first segment of every path.
pub(super) fn account_segment(account: &str) -> String {
    utf8_percent_encode(account, SEGMENT).to_string()
}

fn push_pair(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.extend(utf8_percent_encode(name, QUERY));
    query.push('=');
    query.extend(utf8_percent_encode(value, QUERY));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_encoded_and_carry_the_roles() {
        let call = Call::get("ListMachines", "instances")
            .path(["machines"])
            .query([("tag.triton.cns.services", "web:80,api"), ("name", "a b&c")]);
        assert_eq!(
            call.target("/acme", "ops,dev"),
            "/acme/machines?tag.triton.cns.services=web%3A80,api&name=a%20b%26c&as-role=ops,dev"
        );
        let call = Call::delete("DeleteKey", "key").path(["keys", "2e:c9/../é"]);
        assert_eq!(call.target("/acme", ""), "/acme/keys/2e%3Ac9%2F..%2F%C3%A9");
    }

    #[test]
    fn a_name_of_dots_cannot_climb_out_of_its_path() {
        for (name, encoded) in [(".", "%2E"), ("..", "%2E%2E"), ("...", "...")] {
            let call = Call::get("GetMachineTag", "tag").path(["tags", name]);
            assert_eq!(call.target("/acme", ""), format!("/acme/tags/{encoded}"));
        }
    }
}
