use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn parse(text: &str) -> CnsServices {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

type Parts<'a> = (&'a str, Option<u16>, Option<u16>, Option<u16>);

#[rstest]
#[case::a_name("web", ("web", None, None, None))]
#[case::a_port("web:8080", ("web", Some(8080), None, None))]
#[case::the_port_as_a_property("web:port=8080", ("web", Some(8080), None, None))]
#[case::the_last_port_wins("web:80:port=81:port=82", ("web", Some(82), None, None))]
#[case::only_the_last_is_checked("web:0:weight=x:port=80:weight=9", ("web", Some(80), None, Some(9)))]
#[case::all_properties("web:80:priority=10:weight=65535", ("web", Some(80), Some(10), Some(65535)))]
#[case::properties_in_any_order("web:weight=0:priority=0:port=1", ("web", Some(1), Some(0), Some(0)))]
#[case::upper_case("Web-1:80", ("web-1", Some(80), None, None))]
#[case::a_leading_digit("5web", ("5web", None, None, None))]
#[case::dots("web.dev:123", ("web.dev", Some(123), None, None))]
#[case::what_is_no_dns_name("-..", ("-..", None, None, None))]
#[case::an_srv_name("_ldap._tcp:389", ("_ldap._tcp", Some(389), None, None))]
#[case::another_srv_name("_DNS._udp:53:weight=20", ("_dns._udp", Some(53), None, Some(20)))]
#[case::an_empty_srv_name("_._tcp", ("_._tcp", None, None, None))]
#[case::leading_zeros("web:0080", ("web", Some(80), None, None))]
#[case::numbers_as_javascript_reads_them(
    "web:port= +80x:priority=\u{a0}7.5:weight=-0",
    ("web", Some(80), Some(7), Some(0))
)]
fn an_entry_is_read_and_kept_byte_for_byte(#[case] text: &str, #[case] expected: Parts<'_>) {
    let services = parse(text);
    let [entry] = services.entries() else { panic!("{services:?}") };
    assert_eq!((entry.name(), entry.port(), entry.priority(), entry.weight()), expected);
    assert_eq!((entry.text(), services.to_string().as_str()), (text, text));
}

#[test]
fn entries_keep_their_order_and_duplicates() {
    let text = "b:2,a,b:1,a";
    let services = parse(text);
    let names: Vec<&str> = services.entries().iter().map(CnsService::name).collect();
    assert_eq!(names, ["b", "a", "b", "a"]);
    assert_eq!(services.to_string(), text);
}

#[rstest]
#[case::nothing("", 0, "expected the name of a service, found nothing")]
#[case::an_empty_entry("a,,b", 2, "found nothing")]
#[case::a_comma_at_the_end("a,", 2, "found nothing")]
#[case::a_blank_after_a_comma("a, b", 2, "found \" b\"")]
#[case::a_blank_after_a_name("a ,b", 1, "expected `:` or `,`, found \" \"")]
#[case::a_leading_dot(".a", 0, "expected the name")]
#[case::an_underscore("_web", 0, "expected the name")]
#[case::only_a_protocol("_tcp:389", 0, "expected the name")]
#[case::another_protocol("_web._sctp", 0, "expected the name")]
#[case::an_upper_case_protocol("_web._TCP", 0, "expected the name")]
#[case::more_after_the_protocol("_web._tcpx", 9, "expected `:`")]
#[case::a_letter_beyond_ascii("w\u{e9}b", 1, "found \"\u{e9}b\"")]
#[case::a_long_name(
    "a,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    2,
    "more than 63 characters"
)]
#[case::an_empty_port("web:", 4, "expected a port or property=value, found \"\"")]
#[case::a_named_port("web:http", 4, "found \"http\"")]
#[case::a_second_port("web:80:81", 7, "found \"81\"")]
#[case::letters_after_a_port("web:80x", 4, "found \"80x\"")]
#[case::port_zero("web:0", 4, "port must be 1 to 65535, found \"0\"")]
#[case::a_port_over_65535("a,web:port=65536", 6, "port must be 1 to 65535")]
#[case::a_huge_port("web:123123123123", 4, "port must be 1 to 65535")]
#[case::a_negative_weight("web:weight=-1", 4, "weight must be 0 to 65535")]
#[case::no_number("web:priority=abc", 4, "priority must be 0 to 65535, found \"abc\"")]
#[case::no_value("web:priority=", 4, "found \"priority=\"")]
#[case::an_unknown_property("web:80:ttl=5", 7, "\"ttl\" is not a property")]
#[case::an_upper_case_property("web:Port=5", 4, "\"Port\" is not a property")]
#[case::a_property_that_renames("web:name=other", 4, "\"name\" is not a property")]
fn a_bad_value_is_refused_at_its_fault(#[case] text: &str, #[case] position: usize, #[case] message: &str) {
    let error = text.parse::<CnsServices>().expect_err(text);
    assert!(error.message().contains(message), "{text}: {error}");
    assert_eq!(error.position(), position, "{text}: {error}");
}

