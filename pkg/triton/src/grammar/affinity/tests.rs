use proptest::prelude::*;
use rstest::rstest;

use super::AffinityKey::{Instance, Tag};
use super::AffinityOperator::{PreferDifferentNode, PreferSameNode, RequireDifferentNode, RequireSameNode};
use super::AffinityValue::{Exact, Glob, Regex};
use super::*;

fn tag(key: &str) -> AffinityKey {
    Tag(key.to_owned())
}

#[rstest]
#[case("instance==web-0", Instance, RequireSameNode, Exact("web-0".into()), "instance==web-0")]
#[case("container!=db0", Instance, RequireDifferentNode, Exact("db0".into()), "instance!=db0")]
#[case("inst==~web*", Instance, PreferSameNode, Glob("web*".into()), "instance==~web*")]
#[case("role!=~/^data/", tag("role"), PreferDifferentNode, Regex("^data".into()), "role!=~/^data/")]
#[case::every_character_of_a_key(
    "_k8s.pod-A_1==x",
    tag("_k8s.pod-A_1"),
    RequireSameNode,
    Exact("x".into()),
    "_k8s.pod-A_1==x"
)]
#[case::keys_have_case("Instance==x", tag("Instance"), RequireSameNode, Exact("x".into()), "Instance==x")]
#[case::two_slashes("role==//", tag("role"), RequireSameNode, Exact("//".into()), "role==//")]
#[case::one_slash("role==/", tag("role"), RequireSameNode, Exact("/".into()), "role==/")]
#[case::a_star_in_a_regex("role==/a*/", tag("role"), RequireSameNode, Regex("a*".into()), "role==/a*/")]
#[case::a_star_after_a_slash("role==/a*", tag("role"), RequireSameNode, Glob("/a*".into()), "role==/a*")]
#[case::a_slash_in_a_regex("role==/a/b/", tag("role"), RequireSameNode, Regex("a/b".into()), "role==/a/b/")]
#[case::blanks_are_part_of_the_value(
    "role== a\u{a0}b ",
    tag("role"),
    RequireSameNode,
    Exact(" a\u{a0}b ".into()),
    "role== a\u{a0}b "
)]
#[case::every_sign(
    r"role==-:_.(a)?+[b]\^$|",
    tag("role"),
    RequireSameNode,
    Exact(r"-:_.(a)?+[b]\^$|".into()),
    r"role==-:_.(a)?+[b]\^$|"
)]
fn a_rule_is_read_and_printed(
    #[case] text: &str,
    #[case] key: AffinityKey,
    #[case] operator: AffinityOperator,
    #[case] value: AffinityValue,
    #[case] canonical: &str,
) {
    let rule: AffinityRule = text.parse().unwrap();
    assert_eq!((rule.key(), rule.operator(), rule.value()), (&key, operator, &value));
    assert_eq!(rule.to_string(), canonical);
    assert_eq!(AffinityRule::new(key, operator, value), Ok(rule));
}

#[rstest]
#[case::nothing("", 0, "\"\" is not a key")]
#[case::no_operator("instance", 8, "expected ==, !=, ==~ or !=~, found \"\"")]
#[case::one_equals_sign("instance=web", 8, "found \"=web\"")]
#[case::a_reversed_operator("instance=!web", 8, "found \"=!web\"")]
#[case::three_equals_signs("instance===web", 10, "\"=web\" is not a value")]
#[case::both_operators("instance!==web", 10, "\"=web\" is not a value")]
#[case::two_tildes("instance==~~web", 11, "\"~web\" is not a value")]
#[case::no_value("instance==", 10, "\"\" is not a value")]
#[case::no_value_after_a_tilde("instance==~", 11, "\"\" is not a value")]
#[case::a_short_key("a==b", 0, "\"a\" is not a key")]
#[case::a_key_with_a_digit_in_front("1a==b", 0, "is not a key")]
#[case::a_key_with_a_slash("app.kubernetes.io/name==b", 0, "is not a key")]
#[case::a_blank_before_the_operator("role ==b", 0, "is not a key")]
#[case::a_comma("role==a,b", 6, "is not a value")]
#[case::a_quote("role==\"a\"", 6, "is not a value")]
#[case::a_letter_beyond_ascii("role==\u{e9}", 6, "is not a value")]
fn a_bad_rule_is_refused_at_its_fault(#[case] text: &str, #[case] position: usize, #[case] message: &str) {
    let error = text.parse::<AffinityRule>().expect_err(text);
    assert!(error.message().contains(message), "{text}: {error}");
    assert_eq!(error.position(), position, "{text}: {error}");
}

