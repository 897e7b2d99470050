//! A request that may be carried out, as its endpoint gets it.

use std::str::FromStr;

use http::{HeaderMap, Method};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use semver::Version;
use triton::id::{AccountId, InstanceId};

use super::CloudApi;
use super::error::ApiError;
use super::params::{Params, path_segments};
use super::routes::Operation;
use crate::faults::Decision;
use crate::world::{Caller, World};

/// What JavaScript's `encodeURIComponent` encodes, which writes the paths in `Location`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// A request of somebody who may make it.
pub(crate) struct Call<'a> {
    pub(crate) api: &'a CloudApi,
    pub(crate) operation: Operation,
    pub(crate) method: &'a Method,
    pub(crate) params: Params,
    pub(crate) version: &'static Version,
    /// The account that the request is about, which need not be the signer's.
    pub(crate) account: AccountId,
    /// Its login.
    pub(crate) login: String,
    /// Who asked, for the audit.
    pub(crate) caller: Caller,
    pub(crate) headers: &'a HeaderMap,
    /// The path as sent, without the query.
    pub(crate) path: &'a str,
    /// The roles that a sub-user acts in, by name.
    pub(crate) roles: Vec<String>,
    pub(crate) decision: &'a Decision,
}

impl Call<'_> {
    /// Reads the truth.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        self.api.engine.read(read)
    }

    /// Changes the truth.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        self.api.engine.write(write)
    }

    /// The text of a parameter of the path.
    pub(crate) fn path_param(&self, name: &str) -> String {
        self.params.text(name).unwrap_or_default().into_owned()
    }

    /// An id in the path. What is no id is the id of nothing.
    pub(crate) fn id<T: FromStr>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.path_param(name);
        text.parse().map_err(|_| ApiError::not_found(format!("{text} not found")))
    }

    /// The instance in the path.
    pub(crate) fn machine(&self) -> Result<InstanceId, ApiError> {
        self.id("machine").map_err(|_| ApiError::not_found("VM not found"))
    }

    /// A path below the account, each of its parts encoded.
    pub(crate) fn location(&self, parts: &[&str]) -> String {
        let mut path = format!("/{}", self.login);
        for part in parts {
            path.push('/');
            path.extend(utf8_percent_encode(part, COMPONENT));
        }
        path
    }

    /// The path without the account, decoded.
    pub(crate) fn path_below_account(&self) -> String {
        below_account(self.path)
    }

    /// The roles in the header `role-tag`, when there is one.
    pub(crate) fn role_tag_header(&self) -> Option<Vec<String>> {
        let text = super::request::header_text(self.headers, "role-tag")?;
        Some(text.split(',').map(|role| role.trim().to_owned()).filter(|role| !role.is_empty()).collect())
    }
}

/// What follows the account in a path, decoded.
pub(super) fn below_account(path: &str) -> String {
    let mut segments = path_segments(path).unwrap_or_default().into_iter();
    segments.next();
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_below_the_account_is_decoded() {
        for (path, expected) in
            [("/my", ""), ("/my/keys/2e%3ac9", "keys/2e:c9"), ("//my//machines/", "machines"), ("/", "")]
        {
            assert_eq!(below_account(path), expected, "{path}");
        }
    }
}
