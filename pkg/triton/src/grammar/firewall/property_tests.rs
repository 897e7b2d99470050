//! Properties that hold for every rule and every text.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Action, FirewallRule, IcmpType, IcmpTypes, MAX_PRIORITY, PortSpec, Ports, Protocol, Side, Target,
};

/// Few different strings, so that duplicates and absorption happen, and now and then any string.
fn tag_string() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-c]{0,2}",
        1 => "[\"\\\\()/ \u{a0}\u{feff}\u{1f980}\u{ff5e}\u{0}-\u{20}a-z]{0,6}",
        1 => any::<String>(),
    ]
    .prop_filter("the server loses it", |text| text != "__proto__")
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    let few = (1u8..4).prop_map(|last| Ipv4Addr::new(10, 0, 0, last));
    let host = |address: &Ipv4Addr| !address.is_unspecified() && *address != Ipv4Addr::BROADCAST;
    prop_oneof![few, any::<Ipv4Addr>().prop_filter("no host", host)]
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![any::<Ipv6Addr>(), any::<Ipv4Addr>().prop_map(|v4| v4.to_ipv6_mapped())]
}

fn address_target(v4: bool, v6: bool) -> BoxedStrategy<Target> {
    let v4_subnet =
        (ipv4(), 0u8..=32).prop_map(|(ip, length)| IpNet::new(ip.into(), length).unwrap().trunc());
    let v6_subnet =
        (ipv6(), 0u8..=128).prop_map(|(ip, length)| IpNet::new(ip.into(), length).unwrap().trunc());
    let v4_target = prop_oneof![ipv4().prop_map(Target::ip), v4_subnet.prop_map(Target::subnet)];
    let v6_target = prop_oneof![ipv6().prop_map(Target::ip), v6_subnet.prop_map(Target::subnet)];
    match (v4, v6) {
        (true, true) => prop_oneof![v4_target, v6_target].boxed(),
        (true, false) => v4_target.boxed(),
        _ => v6_target.boxed(),
    }
}

fn instance_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        tag_string().prop_map(Target::tag),
        (tag_string(), tag_string()).prop_map(|(name, value)| Target::tag_value(name, value)),
        any::<u128>().prop_map(|bits| Target::vm(Uuid::from_u128(bits))),
    ]
}

/// A side that selects instances.
fn instances() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::AllVms), prop::collection::vec(instance_target(), 1..=24).prop_map(Side::Targets)]
}

fn any_side(v4: bool, v6: bool) -> impl Strategy<Value = Side> {
    let target = prop_oneof![instance_target(), address_target(v4, v6)];
    prop_oneof![
        Just(Side::Any),
        Just(Side::AllVms),
        prop::collection::vec(target, 1..=24).prop_map(Side::Targets)
    ]
}

fn port() -> impl Strategy<Value = PortSpec> {
    let number = || prop_oneof![1u16..5, 1u16..];
    prop_oneof![
        number().prop_map(PortSpec::One),
        (number(), number()).prop_map(|(a, b)| PortSpec::Range(a.min(b), a.max(b))),
    ]
}

fn ports() -> impl Strategy<Value = Ports> {
    prop_oneof![Just(Ports::All), prop::collection::vec(port(), 1..=24).prop_map(Ports::List)]
}

fn types() -> impl Strategy<Value = IcmpTypes> {
    let one = (any::<u8>(), any::<Option<u8>>()).prop_map(|(number, code)| IcmpType { number, code });
    prop_oneof![Just(IcmpTypes::All), prop::collection::vec(one, 1..=24).prop_map(IcmpTypes::List)]
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        ports().prop_map(Protocol::Tcp),
        ports().prop_map(Protocol::Udp),
        types().prop_map(Protocol::Icmp),
        types().prop_map(Protocol::Icmp6),
        Just(Protocol::Ah),
        Just(Protocol::Esp),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Allow), Just(Action::Block)]
}

/// The parts of a valid rule before they are brought into canonical form.
fn parts() -> impl Strategy<Value = (Side, Side, Action, Protocol, u8)> {
    (protocol(), any::<bool>()).prop_flat_map(|(protocol, swap)| {
        let v4 = !matches!(protocol, Protocol::Icmp6(_));
        let v6 = !matches!(protocol, Protocol::Icmp(_));
        (instances(), any_side(v4, v6), action(), Just(protocol), 0..=MAX_PRIORITY).prop_map(
            move |(a, b, action, protocol, priority)| {
                let (from, to) = if swap { (b, a) } else { (a, b) };
                (from, to, action, protocol, priority)
            },
        )
    })
}

