//! Tables: a text and what it is in canonical form, the parts of a rule and their text.

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
    "FROM (vm b0b92cd9-1fe7-4636-8477-81d2742566c2 OR tag b OR subnet 10.2.0.0/16 OR ip 10.0.0.9 OR \
     tag a = z OR vm 518908b6-8299-466d-8ea5-20a0ceff63ec OR ip fd00::1 OR ip 10.0.0.10 OR \
     subnet 10.0.0.0/8) TO any ALLOW esp",
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
#[case::all_ports("FROM any TO all vms ALLOW udp (PORT ALL)", "FROM any TO all vms ALLOW udp PORT all")]
#[case::types_sorted_by_number_then_code(
    "FROM any TO all vms ALLOW icmp (TYPE 8 CODE 0 AND TYPE 3 CODE 11 AND TYPE 3 AND TYPE 03 CODE 001)",
    "FROM any TO all vms ALLOW icmp (TYPE 3 AND TYPE 3 CODE 1 AND TYPE 3 CODE 11 AND TYPE 8 CODE 0)"
)]
#[case::all_types("from any to all vms allow icmp6 (type all)", "FROM any TO all vms ALLOW icmp6 TYPE all")]
#[case::a_priority("FROM any TO all vms BLOCK ah PRIORITY 010", "FROM any TO all vms BLOCK ah PRIORITY 10")]
#[case::bare_words_in_tags(
    "FROM tag some-tag = _x-1 TO tag 007 ALLOW ah",
    "FROM tag \"some-tag\" = \"_x-1\" TO tag \"007\" ALLOW ah"
)]
#[case::keywords_as_quoted_tags(
    "FROM tag \"from\" = \"ALL\" TO tag From ALLOW ah",
    "FROM tag \"from\" = \"ALL\" TO tag \"From\" ALLOW ah"
)]
#[case::empty_tags("FROM tag \"\" = \"\" TO tag \"\" ALLOW ah", "FROM tag \"\" = \"\" TO tag \"\" ALLOW ah")]
fn a_rule_is_printed_in_canonical_form(#[case] text: &str, #[case] canonical: &str) {
    check(text, canonical);
}

#[rstest]
#[case::named_escapes(r#"\"\\\/\(\)\b\f\n\r\t"#, "\"\\/()\u{8}\u{c}\n\r\t", r#"\"\\/\(\)\b\f\n\r\t"#)]
#[case::parentheses_need_no_escape("(a)", "(a)", r"\(a\)")]
#[case::a_raw_newline("a\nb", "a\nb", r"a\nb")]
#[case::code_units(r"\u0041\u00e9\u2603", "A\u{e9}\u{2603}", "A\u{e9}\u{2603}")]
#[case::a_surrogate_pair(r"\ud83e\uDD80", "\u{1f980}", "\u{1f980}")]
#[case::control_characters(r"\u0000\u000b\u001f\u007f", "\0\u{b}\u{1f}\u{7f}", r"\u0000\u000B\u001F\u007F")]
#[case::blanks_beyond_ascii(
    "\u{85}\u{a0}\u{200b}\u{feff}",
    "\u{85}\u{a0}\u{200b}\u{feff}",
    r"\u0085\u00A0\u200B\uFEFF"
)]
#[case::other_controls_stay("\u{80}\u{9f}", "\u{80}\u{9f}", "\u{80}\u{9f}")]
fn tags_are_unescaped_and_escaped(#[case] written: &str, #[case] value: &str, #[case] printed: &str) {
    let text = |tag: &str| format!("FROM tag \"{tag}\" = \"{tag}\" TO any ALLOW ah");
    check(&text(written), &text(printed));
    assert_eq!(parse(&text(written)).from_side(), &Side::from(Target::tag_value(value, value)));
}

#[test]
fn tags_are_sorted_by_utf_16_code_units() {
    check(
        "FROM (tag \"\u{ff5e}\" OR tag \"\u{1f980}\") TO any ALLOW ah",
        "FROM (tag \"\u{1f980}\" OR tag \"\u{ff5e}\") TO any ALLOW ah",
    );
}

