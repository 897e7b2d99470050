//! The CMON group of a cluster: by this name CMON's discovery finds its instances (Triton reference 4.3).

use triton::grammar::cmon_groups::{CmonGroups, InvalidGroups, MAX_GROUP_LENGTH};
use triton::types::TagValue;

use crate::digest;

/// What the groups of all clusters begin with.
const PREFIX: &str = "k8s-";

/// The group of a cluster: `k8s-` and its name. A name that has other characters than a group may have, or is too long,
/// is made to fit and told from others by a digest.
pub fn group(cluster: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let room = MAX_GROUP_LENGTH - PREFIX.len();
    if !cluster.is_empty() && cluster.len() <= room && cluster.chars().all(fits) {
        return format!("{PREFIX}{cluster}");
    }
    let readable = cluster.chars().map(|c| if fits(c) { c } else { '-' }).take(room - digest::LENGTH - 1);
    format!("{PREFIX}{}-{}", readable.collect::<String>(), digest::short([cluster]))
}

/// What becomes of the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is as it should be.
    Same,
    /// It gets this value.
    Set(String),
    /// It goes: no group is left.
    Remove,
}

/// The tag cannot be changed, and is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChange {
    /// What is there is no list of groups.
    #[error("triton.cmon.groups is no list of groups ({0}); correct it or remove it")]
    Unreadable(String),
    /// There is no room for one more.
    #[error("triton.cmon.groups cannot have {group} as well; remove another group")]
    Full {
        /// The group that does not fit in.
        group: String,
        /// What the server would say.
        source: InvalidGroups,
    },
}

/// What becomes of the tag of an instance that is to be in a group, or is not to be. Groups of others stay, in their
/// order.
///
/// # Errors
///
/// [`NoChange`]; then nothing is to be written.
pub fn membership(present: Option<&TagValue>, group: &str, member: bool) -> Result<Change, NoChange> {
    merge(present, [group], Some(group).filter(|_| member))
}

/// What becomes of the tag of an instance that is to be in the `wanted` groups, and no longer in others of the `former`
/// ones, which were wanted before. All others stay, in their order.
///
/// # Errors
///
/// [`NoChange`]; then nothing is to be written.
pub fn merge<'a>(
    present: Option<&TagValue>,
    former: impl IntoIterator<Item = &'a str>,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Change, NoChange> {
    let present = match present {
        None => None,
        Some(value) => match value.as_str().map(str::parse::<CmonGroups>) {
            // An empty text is how some tools remove a tag.
            _ if value.as_str() == Some("") => None,
            Some(Ok(groups)) => Some(groups),
            Some(Err(error)) => return Err(NoChange::Unreadable(error.to_string())),
            None => return Err(NoChange::Unreadable("not a text".to_owned())),
        },
    };
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let leaves: Vec<&str> = former.into_iter().filter(|group| !wanted.contains(group)).collect();
    let present: Vec<&str> = present.iter().flat_map(CmonGroups::iter).collect();
    let joins: Vec<&str> = wanted.into_iter().filter(|group| !present.contains(group)).collect();
    let stay = present.iter().copied().filter(|group| !leaves.contains(group));
    let groups: Vec<&str> = stay.chain(joins.iter().copied()).collect();
    if groups == present {
        return Ok(Change::Same);
    }
    match CmonGroups::new(groups) {
        Ok(groups) => Ok(Change::Set(groups.to_string())),
        Err(InvalidGroups::NoGroups) => Ok(Change::Remove),
        Err(source) => Err(NoChange::Full { group: joins.join(","), source }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("kubernetes", "k8s-kubernetes")]
    #[case("a.b", "k8s-a-b-")]
    #[case("", "k8s--")]
    fn a_cluster_has_a_group(#[case] cluster: &str, #[case] expected: &str) {
        let group = group(cluster);
        assert!(group.starts_with(expected), "{group}");
        assert!(CmonGroups::new([group]).is_ok());
    }

    #[test]
    fn clusters_of_similar_names_have_groups_of_their_own() {
        assert_ne!(group("a.b"), group("a-b"));
        assert_ne!(group(&"x".repeat(97)), group(&"x".repeat(98)));
    }

    #[rstest]
    #[case::none(None, true, Ok(Change::Set("ours".into())))]
    #[case::empty(Some(""), true, Ok(Change::Set("ours".into())))]
    #[case::others(Some("b,a"), true, Ok(Change::Set("b,a,ours".into())))]
    #[case::already(Some("b,ours,a"), true, Ok(Change::Same))]
    #[case::leaves(Some("b,ours,a"), false, Ok(Change::Set("b,a".into())))]
    #[case::leaves_nothing(Some("ours"), false, Ok(Change::Remove))]
    #[case::never_was(Some("b"), false, Ok(Change::Same))]
    fn groups_of_others_stay(
        #[case] present: Option<&str>,
        #[case] member: bool,
        #[case] expected: Result<Change, NoChange>,
    ) {
        let present = present.map(TagValue::from);
        assert_eq!(membership(present.as_ref(), "ours", member), expected);
    }

    #[rstest]
    #[case::none(None, "api", Change::Set("api,ours".into()))]
    #[case::already(Some("ours,b,api"), "api", Change::Same)]
    #[case::another_label(Some("api,b,ours"), "web", Change::Set("b,ours,web".into()))]
    #[case::no_label_any_more(Some("api,b,ours"), "", Change::Set("b,ours".into()))]
    #[case::taken_away(Some("b"), "api", Change::Set("b,api,ours".into()))]
    fn groups_that_were_wanted_before_go(
        #[case] present: Option<&str>,
        #[case] label: &str,
        #[case] expected: Change,
    ) {
        let present = present.map(TagValue::from);
        let label = Some(label).filter(|label| !label.is_empty());
        assert_eq!(merge(present.as_ref(), ["api"], label.into_iter().chain(["ours"])), Ok(expected));
    }

    #[test]
    fn what_cannot_be_changed_is_left_alone() {
        let malformed = TagValue::from("a,,b");
        assert!(matches!(membership(Some(&malformed), "ours", true), Err(NoChange::Unreadable(_))));
        assert!(matches!(
            membership(Some(&TagValue::Bool(true)), "ours", false),
            Err(NoChange::Unreadable(_))
        ));
        let full: Vec<String> = (0..100).map(|number| format!("g{number}")).collect();
        let full = TagValue::from(full.join(",").as_str());
        assert!(matches!(membership(Some(&full), "ours", true), Err(NoChange::Full { .. })));
    }

    proptest! {
        #[test]
        fn any_name_has_a_group_that_can_be_written(cluster in ".{0,200}") {
            prop_assert!(CmonGroups::new([group(&cluster)]).is_ok());
        }

        #[test]
        fn joining_and_leaving_gives_back_what_was_there(
            groups in prop::collection::btree_set("[a-z]{1,5}", 1..20),
        ) {
            let before = groups.into_iter().collect::<Vec<_>>().join(",");
            let Change::Set(after) = membership(Some(&before.as_str().into()), "k8s-x", true).unwrap() else {
                return Err(TestCaseError::fail("no change"));
            };
            let back = membership(Some(&after.as_str().into()), "k8s-x", false).unwrap();
            prop_assert_eq!(back, Change::Set(before));
        }
    }
}
