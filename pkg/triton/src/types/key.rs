//! SSH keys of an account (reference 2.8).

use crate::types::object::object;
use jiff::Timestamp;
use serde::Serialize;

object! {
    /// An SSH key that may sign requests and log in to instances.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Key("a key") {
        /// The fingerprint that identifies the key: MD5 as colon-separated hex in classic CloudAPI.
        identity fingerprint: Box<str> = "fingerprint",
        /// The key's name; the fingerprint when it was added without one.
        name: Box<str> = "name",
        /// The public key in OpenSSH text form.
        key: Box<str> = "key",
        /// Whether the key is held by a token that proved it.
        attested: bool = "attested",
        /// What the token asks for besides itself: `pin`, `touch`.
        multifactor: Box<[Box<str>]> = "multifactor",
        /// When the key was added, where the server says so.
        created: Option<Timestamp> = "created",
        /// Role tags (reference 1.6), where the server puts them in the body.
        role_tags: Box<[Box<str>]> = "role-tag",
    }
}

/// Adds an SSH key to the account. A key that is already there or cannot be read is a 409
/// `InvalidArgument`. It may not sign requests for some seconds (reference 6 no. 38).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateKey {
    /// The name; the server uses the fingerprint when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The public key in OpenSSH text form.
    pub key: String,
}