fn rule() -> impl Strategy<Value = FirewallRule> {
    parts().prop_map(|(from, to, action, protocol, priority)| {
        FirewallRule::new(from, to, action, protocol).and_then(|rule| rule.with_priority(priority)).unwrap()
    })
}

/// Words of the language in any order, which get further into the parser than arbitrary text.
fn babble() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "FROM",
        "from",
        "TO",
        "to",
        "any",
        "all",
        "vms",
        "ip",
        "1.2.3.4",
        "fd00::1",
        "subnet",
        "10.0.0.0",
        "/8",
        "tag",
        "a",
        "\"b c\"",
        "=",
        "vm",
        "b0b92cd9-1fe7-4636-8477-81d2742566c2",
        "(",
        ")",
        "OR",
        "AND",
        "ALLOW",
        "BLOCK",
        "tcp",
        "udp",
        "icmp",
        "icmp6",
        "ah",
        "esp",
        "PORT",
        "PORTS",
        "80",
        "20-40",
        "-",
        ",",
        "TYPE",
        "CODE",
        "PRIORITY",
        "8",
        "\\",
        "\"",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

/// A valid rule with a piece cut out or replaced.
fn damaged() -> impl Strategy<Value = String> {
    (rule(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~]{0,3}").prop_map(
        |(rule, start, length, instead)| {
            let mut text: Vec<char> = rule.to_string().chars().collect();
            let start = start.index(text.len());
            let end = start + length.index((text.len() - start).min(8));
            text.splice(start..end, instead.chars());
            text.into_iter().collect()
        },
    )
}

fn check_text(text: &str) -> Result<(), TestCaseError> {
    match text.parse::<FirewallRule>() {
        Ok(rule) => {
            let canonical = rule.to_string();
            let again = canonical.parse::<FirewallRule>();
            prop_assert_eq!(again.as_ref(), Ok(&rule));
            prop_assert_eq!(again.unwrap().to_string(), canonical);
        }
        Err(error) => prop_assert!(text.is_char_boundary(error.position()), "{}", error),
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_printed_rule_parses_to_the_same_rule(rule in rule()) {
        prop_assert_eq!(rule.to_string().parse(), Ok(rule));
    }

    #[test]
    fn the_parts_of_a_rule_make_the_same_rule_again(rule in rule()) {
        let parts = (rule.from_side().clone(), rule.to_side().clone(), rule.protocol().clone());
        let again = FirewallRule::new(parts.0, parts.1, rule.action(), parts.2).unwrap();
        prop_assert_eq!(again.with_priority(rule.priority()), Ok(rule));
    }

    #[test]
    fn the_order_of_the_parts_does_not_matter((from, to, action, protocol, priority) in parts()) {
        let reverse = |side: &Side| match side.clone() {
            Side::Targets(targets) => targets.into_iter().rev().collect(),
            side => side,
        };
        let mut reversed = protocol.clone();
        match &mut reversed {
            Protocol::Tcp(Ports::List(ports)) | Protocol::Udp(Ports::List(ports)) => ports.reverse(),
            Protocol::Icmp(IcmpTypes::List(list)) | Protocol::Icmp6(IcmpTypes::List(list)) => list.reverse(),
            _ => {}
        }
        let other = FirewallRule::new(reverse(&from), reverse(&to), action, reversed);
        let rule = FirewallRule::new(from, to, action, protocol);
        prop_assert_eq!(rule.unwrap().with_priority(priority), other.unwrap().with_priority(priority));
    }

    #[test]
    fn rules_are_equal_exactly_when_their_texts_are(a in rule(), b in rule()) {
        prop_assert_eq!(a == b, a.to_string() == b.to_string());
    }

    #[test]
    fn any_text_is_refused_or_survives_a_round_trip(text in any::<String>()) {
        check_text(&text)?;
    }

    #[test]
    fn words_in_any_order_are_refused_or_survive_a_round_trip(text in babble()) {
        check_text(&text)?;
    }

    #[test]
    fn a_damaged_rule_is_refused_or_survives_a_round_trip(text in damaged()) {
        check_text(&text)?;
    }
}