#[rstest]
#[case::a_key_the_server_refuses(tag("a/b"), Exact("x".into()), InvalidAffinity::Key { key: "a/b".into() })]
#[case::a_tag_that_means_instances(
    tag("inst"),
    Exact("x".into()),
    InvalidAffinity::InstanceKey { key: "inst".into() }
)]
#[case::no_value(Instance, Exact(String::new()), InvalidAffinity::Value { value: String::new() })]
#[case::a_sign_of_operators(Instance, Exact("~x".into()), InvalidAffinity::Value { value: "~x".into() })]
#[case::an_exact_star(Instance, Exact("a*".into()), not_a("an exact value", "a*"))]
#[case::an_exact_regex(Instance, Exact("/a/".into()), not_a("an exact value", "/a/"))]
#[case::a_glob_without_a_star(Instance, Glob("a".into()), not_a("a glob", "a"))]
#[case::a_glob_between_slashes(Instance, Glob("/*/".into()), not_a("a glob", "/*/"))]
#[case::an_empty_regex(Instance, Regex(String::new()), not_a("a regular expression", "//"))]
fn no_rule_can_be_built_that_the_server_reads_differently(
    #[case] key: AffinityKey,
    #[case] value: AffinityValue,
    #[case] expected: InvalidAffinity,
) {
    assert_eq!(AffinityRule::new(key, RequireSameNode, value), Err(expected));
}

fn not_a(kind: &'static str, value: &str) -> InvalidAffinity {
    InvalidAffinity::ValueKind { value: value.to_owned(), kind }
}

#[test]
fn a_rule_can_be_as_long_as_a_text_may_be() {
    let value = |length| Exact("x".repeat(length));
    let longest = AffinityRule::new(Instance, RequireSameNode, value(MAX_TEXT_BYTES - 10)).unwrap();
    assert_eq!(longest.to_string().parse(), Ok(longest));
    let longer = AffinityRule::new(Instance, RequireSameNode, value(MAX_TEXT_BYTES - 9));
    assert_eq!(longer, Err(InvalidAffinity::TooLong { length: MAX_TEXT_BYTES + 1 }));
}

fn rule() -> impl Strategy<Value = AffinityRule> {
    let key = prop_oneof![Just(Instance), "[a-zA-Z_][a-zA-Z0-9._-]{1,12}".prop_map(Tag)];
    let operator = prop::sample::select(vec![
        RequireSameNode,
        RequireDifferentNode,
        PreferSameNode,
        PreferDifferentNode,
    ]);
    let text = || r"[-a-zA-Z0-9:_ .*/()?+\[\]\\^$|]{1,12}";
    let value = prop_oneof![text().prop_map(Exact), text().prop_map(Glob), text().prop_map(Regex)];
    (key, operator, value)
        .prop_filter_map("not a rule", |(key, operator, value)| AffinityRule::new(key, operator, value).ok())
}

proptest! {
    #[test]
    fn a_printed_rule_parses_to_the_same_rule(rule in rule()) {
        prop_assert_eq!(rule.to_string().parse(), Ok(rule));
    }

    #[test]
    fn any_text_is_refused_or_survives_a_round_trip(
        text in prop_oneof![
            any::<String>(),
            r"(inst(ance)?|container|role|a)?[=!~]{0,4}[-a-z0-9:_ .*/~=]{0,8}",
        ],
    ) {
        match text.parse::<AffinityRule>() {
            Ok(rule) => prop_assert_eq!(rule.to_string().parse(), Ok(rule)),
            Err(error) => prop_assert!(text.is_char_boundary(error.position()), "{}", error),
        }
    }
}
