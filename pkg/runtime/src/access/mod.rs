//! Who may ask a server what: authentication and authorisation that are left to the API server, as in Kubernetes' own
//! components.
//!
//! A [`Gate`] stands before a server's paths. Who asks is said by a client certificate of the cluster's authority, else by
//! a bearer token, which the API server reviews (`TokenReview`). What they may do is the API server's word, too
//! (`SubjectAccessReview`). Both answers are kept for some seconds. Some paths are open to all.
//!
//! Kubernetes' components differ in one thing: there, whoever says nothing is the user `system:anonymous`, who may be
//! given rights. Here they are refused with 401. Users named by the headers of a proxy (`--requestheader-*`) are not
//! supported.

mod authentication;
mod authorities;
mod authorization;
mod gate;
#[cfg(test)]
mod scripted;

pub use self::authorities::{AuthoritiesError, ClientAuthorities};
pub use self::authorization::Access;
pub use self::gate::{AllowedPath, Gate, GateError, Refusal, Settings};

use std::collections::BTreeMap;

/// The group of all who said who they are.
const AUTHENTICATED: &str = "system:authenticated";

/// Who asks, in the API server's terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// The name, such as `system:serviceaccount:monitoring:prometheus`.
    pub name: String,
    /// What tells users of one name apart, where the API server says it.
    pub uid: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// Whatever else the API server says of them.
    pub extra: BTreeMap<String, Vec<String>>,
}
