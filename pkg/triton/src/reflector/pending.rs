//! Writes that were accepted but that reads do not show yet. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::types::{Instance, InstanceState, Metadata, Tags};

/// How long a write is believed against reads that do not show it. CloudAPI's jobs take seconds, and the jobs
/// of one instance wait for each other (reference 2.17); what has not come true by then has failed.
pub const PENDING_FOR: Duration = Duration::from_secs(120);

/// What a write asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expectation {
    /// The instance was just created; lists and reads may not know it yet.
    Created,
    /// The instance is being deleted.
    Gone,
    /// The instance is on its way to this state.
    State(InstanceState),
    /// It was renamed.
    Name(Box<str>),
    /// It is being resized to the package of this name.
    Package(Box<str>),
    /// Its firewall was switched.
    FirewallEnabled(bool),
    /// Its protection against deletion was switched.
    DeletionProtection(bool),
    /// Tags were merged in or removed.
    Tags {
        /// Set to these values.
        set: Tags,
        /// No longer there.
        removed: BTreeSet<String>,
    },
    /// Metadata was merged in or removed.
    Metadata {
        /// Set to these values.
        set: Metadata,
        /// No longer there.
        removed: BTreeSet<String>,
    },
}

/// One write that is waiting to be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// What was asked for.
    pub expectation: Expectation,
    /// When it stops being believed.
    pub expires: Instant,
}

impl Expectation {
    /// Whether an observed instance shows it done.
    pub(super) fn is_met(&self, instance: &Instance) -> bool {
        match self {
            Self::Created => true,
            Self::Gone => false,
            Self::State(state) => instance.state == *state,
            Self::Name(name) => instance.name == *name,
            Self::Package(package) => instance.package.as_ref() == Some(package),
            Self::FirewallEnabled(on) => instance.firewall_enabled == *on,
            Self::DeletionProtection(on) => instance.deletion_protection == *on,
            Self::Tags { set, removed } => {
                set.iter().all(|(key, value)| instance.tags.get(key) == Some(value))
                    && !removed.iter().any(|key| instance.tags.contains_key(key))
            }
            Self::Metadata { set, removed } => {
                set.iter().all(|(key, value)| instance.metadata.get(key) == Some(value))
                    && !removed.iter().any(|key| instance.metadata.contains_key(key))
            }
        }
    }

    /// Shows on an instance what was asked for. Existence and states are not shown: a stop that was asked for
    /// is not a stop, and decisions on them need the observed truth.
    pub(super) fn overlay(&self, instance: &mut Instance) {
        match self {
            Self::Created | Self::Gone | Self::State(_) => {}
            Self::Name(name) => instance.name.clone_from(name),
            Self::Package(package) => instance.package = Some(package.clone()),
            Self::FirewallEnabled(on) => instance.firewall_enabled = *on,
            Self::DeletionProtection(on) => instance.deletion_protection = *on,
            Self::Tags { set, removed } => {
                instance.tags.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
                instance.tags.retain(|key, _| !removed.contains(key));
            }
            Self::Metadata { set, removed } => {
                for (key, value) in set.iter() {
                    instance.metadata.insert(key, value);
                }
                for key in removed {
                    instance.metadata.remove(key);
                }
            }
        }
    }

    /// Whether [`Expectation::overlay`] leaves every instance as it is.
    pub(super) fn shows_nothing(&self) -> bool {
        matches!(self, Self::Created | Self::Gone | Self::State(_))
    }

    /// Whether this later write makes an earlier one moot: the same single property, or deletion.
    pub(super) fn replaces(&self, earlier: &Self) -> bool {
        matches!(
            (self, earlier),
            (Self::Gone, _)
                | (Self::State(_), Self::State(_))
                | (Self::Name(_), Self::Name(_))
                | (Self::Package(_), Self::Package(_))
                | (Self::FirewallEnabled(_), Self::FirewallEnabled(_))
                | (Self::DeletionProtection(_), Self::DeletionProtection(_))
        )
    }

    /// Drops from this earlier write of tags or metadata the keys that a later one wrote. False when nothing
    /// of it is left to wait for.
    pub(super) fn yield_to(&mut self, later: &Self) -> bool {
        match (self, later) {
            (Self::Tags { set, removed }, Self::Tags { set: new, removed: gone }) => {
                let rewritten = |key: &String| new.contains_key(key) || gone.contains(key);
                set.retain(|key, _| !rewritten(key));
                removed.retain(|key| !rewritten(key));
                !(set.is_empty() && removed.is_empty())
            }
            (Self::Metadata { set, removed }, Self::Metadata { set: new, removed: gone }) => {
                let rewritten = |key: &str| new.contains_key(key) || gone.contains(key);
                let keys: Vec<String> = set.keys().filter(|key| rewritten(key)).map(str::to_owned).collect();
                for key in keys {
                    set.remove(&key);
                }
                removed.retain(|key| !rewritten(key));
                !(set.is_empty() && removed.is_empty())
            }
            (earlier, later) => !later.replaces(earlier),
        }
    }
}
