//! What a program may do in the cluster, by its own manifests, and whether it may.
//!
//! The manifests are the one list of rights: [`Manifest::rights`] reads it, and [`review()`] asks the API server about each. A program
//! whose flags name other objects than its manifests do [renames](Right::renamed) these first.

mod manifest;
mod review;

use std::fmt;

pub use self::manifest::{Manifest, ManifestError};
pub(crate) use self::review::review;

/// A right, in the terms of RBAC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Where; `None` for the whole cluster.
    pub namespace: Option<String>,
    /// The API group; empty for the core one.
    pub group: String,
    /// The resource in the plural.
    pub resource: String,
    /// The sub-resource, such as `status`.
    pub subresource: Option<String>,
    /// The one object that it is about; `None` for all.
    pub name: Option<String>,
    /// The verb, such as `patch`.
    pub verb: String,
}

impl Right {
    /// Whether it is about this resource, such as `leases`.
    pub fn concerns(&self, resource: &str) -> bool {
        self.resource == resource
    }

    /// The same right to another object, where it is about one of this name.
    #[must_use]
    pub fn renamed(self, from: &str, to: &str) -> Self {
        let name = self.name.map(|name| if name == from { to.to_owned() } else { name });
        Self { name, ..self }
    }

    /// The same right in another namespace, where it is about one.
    #[must_use]
    pub fn moved(self, to: &str) -> Self {
        let namespace = self.namespace.map(|_| to.to_owned());
        Self { namespace, ..self }
    }
}

/// Such as `patch services/status`, `get secrets "triton-credentials" in kube-system`.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(subresource) = &self.subresource {
            write!(f, "/{subresource}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}
