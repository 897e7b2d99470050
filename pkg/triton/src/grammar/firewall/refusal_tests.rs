//! A table of texts that are no rules, where the fault is, and what is said about it.

use rstest::rstest;

use super::FirewallRule;

/// Checks that `text` is refused at the byte `position` for a reason that contains `message`.
#[track_caller]
fn refuse(text: &str, position: usize, message: &str) {
    let error = text.parse::<FirewallRule>().expect_err(text);
    assert!(error.message().contains(message), "{text}: {error}");
    assert_eq!(error.position(), position, "{text}: {error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[rstest]
#[case::nothing("", 0, "expected FROM, found the end of the rule")]
#[case::mixed_case("From any TO all vms ALLOW ah", 0, "expected FROM, found \"From\"")]
#[case::a_word_for_a_target("FROM foo TO all vms ALLOW ah", 5, "expected a target")]
#[case::no_target("FROM () TO all vms ALLOW ah", 6, "expected a target")]
#[case::nested("FROM ((any)) TO all vms ALLOW ah", 6, "expected a target")]
#[case::a_wildcard_among_others("FROM (any OR tag a) TO all vms ALLOW ah", 10, "expected `)`")]
#[case::others_with_a_wildcard("FROM (tag a OR all vms) TO any ALLOW ah", 15, "expected a target")]
#[case::targets_without_parentheses(
    "FROM tag a OR tag b TO any ALLOW ah",
    11,
    "expected TO, found the keyword OR"
)]
#[case::targets_without_or("FROM (tag a tag b) TO any ALLOW ah", 12, "expected `)`")]
#[case::five_groups("FROM ip 10.99.99.99.254 TO tag a ALLOW ah", 19, "no part of a rule starts with \".\"")]
#[case::a_group_over_255("FROM tag a TO ip 10.288.0.0 ALLOW ah", 17, "\"10.288.0.0\" is not an address")]
#[case::an_octal_looking_address("FROM tag a TO ip 010.1.1.1 ALLOW ah", 17, "is not an address")]
#[case::the_unspecified_address("FROM tag a TO ip 0.0.0.0 ALLOW ah", 14, "not the address of a host")]
#[case::the_broadcast_address("FROM tag a TO ip 255.255.255.255 ALLOW ah", 14, "not the address of a host")]
#[case::a_long_ipv6_group("FROM tag a TO ip fd00::12345 ALLOW ah", 17, "is not an address")]
#[case::an_upper_case_ipv6_address(
    "FROM tag a TO ip FD00::1 ALLOW ah",
    17,
    "expected an IPv4 or lower-case IPv6"
)]
#[case::a_mapped_address("FROM tag a TO ip ::ffff:1.2.3.4 ALLOW ah", 25, "starts with \".\"")]
#[case::no_prefix_length("FROM tag a TO subnet 10.0.0.0 ALLOW ah", 30, "expected a slash")]
#[case::a_blank_in_the_prefix("FROM tag a TO subnet 10.0.0.0/ 8 ALLOW ah", 29, "no part of a rule")]
#[case::an_ipv4_prefix_over_32("FROM tag a TO subnet 10.0.0.0/33 ALLOW ah", 29, "it is 0 to 32")]
#[case::an_ipv6_prefix_over_128("FROM tag a TO subnet fd00::/999 ALLOW ah", 27, "it is 0 to 128")]
#[case::host_bits("FROM tag a TO subnet 10.8.0.0/5 ALLOW ah", 14, "its network is 8.0.0.0/5")]
#[case::ipv6_host_bits("FROM tag a TO subnet fd00::1/64 ALLOW ah", 14, "its network is fd00::/64")]
#[case::a_short_uuid("FROM vm asdf TO any ALLOW ah", 8, "\"asdf\" is not a lower-case UUID")]
#[case::an_upper_case_uuid(
    "FROM vm B0B92CD9-1FE7-4636-8477-81D2742566C2 TO any ALLOW ah",
    8,
    "is not a lower-case UUID"
)]
#[case::a_uuid_without_hyphens("FROM vm b0b92cd91fe74636847781d2742566c2 TO any ALLOW ah", 8, "with hyphens")]
#[case::a_keyword_as_a_tag(
    "FROM tag type TO any ALLOW ah",
    9,
    "in quotes, unless a plain word), found the keyword TYPE"
)]
#[case::a_keyword_and_a_hyphen_as_a_tag("FROM tag to-do TO any ALLOW ah", 9, "found the keyword TO")]
#[case::a_leading_hyphen_in_a_tag("FROM tag -a TO any ALLOW ah", 9, "found `-`")]
#[case::an_address_as_a_tag("FROM tag 1.2.3.4 TO any ALLOW ah", 9, "found \"1.2.3.4\"")]
#[case::an_unquoted_letter_beyond_ascii(
    "FROM tag \u{e9} TO any ALLOW ah",
    9,
    "no part of a rule starts with"
)]
#[case::an_open_string("FROM tag \"a TO any ALLOW ah", 9, "no closing quote")]
#[case::an_open_string_after_an_escape("FROM tag \"\\\"", 9, "no closing quote")]
#[case::a_backslash_at_the_end("FROM tag \"\\", 10, "expected one of")]
#[case::an_unknown_escape("FROM tag \"a\\x\" TO any ALLOW ah", 11, "expected one of")]
#[case::a_short_code_unit("FROM tag \"\\u12\" TO any ALLOW ah", 10, "four hexadecimal digits")]
#[case::a_signed_code_unit("FROM tag \"\\u+123\" TO any ALLOW ah", 10, "four hexadecimal digits")]
#[case::half_a_pair("FROM tag \"\\ud83e\" TO any ALLOW ah", 10, "surrogate")]
#[case::half_a_pair_and_a_letter("FROM tag \"\\ud83e\\u0041\" TO any ALLOW ah", 10, "surrogate")]
#[case::the_second_half_first("FROM tag \"\\udd80\\ud83e\" TO any ALLOW ah", 10, "surrogate")]
#[case::a_tag_the_server_loses("FROM tag __proto__ TO any ALLOW ah", 5, "__proto__")]
#[case::a_value_the_server_loses("FROM tag a = \"__proto__\" TO any ALLOW ah", 5, "__proto__")]
#[case::another_action("FROM tag a TO any DENY ah", 18, "expected ALLOW or BLOCK, found \"DENY\"")]
#[case::another_protocol("FROM tag a TO any ALLOW sctp PORT 80", 24, "expected a protocol")]
#[case::no_ports("FROM tag a TO any ALLOW tcp", 27, "expected PORT, found the end")]
#[case::types_of_tcp("FROM tag a TO any ALLOW tcp TYPE 8", 28, "expected PORT, found the keyword TYPE")]
#[case::ports_of_icmp("FROM tag a TO any ALLOW icmp PORT 8", 29, "expected TYPE, found the keyword PORT")]
#[case::ports_of_ah("FROM tag a TO any ALLOW ah PORT 8", 27, "expected the end of the rule")]
#[case::a_named_port(
    "FROM tag a TO any ALLOW tcp PORT ssh",
    33,
    "\"ssh\" is not a number for the port (1 to 65535)"
)]
#[case::a_quoted_port("FROM tag a TO any ALLOW tcp PORT \"80\"", 33, "expected a number for the port")]
#[case::port_zero("FROM tag a TO any ALLOW tcp PORT 0", 33, "1 to 65535")]
#[case::a_port_over_65535("FROM tag a TO any ALLOW tcp PORT 65536", 33, "1 to 65535")]
#[case::a_huge_port("FROM tag a TO any ALLOW tcp PORT 18446744073709551696", 33, "1 to 65535")]
#[case::a_range_after_port("FROM tag a TO any ALLOW tcp PORT 20-40", 33, "1 to 65535")]
#[case::a_backward_range("FROM tag a TO any ALLOW tcp PORTS 20 - 10", 34, "20 - 10 ends before it starts")]
#[case::a_backward_word("FROM tag a TO any ALLOW tcp PORTS 20-10", 34, "20 - 10 ends before it starts")]
#[case::an_open_range("FROM tag a TO any ALLOW tcp PORTS 1-", 36, "\"\" is not a number for the port")]
#[case::an_open_range_with_a_blank(
    "FROM tag a TO any ALLOW tcp PORTS 1 -",
    37,
    "expected a number for the port"
)]
#[case::a_range_of_three("FROM tag a TO any ALLOW tcp PORTS 1-20-30", 36, "\"20-30\" is not a number")]
#[case::a_range_of_ranges("FROM tag a TO any ALLOW tcp PORTS 1-2 - 3", 34, "\"1-2\" is not a number")]
#[case::ports_in_parentheses(
    "FROM tag a TO any ALLOW tcp (PORTS 1, 2)",
    29,
    "expected PORT, found the keyword PORTS"
)]
#[case::a_comma_at_the_end(
    "FROM tag a TO any ALLOW tcp PORTS 1,",
    36,
    "expected a port (1 to 65535) or a range"
)]
#[case::all_after_ports("FROM tag a TO any ALLOW tcp PORTS all", 34, "expected a port")]
#[case::all_and_more("FROM tag a TO any ALLOW tcp (PORT all AND PORT 5)", 38, "expected `)`")]
#[case::more_and_all(
    "FROM tag a TO any ALLOW tcp (PORT 5 AND PORT all)",
    45,
    "expected a number for the port"
)]
#[case::ports_without_parentheses(
    "FROM tag a TO any ALLOW tcp PORT 1 AND PORT 2",
    35,
    "expected the end of the rule"
)]
#[case::a_type_over_255("FROM tag a TO any ALLOW icmp TYPE 260", 34, "ICMP type (0 to 255)")]
#[case::a_code_over_255("FROM tag a TO any ALLOW icmp TYPE 8 CODE 270", 41, "ICMP code (0 to 255)")]
#[case::a_code_of_all("FROM tag a TO any ALLOW icmp TYPE all CODE 1", 38, "expected the end of the rule")]
#[case::a_priority_over_100("FROM tag a TO any ALLOW ah PRIORITY 0101", 36, "priority (0 to 100)")]
#[case::a_negative_priority(
    "FROM tag a TO any ALLOW ah PRIORITY -1",
    36,
    "expected a number for the priority"
)]
#[case::more_text("FROM tag a TO any ALLOW ah PRIORITY 1 x", 38, "expected the end of the rule, found \"x\"")]
#[case::no_instance("FROM any TO any ALLOW ah", 0, "affects no instance")]
#[case::only_addresses("FROM ip 10.8.0.1 TO subnet 10.9.0.0/16 ALLOW ah", 0, "affects no instance")]
#[case::ipv6_in_icmp(
    "FROM all vms TO ip fd00::45 BLOCK icmp TYPE 8",
    0,
    "an icmp rule cannot have the target `ip fd00::45`"
)]
#[case::an_ipv6_subnet_in_icmp("FROM subnet fe80::/64 TO all vms BLOCK icmp TYPE 8", 0, "`subnet fe80::/64`")]
#[case::ipv4_in_icmp6(
    "FROM all vms TO ip 1.2.3.4 BLOCK icmp6 TYPE 128",
    0,
    "an icmp6 rule cannot have the target"
)]
#[case::an_ipv4_subnet_in_icmp6(
    "FROM all vms TO subnet 10.0.0.0/8 BLOCK icmp6 TYPE all",
    0,
    "`subnet 10.0.0.0/8`"
)]
fn a_bad_rule_is_refused_at_its_fault(#[case] text: &str, #[case] position: usize, #[case] message: &str) {
    refuse(text, position, message);
}