#[test]
fn a_new_entry_is_written_in_canonical_order() {
    let entry = CnsService::new("Web").unwrap().with_weight(3).with_priority(0).with_port(8080).unwrap();
    assert_eq!(entry.text(), "web:8080:priority=0:weight=3");
    assert_eq!(parse(entry.text()).entries(), [entry]);
}

#[rstest]
#[case("web")]
#[case("0")]
#[case("web-1.dev")]
#[case("_ldap._tcp")]
#[case("_l-1._udp")]
#[case("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
fn a_dns_name_can_name_a_new_service(#[case] name: &str) {
    assert_eq!(CnsService::new(name).map(|entry| entry.text().to_owned()), Ok(name.to_owned()));
}

#[rstest]
#[case("")]
#[case("-web")]
#[case("web-")]
#[case("a..b")]
#[case("a.")]
#[case("_web")]
#[case("_._tcp")]
#[case("_a.b._tcp")]
#[case("_-a._tcp")]
#[case("web:80")]
#[case("a,b")]
#[case("w\u{e9}b")]
#[case("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
fn what_is_no_dns_name_cannot_name_a_new_service(#[case] name: &str) {
    assert_eq!(CnsService::new(name), Err(InvalidServices::Name { name: name.to_owned() }));
}

#[test]
fn values_without_a_text_cannot_be_made() {
    let zero = CnsService::new("web").unwrap().with_port(0);
    assert_eq!(zero, Err(InvalidServices::PortZero { name: "web".to_owned() }));
    assert_eq!(CnsServices::new(vec![]), Err(InvalidServices::NoServices));
    let many = vec![CnsService::new("web").unwrap(); MAX_TEXT_BYTES / 4 + 1];
    assert_eq!(CnsServices::new(many), Err(InvalidServices::TooLong { length: MAX_TEXT_BYTES + 3 }));
}

fn entry() -> impl Strategy<Value = CnsService> {
    let name = prop_oneof![
        "[A-Za-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,10}){0,2}",
        "_[a-z0-9]{1,15}\\._(tcp|udp)"
    ];
    let numbers = (prop::option::of(1u16..), any::<Option<u16>>(), any::<Option<u16>>());
    (name, numbers).prop_map(|(name, (port, priority, weight))| {
        let entry = CnsService::new(&name).unwrap();
        let entry = port.iter().fold(entry, |entry, port| entry.with_port(*port).unwrap());
        let entry = priority.iter().fold(entry, |entry, priority| entry.with_priority(*priority));
        weight.iter().fold(entry, |entry, weight| entry.with_weight(*weight))
    })
}

proptest! {
    #[test]
    fn printed_services_parse_to_the_same_services(entries in prop::collection::vec(entry(), 1..20)) {
        let services = CnsServices::new(entries).unwrap();
        prop_assert_eq!(services.to_string().parse(), Ok(services));
    }

    #[test]
    fn replacing_one_entry_leaves_the_bytes_of_the_others(
        before in "[A-Z]{1,5}(:0{0,3}[1-9]{1,4})?",
        after in "[a-z]{1,5}:weight= [0-9]{1,4}[g-z]{0,3}",
        own in entry(),
    ) {
        let observed = parse(&format!("{before},Owned:1,{after}"));
        let replace = |entry: CnsService| if entry.name() == "owned" { own.clone() } else { entry };
        let replaced = observed.into_iter().map(replace).collect();
        let expected = format!("{before},{own},{after}");
        prop_assert_eq!(CnsServices::new(replaced).unwrap().to_string(), expected);
    }

    #[test]
    fn any_text_is_refused_or_printed_byte_for_byte(
        text in prop_oneof![
            any::<String>(),
            "[a-zA-Z0-9._:=, +-]{0,40}",
            "(web|_a\\._tcp|:80|:port=|,|1){0,9}",
        ],
    ) {
        match text.parse::<CnsServices>() {
            Ok(services) => prop_assert_eq!(services.to_string(), text),
            Err(error) => prop_assert!(text.is_char_boundary(error.position()), "{}", error),
        }
    }
}
