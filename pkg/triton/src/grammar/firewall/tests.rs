//! Tables: a text and what it is in canonical form, a text and why it is refused, parts and their text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rstest::rstest;

use super::*;

const VM: &str = "b0b92cd9-1fe7-4636-8477-81d2742566c2";
const OTHER_VM: &str = "518908b6-8299-466d-8ea5-20a0ceff63ec";

fn parse(text: &str) -> FirewallRule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Checks that `text` is a rule, that `canonical` is how it is printed, and that printing loses nothing.
#[track_caller]
fn check(text: &str, canonical: &str) {
    let rule = parse(text);
    assert_eq!(rule.to_string(), canonical, "printing {text}");
    assert_eq!(parse(canonical), rule, "reading {text} again");
}

/// Checks that `text` is refused at the byte `position` for a reason that contains `message`.
#[track_caller]
fn refuse(text: &str, position: usize, message: &str) {
    let error = text.parse::<FirewallRule>().expect_err(text);
    assert!(error.message().contains(message), "{text}: {error}");
    assert_eq!(error.position(), position, "{text}: {error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[rstest]
#[case::keywords_in_lower_case(
    "from any to all vms allow tcp port 80",
    "FROM any TO all vms ALLOW tcp PORT 80"
)]
#[case::keywords_in_upper_case(
    "FROM ANY TO ALL VMS BLOCK UDP PORTS 53 PRIORITY 0",
    "FROM any TO all vms BLOCK udp PORT 53"
)]
#[case::parentheses_around_one(
    "FROM (any) TO ( all vms ) ALLOW tcp ( PORT 80 )",
    "FROM any TO all vms ALLOW tcp PORT 80"
)]
#[case::no_blanks_where_none_are_needed(
    "FROM(ip 1.2.3.4OR ip 1.2.3.5)TO tag\"a\"ALLOW tcp(PORT 1 AND PORT 2)PRIORITY 3",
    "FROM (ip 1.2.3.4 OR ip 1.2.3.5) TO tag \"a\" ALLOW tcp (PORT 1 AND PORT 2) PRIORITY 3"
)]
#[case::any_javascript_blanks(
    "FROM\tany\nTO\u{a0}all\u{feff}vms ALLOW\u{3000}ah",
    "FROM any TO all vms ALLOW ah"
)]
#[case::targets_grouped_and_sorted_as_text(
    "FROM (vm b0b92cd9-1fe7-4636-8477-81d2742566c2 OR tag b OR subnet 10.2.0.0/16 OR ip 10.0.0.9 OR tag a = z OR \
     vm 518908b6-8299-466d-8ea5-20a0ceff63ec OR ip fd00::1 OR ip 10.0.0.10 OR subnet 10.0.0.0/8) TO any ALLOW esp",
    "FROM (ip 10.0.0.10 OR ip 10.0.0.9 OR ip fd00::1 OR subnet 10.0.0.0/8 OR subnet 10.2.0.0/16 OR \
     tag \"a\" = \"z\" OR tag \"b\" OR vm 518908b6-8299-466d-8ea5-20a0ceff63ec OR \
     vm b0b92cd9-1fe7-4636-8477-81d2742566c2) TO any ALLOW esp"
)]
#[case::a_longer_prefix_sorts_as_text(
    "FROM (subnet 10.0.0.0/8 OR subnet 10.0.0.0/16) TO all vms ALLOW ah",
    "FROM (subnet 10.0.0.0/16 OR subnet 10.0.0.0/8) TO all vms ALLOW ah"
)]
#[case::duplicates_removed(
    "FROM (tag a OR tag a OR ip 1.1.1.1 OR ip 1.1.1.1) TO (tag b = c OR tag b = c) ALLOW ah",
    "FROM (ip 1.1.1.1 OR tag \"a\") TO tag \"b\" = \"c\" ALLOW ah"
)]
#[case::a_tag_absorbs_its_values(
    "FROM (tag a = 1 OR tag b = 1 OR tag a OR tag a = 2) TO tag a = 3 ALLOW ah",
    "FROM (tag \"a\" OR tag \"b\" = \"1\") TO tag \"a\" = \"3\" ALLOW ah"
)]
#[case::addresses_in_their_shortest_form(
    "FROM (ip fd00:0:0:0::1 OR ip ::ffff:102:304 OR ip :: OR subnet fd00:0::/8) TO all vms ALLOW ah",
    "FROM (ip :: OR ip ::ffff:102:304 OR ip fd00::1 OR subnet fd00::/8) TO all vms ALLOW ah"
)]
#[case::networks_of_everything(
    "FROM (subnet 0.0.0.0/0 OR subnet ::/0 OR subnet ::ffff:a00:0/104) TO all vms ALLOW ah",
    "FROM (subnet 0.0.0.0/0 OR subnet ::/0 OR subnet ::ffff:a00:0/104) TO all vms ALLOW ah"
)]
#[case::ports_sorted_by_number_with_duplicates_kept(
    "FROM any TO all vms ALLOW tcp (PORT 443 AND PORT 80 AND PORT 00080 AND PORT 8080)",
    "FROM any TO all vms ALLOW tcp (PORT 80 AND PORT 80 AND PORT 443 AND PORT 8080)"
)]
#[case::ports_without_a_range(
    "FROM any TO all vms ALLOW tcp PORTS 443, 80",
    "FROM any TO all vms ALLOW tcp (PORT 80 AND PORT 443)"
)]
#[case::ports_with_ranges(
    "FROM any TO all vms ALLOW udp PORTS 1002, 20-40, 10 - 30, 10, 10 -20,6-6",
    "FROM any TO all vms ALLOW udp PORTS 6 - 6, 10, 10 - 20, 10 - 30, 20 - 40, 1002"
)]
#[case::all_ports(
    "FROM any TO all vms ALLOW udp (PORT ALL)",
    "FROM any TO all vms ALLOW udp PORT all"
)]
#[case::types_sorted_by_number_then_code(
    "FROM any TO all vms ALLOW icmp (TYPE 8 CODE 0 AND TYPE 3 CODE 11 AND TYPE 3 AND TYPE 03 CODE 001 AND TYPE 0)",
    "FROM any TO all vms ALLOW icmp (TYPE 0 AND TYPE 3 AND TYPE 3 CODE 1 AND TYPE 3 CODE 11 AND TYPE 8 CODE 0)"
)]
#[case::all_types(
    "from any to all vms allow icmp6 (type all)",
    "FROM any TO all vms ALLOW icmp6 TYPE all"
)]
#[case::a_priority(
    "FROM any TO all vms BLOCK ah PRIORITY 010",
    "FROM any TO all vms BLOCK ah PRIORITY 10"
)]
#[case::bare_words_in_tags(
    "FROM tag some-tag = _x-1 TO tag 007 ALLOW ah",
    "FROM tag \"some-tag\" = \"_x-1\" TO tag \"007\" ALLOW ah"
)]
#[case::keywords_as_quoted_tags(
    "FROM tag \"from\" = \"ALL\" TO tag From ALLOW ah",
    "FROM tag \"from\" = \"ALL\" TO tag \"From\" ALLOW ah"
)]
#[case::empty_tags(
    "FROM tag \"\" = \"\" TO tag \"\" ALLOW ah",
    "FROM tag \"\" = \"\" TO tag \"\" ALLOW ah"
)]
fn a_rule_is_printed_in_canonical_form(#[case] text: &str, #[case] canonical: &str) {
    check(text, canonical);
}

