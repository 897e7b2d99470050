//! The tag `triton.cmon.groups`: by which names CMON's discovery finds an instance (reference 4.3).

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::{ParseError, check_length, excerpt};

const GRAMMAR: &str = "triton.cmon.groups";

/// The most groups of one instance (reference 4.3).
pub const MAX_GROUPS: usize = 100;
/// The longest name of a group, in characters (reference 4.3).
pub const MAX_GROUP_LENGTH: usize = 100;

/// The value of the tag: 1 to [`MAX_GROUPS`] different groups, in order (reference 4.3).
///
/// ```
/// use triton::grammar::cmon_groups::CmonGroups;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let groups: CmonGroups = "api,production".parse()?;
/// assert!(groups.contains("api"));
/// assert_eq!(CmonGroups::new(["api", "production"])?, groups);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CmonGroups {
    groups: Vec<String>,
}

/// Why groups made from values would be refused by the server (reference 4.3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGroups {
    /// A list without groups, for which there is no tag value.
    #[error("there are no CMON groups; remove the tag triton.cmon.groups instead of writing it")]
    NoGroups,
    /// Too many groups.
    #[error("there are more than {MAX_GROUPS} CMON groups")]
    TooManyGroups,
    /// The name of a group is empty, too long or has a character that is not allowed.
    #[error("{} is not a CMON group: 1 to {MAX_GROUP_LENGTH} letters, digits, _ or -", excerpt(.group))]
    Group {
        /// The name as given.
        group: String,
    },
    /// A group is in the list twice.
    #[error("CMON group {group} is listed twice")]
    Duplicate {
        /// The name of the group.
        group: String,
    },
}

impl CmonGroups {
    /// These groups, in this order.
    ///
    /// # Errors
    ///
    /// [`InvalidGroups`] names the first group that the server would refuse.
    pub fn new<G: Into<String>>(groups: impl IntoIterator<Item = G>) -> Result<Self, InvalidGroups> {
        let mut list = CheckedList::default();
        groups.into_iter().try_for_each(|group| list.push(group.into()))?;
        if list.groups.is_empty() { Err(InvalidGroups::NoGroups) } else { Ok(Self { groups: list.groups }) }
    }

    /// Whether the instance is in `group`. Upper and lower case differ.
    pub fn contains(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }

    /// The groups in order; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(String::as_str)
    }
}

impl FromStr for CmonGroups {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        check_length(GRAMMAR, text)?;
        let mut list = CheckedList::default();
        let mut position = 0;
        for group in text.split(',') {
            let pushed = list.push(group.to_owned());
            pushed.map_err(|invalid| ParseError::new(GRAMMAR, position, invalid.to_string()))?;
            position += group.len() + 1;
        }
        Ok(Self { groups: list.groups })
    }
}

impl Display for CmonGroups {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.groups.join(","))
    }
}

/// Groups that have passed the checks so far.
#[derive(Default)]
struct CheckedList {
    groups: Vec<String>,
    seen: HashSet<String>,
}

impl CheckedList {
    fn push(&mut self, group: String) -> Result<(), InvalidGroups> {
        if self.groups.len() == MAX_GROUPS {
            return Err(InvalidGroups::TooManyGroups);
        }
        let is_allowed = |b: u8| matches!(b, b'_' | b'-') || b.is_ascii_alphanumeric();
        if !(1..=MAX_GROUP_LENGTH).contains(&group.len()) || !group.bytes().all(is_allowed) {
            return Err(InvalidGroups::Group { group });
        }
        if !self.seen.insert(group.clone()) {
            return Err(InvalidGroups::Duplicate { group });
        }
        self.groups.push(group);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a")]
    #[case("foo-bar,bar_foo,disc,Disc,0")]
    fn groups_are_read_and_printed_in_order(#[case] text: &str) {
        let groups: CmonGroups = text.parse().unwrap();
        assert_eq!(groups.iter().collect::<Vec<_>>(), text.split(',').collect::<Vec<_>>());
        assert_eq!(groups.to_string(), text);
        assert_eq!(CmonGroups::new(text.split(',')), Ok(groups));
    }

    #[rstest]
    #[case::nothing("", 0, "\"\" is not a CMON group")]
    #[case::an_empty_group("a,,b", 2, "is not a CMON group")]
    #[case::a_comma_at_the_end("a,", 2, "is not a CMON group")]
    #[case::a_blank("a, b", 2, "\" b\" is not a CMON group")]
    #[case::a_dot("a,b.c", 2, "is not a CMON group")]
    #[case::a_letter_beyond_ascii("\u{e9}", 0, "is not a CMON group")]
    #[case::a_duplicate("a,dupe,z,dupe", 9, "CMON group dupe is listed twice")]
    fn a_bad_value_is_refused_at_its_fault(
        #[case] text: &str,
        #[case] position: usize,
        #[case] message: &str,
    ) {
        let error = text.parse::<CmonGroups>().expect_err(text);
        assert!(error.message().contains(message), "{text}: {error}");
        assert_eq!(error.position(), position, "{text}: {error}");
    }

    #[test]
    fn there_are_at_most_100_groups_of_at_most_100_characters() {
        let numbers = |count: usize| (0..count).map(|n| format!("{n:0>100}"));
        let most = CmonGroups::new(numbers(100)).unwrap();
        assert_eq!(most.to_string().parse(), Ok(most));
        assert_eq!(CmonGroups::new(numbers(101)), Err(InvalidGroups::TooManyGroups));
        let long = "x".repeat(101);
        assert_eq!(CmonGroups::new([long.as_str()]), Err(InvalidGroups::Group { group: long.clone() }));
        assert_eq!(CmonGroups::new(Vec::<String>::new()), Err(InvalidGroups::NoGroups));
    }

    #[test]
    fn membership_is_by_exact_name() {
        let groups = CmonGroups::new(["api"]).unwrap();
        assert!(groups.contains("api"));
        assert!(!groups.contains("API") && !groups.contains("ap"));
    }

    proptest! {
        #[test]
        fn printed_groups_parse_to_the_same_groups(
            groups in prop::collection::hash_set("[A-Za-z0-9_-]{1,20}", 1..=100),
        ) {
            let groups = CmonGroups::new(groups).unwrap();
            prop_assert_eq!(groups.to_string().parse(), Ok(groups));
        }

        #[test]
        fn any_text_is_refused_or_printed_byte_for_byte(
            text in prop_oneof![any::<String>(), "[a-cA-C0-1_,.-]{0,12}"],
        ) {
            match text.parse::<CmonGroups>() {
                Ok(groups) => prop_assert_eq!(groups.to_string(), text),
                Err(error) => prop_assert!(text.is_char_boundary(error.position()), "{}", error),
            }
        }
    }
}
