//! Identifiers of Triton's objects: a UUID each, one type per kind of object.
//!
//! A package id cannot be passed where a network id is wanted. All of them print and parse as the
//! hyphenated lower-case form that CloudAPI uses in URLs and bodies.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A text that should have been an identifier is not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: expected a UUID such as 8a5918c3-84a2-4122-9ed5-60d76d7a8525")]
pub struct ParseIdError {
    kind: &'static str,
    text: Box<str>,
}

/// How much of a wrong identifier an error repeats: enough to find it, not a whole hostile text.
const SHOWN_CHARACTERS: usize = 64;

macro_rules! id_types {
    ($( $(#[$meta:meta])* $name:ident ($kind:literal); )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a bare UUID.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError {
                    kind: $kind,
                    text: text.chars().take(SHOWN_CHARACTERS).collect(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        /// The bare UUID: ids appear in logs as they appear in Triton's own tools.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

id_types! {
    /// An account (reference 2.8).
    AccountId("an account id");
    /// A compute node, the physical server that holds instances: the natural failure domain
    /// (reference 0).
    ComputeNodeId("a compute node id");
    /// A disk of a bhyve instance (reference 2.20).
    DiskId("a disk id");
    /// A firewall rule (reference 2.21).
    FirewallRuleId("a firewall rule id");
    /// An image (reference 2.9).
    ImageId("an image id");
    /// An instance, also called machine or VM (reference 2.11).
    InstanceId("an instance id");
    /// A network or a network pool (reference 2.22).
    NetworkId("a network id");
    /// A package (reference 2.10).
    PackageId("a package id");
    /// A volume (reference 2.23).
    VolumeId("a volume id");
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

    #[test]
    fn an_id_prints_as_it_was_read() {
        let id: InstanceId = TEXT.parse().unwrap();
        assert_eq!(id.to_string(), TEXT);
        assert_eq!(format!("{id:?}"), TEXT);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{TEXT}\""));
        assert_eq!(serde_json::from_str::<InstanceId>(&format!("\"{TEXT}\"")).unwrap(), id);
        assert_eq!(TEXT.to_uppercase().parse::<InstanceId>().unwrap(), id);
    }

    #[test]
    fn a_wrong_id_is_named_in_the_error_but_never_at_length() {
        let error = "g1.micro".parse::<PackageId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"g1.micro\" is not a package id: expected a UUID such as 8a5918c3-84a2-4122-9ed5-60d76d7a8525"
        );
        let error = "ä".repeat(10_000).parse::<PackageId>().unwrap_err();
        assert!(error.to_string().len() < 300);
    }
}