#[rstest]
#[case::named_escapes(
    r#"\"\\\/\(\)\b\f\n\r\t"#,
    "\"\\/()\u{8}\u{c}\n\r\t",
    r#"\"\\/\(\)\b\f\n\r\t"#
)]
#[case::parentheses_need_no_escape("(a)", "(a)", r"\(a\)")]
#[case::a_raw_newline("a\nb", "a\nb", r"a\nb")]
#[case::code_units(r"\u0041\u00e9\u2603", "A\u{e9}\u{2603}", "A\u{e9}\u{2603}")]
#[case::a_surrogate_pair(r"\ud83e\uDD80", "\u{1f980}", "\u{1f980}")]
#[case::control_characters(
    r"\u0000\u000b\u001f\u007f",
    "\0\u{b}\u{1f}\u{7f}",
    r"\u0000\u000B\u001F\u007F"
)]
#[case::blanks_beyond_ascii(
    "\u{85}\u{a0}\u{200b}\u{feff}",
    "\u{85}\u{a0}\u{200b}\u{feff}",
    r"\u0085\u00A0\u200B\uFEFF"
)]
#[case::other_controls_stay("\u{80}\u{9f}", "\u{80}\u{9f}", "\u{80}\u{9f}")]
fn tags_are_unescaped_and_escaped(#[case] written: &str, #[case] value: &str, #[case] printed: &str) {
    let text = |tag: &str| format!("FROM tag \"{tag}\" = \"{tag}\" TO any ALLOW ah");
    check(&text(written), &text(printed));
    assert_eq!(
        parse(&text(written)).from_side(),
        &Side::from(Target::tag_value(value, value))
    );
}