#[test]
fn a_rule_is_built_from_values() {
    let rule = FirewallRule::new(
        vec![Target::subnet("10.0.0.0/8".parse::<IpNet>().unwrap()), Target::ip(Ipv4Addr::new(192, 0, 2, 1))],
        [Target::vm(VM.parse().unwrap()), Target::tag("web"), Target::vm(OTHER_VM.parse().unwrap())],
        Action::Block,
        Protocol::udp(["53".parse::<u16>().map(PortSpec::One).unwrap(), (8000..=8010).into()]),
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
    assert_eq!(rule.to_string(), "FROM all vms TO any ALLOW icmp (TYPE 0 AND TYPE 8 CODE 0)");
}

#[test]
fn rules_with_the_same_meaning_are_equal_however_they_were_made() {
    let built = FirewallRule::new(
        Target::tag_value("k8s.pod", "x"),
        [Target::tag("db"), Target::tag_value("db", "primary")],
        Action::Allow,
        Protocol::tcp([5433, 5432]),
    );
    assert_eq!(built.unwrap(), parse("from tag \"k8s.pod\"=x to tag db allow tcp ports 5432,5433"));
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
    let to_any = FirewallRule::new(Target::ip(Ipv6Addr::LOCALHOST), Side::Any, Action::Allow, Protocol::Ah);

    assert_eq!(tcp_from(vec![], 80), Err(InvalidRule::NoTargets { side: "FROM" }));
    assert!(tcp_from(tags(24), 80).is_ok());
    assert_eq!(tcp_from(tags(25), 80), Err(InvalidRule::TooManyTargets { side: "FROM", count: 25 }));
    assert!(tcp_from(vec![Target::tag("a"); 25], 80).is_ok(), "one target after removing duplicates");
    assert_eq!(to_any, Err(InvalidRule::AffectsNoInstance));
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    assert_eq!(tcp_from(Target::ip(nowhere), 80), Err(InvalidRule::Address { address: nowhere }));
    let subnet = "10.0.0.1/8".parse::<IpNet>().unwrap();
    let host_bits = InvalidRule::HostBits { subnet, network: subnet.trunc() };
    assert_eq!(tcp_from(Target::subnet(subnet), 80), Err(host_bits));
    assert_eq!(tcp_from(Target::tag("__proto__"), 80), Err(InvalidRule::TagLost));
    assert_eq!(tcp_from(Target::tag_value("a", "__proto__"), 80), Err(InvalidRule::TagLost));
    assert_eq!(tcp_from(Side::Any, 0), Err(InvalidRule::PortZero));
    assert_eq!(tcp_from(Side::Any, 0..=9), Err(InvalidRule::PortZero));
    assert_eq!(tcp_from(Side::Any, [range()]), Err(InvalidRule::RangeOrder { first: 20, last: 10 }));
    assert_eq!(tcp_from(Side::Any, [0_u16; 0]), Err(InvalidRule::NoProtocolTargets { what: "ports" }));
    let too_many = InvalidRule::TooManyProtocolTargets { what: "ports", count: 25 };
    assert_eq!(tcp_from(Side::Any, [80_u16; 25]), Err(too_many));
    assert_eq!(icmp(IcmpTypes::List(vec![])), Err(InvalidRule::NoProtocolTargets { what: "types" }));
    let too_many = InvalidRule::TooManyProtocolTargets { what: "types", count: 25 };
    assert_eq!(icmp([IcmpType::all_codes(8); 25].into()), Err(too_many));
    let priority = tcp_from(Side::Any, 80).and_then(|rule| rule.with_priority(101));
    assert_eq!(priority, Err(InvalidRule::Priority { priority: 101 }));
    let long = tcp_from(Target::tag("\0".repeat(MAX_TEXT_BYTES / 6)), 80);
    assert!(matches!(long, Err(InvalidRule::TooLong { length }) if length > MAX_TEXT_BYTES), "{long:?}");
}
