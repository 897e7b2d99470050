//! `providerID`: how a Node names its instance.

use std::fmt;
use std::str::FromStr;

use triton::id::InstanceId;
use uuid::Uuid;

/// The scheme of our provider IDs.
pub const SCHEME: &str = "triton";

/// The length of a UUID with hyphens, the only form that Triton writes.
const UUID_LENGTH: usize = 36;

/// A provider ID: `triton://<datacenter>/<instance>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProviderId {
    datacenter: Option<Box<str>>,
    instance: InstanceId,
}

/// Why a text is not one of our provider IDs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProviderId {
    /// Another provider's, or no provider ID at all.
    #[error("provider ID {0:?} is not Triton's; it would begin with triton://")]
    Foreign(Box<str>),
    /// It begins like ours, but does not name an instance.
    #[error("provider ID {0:?} names no instance; the form is triton://DATACENTER/UUID")]
    Malformed(Box<str>),
}

impl ProviderId {
    /// That of an instance in a data centre. Without the data centre's name it is the shorter form, which is also
    /// read.
    pub fn new(datacenter: &str, instance: InstanceId) -> Self {
        let datacenter = Some(datacenter).filter(|name| is_datacenter(name)).map(Box::from);
        Self { datacenter, instance }
    }

    /// The data centre, where the ID names one.
    pub fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    /// The instance.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }
}

/// Names that stay what they are between the slashes of a provider ID.
fn is_datacenter(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.datacenter {
            Some(datacenter) => write!(f, "{SCHEME}://{datacenter}/{}", self.instance),
            None => write!(f, "{SCHEME}://{}", self.instance),
        }
    }
}

impl FromStr for ProviderId {
    type Err = InvalidProviderId;

    /// Reads `triton://<datacenter>/<uuid>`, and what others have written: `triton://<uuid>` and `triton:///<uuid>`.
    fn from_str(text: &str) -> Result<Self, InvalidProviderId> {
        let rest = text
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix("://"))
            .ok_or_else(|| InvalidProviderId::Foreign(excerpt(text)))?;
        let (datacenter, instance) = rest.split_once('/').unwrap_or(("", rest));
        let uuid = Some(instance).filter(|text| text.len() == UUID_LENGTH);
        match uuid.and_then(|text| Uuid::try_parse(text).ok()) {
            Some(uuid) if datacenter.is_empty() || is_datacenter(datacenter) => {
                Ok(Self::new(datacenter, uuid.into()))
            }
            _ => Err(InvalidProviderId::Malformed(excerpt(text))),
        }
    }
}

/// How much of a wrong ID an error repeats, in characters.
const EXCERPT: usize = 100;

fn excerpt(text: &str) -> Box<str> {
    text.chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const UUID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

    #[rstest]
    #[case::ours("triton://us-east-1/8a5918c3-84a2-4122-9ed5-60d76d7a8525", Some("us-east-1"))]
    #[case::without_a_datacenter("triton://8a5918c3-84a2-4122-9ed5-60d76d7a8525", None)]
    #[case::three_slashes("triton:///8a5918c3-84a2-4122-9ed5-60d76d7a8525", None)]
    #[case::upper_case("triton://dc/8A5918C3-84A2-4122-9ED5-60D76D7A8525", Some("dc"))]
    fn every_form_that_was_ever_written_is_read(#[case] text: &str, #[case] datacenter: Option<&str>) {
        let id: ProviderId = text.parse().unwrap();
        assert_eq!((id.datacenter(), id.instance().to_string().as_str()), (datacenter, UUID));
    }

    #[rstest]
    #[case::nothing("", "not Triton's")]
    #[case::another_cloud("aws:///us-east-1a/i-0", "not Triton's")]
    #[case::a_bare_uuid(UUID, "not Triton's")]
    #[case::another_scheme("tritonish://8a5918c3-84a2-4122-9ed5-60d76d7a8525", "not Triton's")]
    #[case::no_instance("triton://", "names no instance")]
    #[case::only_a_datacenter("triton://dc/", "names no instance")]
    #[case::too_many_parts("triton://dc/x/8a5918c3-84a2-4122-9ed5-60d76d7a8525", "names no instance")]
    #[case::no_hyphens("triton://dc/8a5918c384a241229ed560d76d7a8525", "names no instance")]
    #[case::a_blank("triton://d c/8a5918c3-84a2-4122-9ed5-60d76d7a8525", "names no instance")]
    #[case::a_trailing_slash("triton://dc/8a5918c3-84a2-4122-9ed5-60d76d7a8525/", "names no instance")]
    fn anything_else_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = text.parse::<ProviderId>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_datacenter_that_cannot_be_part_of_an_id_is_left_out() {
        let id = ProviderId::new("a/b", UUID.parse().unwrap());
        assert_eq!(id.to_string(), format!("triton://{UUID}"));
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(datacenter in "[A-Za-z0-9_.-]{0,20}", uuid: u128) {
            let id = ProviderId::new(&datacenter, Uuid::from_u128(uuid).into());
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_text_is_a_panic(text in prop_oneof![any::<String>(), "triton://.{0,50}"]) {
            if let Ok(id) = text.parse::<ProviderId>() {
                prop_assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
    }
}
