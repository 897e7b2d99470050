//! Which version of the API a request gets (reference 2.1).

use semver::{Version, VersionReq};

/// The versions of the API that are served, newest first.
pub(crate) static SERVED: [Version; 6] = [
    Version::new(9, 0, 0),
    Version::new(8, 0, 0),
    Version::new(7, 3, 0),
    Version::new(7, 2, 0),
    Version::new(7, 1, 0),
    Version::new(7, 0, 0),
];

/// The only version that the VNC route is registered as.
pub(crate) static VNC: Version = Version::new(8, 4, 0);

/// The newest of `served` that `range` admits; `None` when it admits none or is no range.
///
/// `range` is what npm's `semver` reads: alternatives between `||`, each a set of comparators between blanks
/// that must all hold, or two versions around ` - `. The empty range admits everything.
pub(crate) fn negotiate<'v>(
    range: &str,
    served: impl IntoIterator<Item = &'v Version>,
) -> Option<&'v Version> {
    let alternatives: Vec<VersionReq> = range.split("||").filter_map(comparator_set).collect();
    served.into_iter().filter(|version| alternatives.iter().any(|set| set.matches(version))).max()
}

/// One alternative of an npm range in Cargo's syntax, which differs in three things: comparators stand between
/// commas, a bare version means "compatible" instead of "equal", and there are no ranges with a dash.
fn comparator_set(text: &str) -> Option<VersionReq> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [low, "-", high] = words.as_slice() {
        return VersionReq::parse(&format!(">={}, <={}", bare(low), bare(high))).ok();
    }
    let mut comparators: Vec<String> = Vec::new();
    // An operator may stand alone before its version.
    let mut operator = "";
    for word in words {
        let version = word.trim_start_matches(['<', '>', '=', '~', '^']);
        let (own, _) = word.split_at(word.len() - version.len());
        if !own.is_empty() {
            if !operator.is_empty() {
                return None;
            }
            operator = own;
        }
        if version.is_empty() {
            continue;
        }
        let version = bare(version);
        let wildcard = version.starts_with(['*', 'x', 'X']);
        comparators.push(match operator {
            // Whatever the operator, "any version" is what npm makes of most of them.
            "" | "=" | ">=" | "<=" | "~" | "~>" | "^" if wildcard => "*".to_owned(),
            "" | "=" => format!("={version}"),
            "~>" => format!("~{version}"),
            _ => format!("{operator}{version}"),
        });
        operator = "";
    }
    if !operator.is_empty() {
        return None;
    }
    // Cargo takes "*" only alone, where it adds nothing.
    comparators.retain(|comparator| comparator != "*");
    if comparators.is_empty() {
        return Some(VersionReq::STAR);
    }
    VersionReq::parse(&comparators.join(", ")).ok()
}

/// A version without the `v` that npm allows before it.
fn bare(version: &str) -> &str {
    version.strip_prefix(['v', 'V']).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(range: &str, expected: Option<&str>) {
        let found = negotiate(range, &SERVED).map(Version::to_string);
        assert_eq!(found.as_deref(), expected, "{range:?}");
    }

    #[test]
    fn the_newest_served_version_in_the_range_is_chosen() {
        for (range, expected) in [
            // Official clients: node-triton, triton-go, none.
            ("~9||~8", "9.0.0"),
            ("8", "8.0.0"),
            ("*", "9.0.0"),
            ("", "9.0.0"),
            ("~7.3", "7.3.0"),
            ("~7.2", "7.2.0"),
            ("~7", "7.3.0"),
            ("~6.5 || ~7.0", "7.0.0"),
            ("7.x", "7.3.0"),
            ("7.1.x", "7.1.0"),
            ("7.*", "7.3.0"),
            ("x", "9.0.0"),
            ("X.x.x", "9.0.0"),
            ("9.0.0", "9.0.0"),
            ("v8.0.0", "8.0.0"),
            ("=7.1", "7.1.0"),
            ("= 7.1", "7.1.0"),
            ("^7.1", "7.3.0"),
            ("~>7.1", "7.1.0"),
            (">=7.1 <8", "7.3.0"),
            (">= 7.1 < 7.3.0", "7.2.0"),
            (">8", "9.0.0"),
            ("<=8", "8.0.0"),
            (">=*", "9.0.0"),
            ("7.0.0 - 7.2.0", "7.2.0"),
            ("7 - 8", "8.0.0"),
            ("5||*", "9.0.0"),
            ("* <9", "8.0.0"),
            ("nonsense || 7", "7.3.0"),
        ] {
            check(range, Some(expected));
        }
    }

    #[test]
    fn a_range_without_a_served_version_gets_none() {
        for range in
            ["~6.5", "10", ">9", "8.0.1", "<7", ">", "~", "a", ">=7 <=", "> >7", "9.0.0-pre", "é", "|"]
        {
            check(range, None);
        }
    }

    #[test]
    fn the_vnc_route_is_found_by_the_ranges_of_both_official_clients() {
        for (range, found) in [("~8", true), ("~9||~8", true), ("*", true), ("~9", false), ("8.0.0", false)] {
            assert_eq!(negotiate(range, [&VNC]).is_some(), found, "{range}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(range in "[0-9x*~^<>=|. v-]{0,24}|.{0,24}") {
            let _ = negotiate(&range, &SERVED);
        }
    }
}
