use super::*;
use std::fmt::Debug;

/// Each JSON text with the value that is read from it.
fn check<T: Lenient + PartialEq + Debug>(cases: &[(&str, Option<T>)]) {
    for (json, expected) in cases {
        assert_eq!(&T::lenient(json), expected, "{json}");
    }
}

#[test]
fn texts_come_from_any_scalar_and_empty_is_nothing() {
    check::<Box<str>>(&[
        (r#""web-1""#, Some("web-1".into())),
        (r#""a\"b\\c\u00e4\n""#, Some("a\"b\\cä\n".into())),
        (r#""\ud83d\ude00""#, Some("😀".into())),
        (r#""half \ud83d pair""#, Some("half \u{fffd}\u{fffd}\u{fffd} pair".into())),
        ("17", Some("17".into())),
        ("1.50", Some("1.50".into())),
        ("true", Some("true".into())),
        (r#""""#, None),
        ("null", None),
        ("[]", None),
        (r#"{"a":1}"#, None),
    ]);
}

#[test]
fn integers_come_from_numbers_and_strings_or_are_nothing() {
    check::<u64>(&[
        ("0", Some(0)),
        ("1024", Some(1024)),
        (r#""1024""#, Some(1024)),
        (r#"" 1024 ""#, Some(1024)),
        ("1024.0", Some(1024)),
        ("1024.9", Some(1024)),
        ("1e3", Some(1000)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("1e400", None),
        ("-1", None),
        ("-0.5", Some(0)),
        (r#""NaN""#, None),
        (r#""inf""#, None),
        (r#""""#, None),
        (r#""many""#, None),
        ("true", None),
        ("null", None),
        ("[1]", None),
    ]);
    check::<u16>(&[("4095", Some(4095)), ("65535", Some(u16::MAX)), ("65536", None)]);
    check::<u32>(&[("4294967295", Some(u32::MAX)), ("4294967296", None)]);
    check::<i64>(&[
        ("-5368709120", Some(-5_368_709_120)),
        (r#""-1""#, Some(-1)),
        ("9223372036854775808", None),
        ("-1e300", None),
    ]);
}

#[test]
fn fractions_are_finite_or_nothing() {
    check::<f64>(&[
        ("62.5", Some(62.5)),
        ("100", Some(100.0)),
        (r#""62.5""#, Some(62.5)),
        ("1e999", None),
        (r#""infinity""#, None),
        ("{}", None),
    ]);
}

#[test]
fn booleans_come_from_words_and_digits() {
    check::<bool>(&[
        ("true", Some(true)),
        ("false", Some(false)),
        (r#""true""#, Some(true)),
        (r#""false""#, Some(false)),
        ("1", Some(true)),
        ("0", Some(false)),
        (r#""yes""#, None),
        (r#""""#, None),
        ("null", None),
        ("[true]", None),
    ]);
}

#[test]
fn times_addresses_and_ids_that_do_not_parse_are_nothing() {
    check::<jiff::Timestamp>(&[
        (r#""2026-01-26T21:32:02.032Z""#, Some("2026-01-26T21:32:02.032Z".parse().unwrap())),
        (r#""2021-04-01T00:42:24Z""#, Some("2021-04-01T00:42:24Z".parse().unwrap())),
        (r#""2021-04-01T02:42:24+02:00""#, Some("2021-04-01T00:42:24Z".parse().unwrap())),
        (r#""yesterday""#, None),
        (r#""""#, None),
        ("1770026400123", None),
        ("null", None),
    ]);
    check::<IpAddr>(&[
        (r#""203.0.113.28""#, Some("203.0.113.28".parse().unwrap())),
        (r#""fd00::1""#, Some("fd00::1".parse().unwrap())),
        (r#""203.0.113""#, None),
        (r#""dhcp""#, None),
        ("7", None),
    ]);
    check::<crate::id::ImageId>(&[
        (
            r#""8a5918c3-84a2-4122-9ed5-60d76d7a8525""#,
            Some("8a5918c3-84a2-4122-9ed5-60d76d7a8525".parse().unwrap()),
        ),
        (r#""""#, None),
        ("0", None),
    ]);
}

#[test]
fn lists_and_maps_leave_out_what_they_cannot_hold() {
    check::<Box<[u64]>>(&[
        ("[]", Some(Box::default())),
        (r#"[1,"2",null,{},"x",3]"#, Some(vec![1, 2, 3].into())),
        ("null", None),
        (r#""1""#, None),
    ]);
    check::<BTreeMap<String, u64>>(&[
        ("{}", Some(BTreeMap::new())),
        (r#"{"b":"2","a":1,"no":null,"nor":[3]}"#, Some(BTreeMap::from([("a".into(), 1), ("b".into(), 2)]))),
        ("[]", None),
    ]);
}

#[test]
fn names_match_exactly_or_without_regard_to_case_and_separators() {
    let names = &["primaryIp", "firewall_enabled", "role-tag"];
    for (name, expected) in [
        ("primaryIp", Some("primaryIp")),
        ("primary_ip", Some("primaryIp")),
        ("firewallEnabled", Some("firewall_enabled")),
        ("roleTag", Some("role-tag")),
        ("primary", None),
        ("", None),
        ("___", None),
    ] {
        assert_eq!(canonical(name, names), expected, "{name}");
    }
}

#[test]
fn of_two_spellings_the_last_with_a_value_wins() {
    let mut field = None;
    for (json, expected) in [("null", None), ("1", Some(1_u64)), ("2", Some(2)), ("null", Some(2))] {
        assign(&mut field, json);
        assert_eq!(field, expected, "{json}");
    }
}

#[test]
fn depth_and_length_cost_nothing_but_the_scan() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(u64::lenient(&deep), None);
    assert_eq!(Box::<[u64]>::lenient(&deep), Some(Box::default()));
    assert_eq!(u64::lenient(&"9".repeat(1_000_000)), None);
}