#[test]
fn tags_are_sorted_by_utf_16_code_units() {
    check(
        "FROM (tag \"\u{ff5e}\" OR tag \"\u{1f980}\") TO any ALLOW ah",
        "FROM (tag \"\u{1f980}\" OR tag \"\u{ff5e}\") TO any ALLOW ah",
    );
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
#[case::five_groups(
    "FROM ip 10.99.99.99.254 TO tag a ALLOW ah",
    19,
    "no part of a rule starts with \".\""
)]
#[case::a_group_over_255(
    "FROM tag a TO ip 10.288.0.0 ALLOW ah",
    17,
    "\"10.288.0.0\" is not an address"
)]
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
#[case::types_of_tcp(
    "FROM tag a TO any ALLOW tcp TYPE 8",
    28,
    "expected PORT, found the keyword TYPE"
)]
#[case::ports_of_icmp(
    "FROM tag a TO any ALLOW icmp PORT 8",
    29,
    "expected TYPE, found the keyword PORT"
)]
#[case::ports_of_ah("FROM tag a TO any ALLOW ah PORT 8", 27, "expected the end of the rule")]
#[case::a_named_port(
    "FROM tag a TO any ALLOW tcp PORT ssh",
    33,
    "\"ssh\" is not a number for the port (1 to 65535)"
)]
#[case::a_quoted_port(
    "FROM tag a TO any ALLOW tcp PORT \"80\"",
    33,
    "expected a number for the port"
)]
#[case::port_zero("FROM tag a TO any ALLOW tcp PORT 0", 33, "1 to 65535")]
#[case::a_port_over_65535("FROM tag a TO any ALLOW tcp PORT 65536", 33, "1 to 65535")]
#[case::a_huge_port("FROM tag a TO any ALLOW tcp PORT 18446744073709551696", 33, "1 to 65535")]
#[case::a_range_after_port("FROM tag a TO any ALLOW tcp PORT 20-40", 33, "1 to 65535")]
#[case::a_backward_range(
    "FROM tag a TO any ALLOW tcp PORTS 20 - 10",
    34,
    "20 - 10 ends before it starts"
)]
#[case::a_backward_word(
    "FROM tag a TO any ALLOW tcp PORTS 20-10",
    34,
    "20 - 10 ends before it starts"
)]
#[case::an_open_range(
    "FROM tag a TO any ALLOW tcp PORTS 1-",
    36,
    "\"\" is not a number for the port"
)]
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
#[case::a_code_of_all(
    "FROM tag a TO any ALLOW icmp TYPE all CODE 1",
    38,
    "expected the end of the rule"
)]
#[case::a_priority_over_100("FROM tag a TO any ALLOW ah PRIORITY 0101", 36, "priority (0 to 100)")]
#[case::a_negative_priority(
    "FROM tag a TO any ALLOW ah PRIORITY -1",
    36,
    "expected a number for the priority"
)]
#[case::more_text(
    "FROM tag a TO any ALLOW ah PRIORITY 1 x",
    38,
    "expected the end of the rule, found \"x\""
)]
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
        parse(&text(joined(24, item, separator)));
        let error = text(joined(25, item, separator))
            .parse::<FirewallRule>()
            .unwrap_err();
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
    check(
        |list| format!("FROM any TO tag a ALLOW tcp ({list})"),
        "PORT 1",
        " AND ",
        "more than 24 ports",
    );
    check(
        |list| format!("FROM any TO tag a ALLOW tcp PORTS {list}"),
        "1-2",
        ",",
        "more than 24 ports",
    );
    check(
        |list| format!("FROM any TO tag a ALLOW icmp ({list})"),
        "TYPE 1",
        " AND ",
        "more than 24 types",
    );
}

#[test]
fn every_unfinished_rule_is_refused_without_a_panic() {
    let rule = "FROM (ip 1.2.3.4 OR subnet fd00::/64 OR tag \"\\ud83e\\udd80\" = \"(\") TO vm \
                b0b92cd9-1fe7-4636-8477-81d2742566c2 ALLOW tcp PORTS 1 - 9, 20-40 PRIORITY 100";
    let whole = parse(rule);
    for end in 0..rule.len() {
        if let Ok(parsed) = rule[..end].parse::<FirewallRule>() {
            assert_ne!(parsed, whole, "{}", &rule[..end]);
        }
    }
}

#[test]
fn a_rule_is_built_from_values() {
    let rule = FirewallRule::new(
        vec![
            Target::subnet("10.0.0.0/8".parse::<IpNet>().unwrap()),
            Target::ip(Ipv4Addr::new(192, 0, 2, 1)),
        ],
        [
            Target::vm(VM.parse().unwrap()),
            Target::tag("web"),
            Target::vm(OTHER_VM.parse().unwrap()),
        ],
        Action::Block,
        Protocol::udp([
            "53".parse::<u16>().map(PortSpec::One).unwrap(),
            (8000..=8010).into(),
        ]),
    )
    .and_then(|rule| rule.with_priority(7))
    .unwrap();
    assert_eq!(
        rule.to_string(),
        format!(
            "FROM (ip 192.0.2.1 OR subnet 10.0.0.0/8) TO (tag \"web\" OR vm {OTHER_VM} OR vm {VM}) BLOCK udp \
             PORTS 53, 8000 - 8010 PRIORITY 7"
        )
    );
    assert_eq!((rule.action(), rule.priority()), (Action::Block, 7));
    assert_eq!(rule.protocol().name(), "udp");
    assert_eq!(rule.to_side().targets().len(), 3);

    let ping = [IcmpType::with_code(8, 0), IcmpType::all_codes(0)];
    let rule = FirewallRule::new(Side::AllVms, Side::Any, Action::Allow, Protocol::icmp(ping)).unwrap();
    assert_eq!(
        rule.to_string(),
        "FROM all vms TO any ALLOW icmp (TYPE 0 AND TYPE 8 CODE 0)"
    );
}

