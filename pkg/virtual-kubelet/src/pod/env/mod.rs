//! The container's environment, which an instance gets as the metadata key `user-data`.
//!
//! [`references()`] says which ConfigMaps and Secrets a pod needs; [`resolve()`] makes its variables of them, purely, as a
//! kubelet does: first `envFrom`, then `env` in its order with `$(VAR)` expanded from what is before it and from
//! service variables, and at last the service variables that nothing else set.
//!
//! What an instance has and a container has not: it is there before its address is known, and its environment can
//! change while it runs. A variable that needs an unknown address is left out until it is known, and so is one
//! that refers to such a variable; a later write of the metadata adds it.

mod expand;
mod fields;
mod references;
mod resolve;
mod services;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use provider::digest;

pub use self::references::{Reference, ReferenceKind, references};
pub use self::resolve::resolve;
pub use self::sources::{Known, Source, Sources};
use super::{Refusal, Warning};

/// What is known of a container's environment, and what to tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The environment, or why there is none yet.
    pub outcome: Outcome,
    /// Events, by the reasons of a kubelet: `OptionalSecretNotFound`, `InvalidEnvironmentVariableNames`.
    pub warnings: Vec<Warning>,
}

/// How far an environment could be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it that can be known now.
    Complete(Environment),
    /// A source has not been read yet; it is no error, and nothing to tell anybody.
    Waiting(Waiting),
    /// It cannot be, until a source or the pod changes.
    Refused(Refusal),
}

/// What an environment waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// A ConfigMap or a Secret.
    Reference(Reference),
    /// The Services.
    Services,
}

/// The variables of a container. Their values may be secret: `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Those that the pod sets.
    own: BTreeMap<String, Box<str>>,
    /// Those of Services. As in a container they are those of the time of the start: that a Service comes or goes is
    /// no reason to write to every instance of its namespace.
    services: BTreeMap<String, Box<str>>,
    /// Those of the pod's that wait for an address.
    deferred: BTreeSet<String>,
}

impl Environment {
    /// Whether there is no variable, also none that waits.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.services.is_empty() && self.deferred.is_empty()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all: BTreeMap<&str, &str> =
            self.services.iter().chain(&self.own).map(|(name, value)| (name.as_str(), &**value)).collect();
        all.into_iter()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.own.get(name).or_else(|| self.services.get(name)).map(|value| &**value)
    }

    /// The variables that wait for an address.
    pub fn deferred(&self) -> impl Iterator<Item = &str> {
        self.deferred.iter().map(String::as_str)
    }

    /// Whether the pod itself sets variables, be their values known or not.
    pub fn has_own(&self) -> bool {
        !self.own.is_empty() || !self.deferred.is_empty()
    }

    /// The metadata value: `{"env_vars":{…}}` with sorted names; `None` when there is no variable.
    pub fn user_data(&self) -> Option<String> {
        let variables: BTreeMap<&str, &str> = self.iter().collect();
        let object = BTreeMap::from([(ENV_VARS, &variables)]);
        // Cannot fail: keys and values are texts.
        (!variables.is_empty()).then(|| serde_json::to_string(&object).ok()).flatten()
    }

    /// A digest of the names of the pod's own variables, also of those that wait. It tells whether the variables of an
    /// instance are of the same set, and nothing of their values.
    pub fn names_digest(&self) -> String {
        let names: BTreeSet<&str> = self.own.keys().chain(&self.deferred).map(String::as_str).collect();
        digest::short(names)
    }

    /// Whether a `user-data` that was written earlier has all of the pod's own variables that are known now, with
    /// these values. Variables of Services may differ.
    pub fn is_in(&self, user_data: &str) -> bool {
        let written: Option<BTreeMap<String, BTreeMap<String, String>>> =
            serde_json::from_str(user_data).ok();
        let Some(variables) = written.as_ref().and_then(|object| object.get(ENV_VARS)) else {
            return false;
        };
        self.own.iter().all(|(name, value)| variables.get(name).is_some_and(|written| **written == **value))
    }
}

/// The only key of the object.
const ENV_VARS: &str = "env_vars";

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("own", &self.own.keys())
            .field("services", &self.services.keys())
            .field("deferred", &self.deferred)
            .finish()
    }
}

#[cfg(test)]
mod tests;