#[test]
fn lists_have_at_most_24_entries_counted_before_duplicates_are_removed() {
    let joined = |count: usize, item: &str, separator: &str| vec![item; count].join(separator);
    let check = |text: fn(String) -> String, item: &str, separator: &str, message: &str| {
        text(joined(24, item, separator)).parse::<FirewallRule>().unwrap();
        let error = text(joined(25, item, separator)).parse::<FirewallRule>().unwrap_err();
        assert!(error.message().contains(message), "{error}");
    };
    check(
        |list| format!("FROM ({list}) TO any ALLOW ah"),
        "tag a",
        " OR ",
        "FROM side has more than 24 targets",
    );
    check(
        |list| format!("FROM all vms TO ({list}) ALLOW ah"),
        "ip 1.1.1.1",
        " OR ",
        "TO side has more than 24",
    );
    check(|list| format!("FROM any TO tag a ALLOW tcp ({list})"), "PORT 1", " AND ", "more than 24 ports");
    check(|list| format!("FROM any TO tag a ALLOW tcp PORTS {list}"), "1-2", ",", "more than 24 ports");
    check(|list| format!("FROM any TO tag a ALLOW icmp ({list})"), "TYPE 1", " AND ", "more than 24 types");
}

#[test]
fn no_beginning_of_a_rule_is_the_same_rule() {
    let rule = "FROM (ip 1.2.3.4 OR subnet fd00::/64 OR tag \"\\ud83e\\udd80\" = \"(\") TO vm \
                b0b92cd9-1fe7-4636-8477-81d2742566c2 ALLOW tcp PORTS 1 - 9, 20-40 PRIORITY 100";
    let whole: FirewallRule = rule.parse().unwrap();
    for end in 0..rule.len() {
        if let Ok(parsed) = rule[..end].parse::<FirewallRule>() {
            assert_ne!(parsed, whole, "{}", &rule[..end]);
        }
    }
}