#[test]
fn rules_with_the_same_meaning_are_equal_however_they_were_made() {
    let built = FirewallRule::new(
        Target::tag_value("k8s.pod", "x"),
        [Target::tag("db"), Target::tag_value("db", "primary")],
        Action::Allow,
        Protocol::tcp([5433, 5432]),
    );
    assert_eq!(
        built.unwrap(),
        parse("from tag \"k8s.pod\"=x to tag db allow tcp ports 5432,5433")
    );
}

fn tcp_from(from: impl Into<Side>, ports: impl Into<Ports>) -> Result<FirewallRule, InvalidRule> {
    FirewallRule::new(from, Side::AllVms, Action::Allow, Protocol::tcp(ports))
}

#[test]
fn no_invalid_rule_can_be_built() {
    let tags = |count: usize| (0..count).map(|n| Target::tag(n.to_string())).collect::<Side>();
    let range = || PortSpec::Range(20, 10);
    let icmp =
        |types: IcmpTypes| FirewallRule::new(Side::Any, Side::AllVms, Action::Allow, Protocol::Icmp(types));
    let to_any = FirewallRule::new(
        Target::ip(Ipv6Addr::LOCALHOST),
        Side::Any,
        Action::Allow,
        Protocol::Ah,
    );

    assert_eq!(tcp_from(vec![], 80), Err(InvalidRule::NoTargets { side: "FROM" }));
    assert!(tcp_from(tags(24), 80).is_ok());
    assert_eq!(
        tcp_from(tags(25), 80),
        Err(InvalidRule::TooManyTargets {
            side: "FROM",
            count: 25
        })
    );
    assert!(
        tcp_from(vec![Target::tag("a"); 25], 80).is_ok(),
        "one target after removing duplicates"
    );
    assert_eq!(to_any, Err(InvalidRule::AffectsNoInstance));
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    assert_eq!(
        tcp_from(Target::ip(nowhere), 80),
        Err(InvalidRule::Address { address: nowhere })
    );
    let subnet = "10.0.0.1/8".parse::<IpNet>().unwrap();
    let host_bits = InvalidRule::HostBits {
        subnet,
        network: subnet.trunc(),
    };
    assert_eq!(tcp_from(Target::subnet(subnet), 80), Err(host_bits));
    assert_eq!(tcp_from(Target::tag("__proto__"), 80), Err(InvalidRule::TagLost));
    assert_eq!(
        tcp_from(Target::tag_value("a", "__proto__"), 80),
        Err(InvalidRule::TagLost)
    );
    assert_eq!(tcp_from(Side::Any, 0), Err(InvalidRule::PortZero));
    assert_eq!(tcp_from(Side::Any, 0..=9), Err(InvalidRule::PortZero));
    assert_eq!(
        tcp_from(Side::Any, [range()]),
        Err(InvalidRule::RangeOrder { first: 20, last: 10 })
    );
    assert_eq!(
        tcp_from(Side::Any, [0_u16; 0]),
        Err(InvalidRule::NoProtocolTargets { what: "ports" })
    );
    let too_many = InvalidRule::TooManyProtocolTargets {
        what: "ports",
        count: 25,
    };
    assert_eq!(tcp_from(Side::Any, [80_u16; 25]), Err(too_many));
    assert_eq!(
        icmp(IcmpTypes::List(vec![])),
        Err(InvalidRule::NoProtocolTargets { what: "types" })
    );
    let too_many = InvalidRule::TooManyProtocolTargets {
        what: "types",
        count: 25,
    };
    assert_eq!(icmp([IcmpType::all_codes(8); 25].into()), Err(too_many));
    let priority = tcp_from(Side::Any, 80).and_then(|rule| rule.with_priority(101));
    assert_eq!(priority, Err(InvalidRule::Priority { priority: 101 }));
    let long = tcp_from(Target::tag("\0".repeat(MAX_TEXT_BYTES / 6)), 80);
    assert!(
        matches!(long, Err(InvalidRule::TooLong { length }) if length > MAX_TEXT_BYTES),
        "{long:?}"
    );
}
