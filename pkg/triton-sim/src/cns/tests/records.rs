//! Every rule of reference 3.2 to 3.4.

use super::*;
use crate::cns::names::dns_names;
use crate::cns::records::MAX_RECORDS;
use crate::cns::zones::{ForwardZone, Networks, ZoneName};

/// The lines that contain a text.
fn matching(view: &InstanceView, text: &str) -> Vec<String> {
    lines_of(view).into_iter().filter(|line| line.contains(text)).collect()
}

fn names_of(view: &InstanceView, config: &ZoneConfig) -> Vec<String> {
    let names = dns_names(view.id, &records_of(view, config, false));
    names.iter().map(|name| name.replace(ID, "U").replace(ACCOUNT, "A")).collect()
}

#[test]
fn the_example_of_the_reference_has_its_records() {
    let expected = [
        "U.inst.A.dc1.triton.zone A 203.0.113.28",
        "U.inst.A.dc1.triton.zone TXT U",
        "web-1.inst.A.dc1.triton.zone A 203.0.113.28",
        "web-1.inst.A.dc1.triton.zone TXT U",
        "U.cmon.dc1.triton.zone CNAME cmon.dc1.triton.zone",
        "U.inst.A.dc1.cns.example.net A 192.168.128.34",
        "U.inst.A.dc1.cns.example.net TXT U",
        "my-fabric-network.U.inst.A.dc1.cns.example.net A 192.168.128.34",
        "my-fabric-network.U.inst.A.dc1.cns.example.net TXT U",
        "web-1.inst.A.dc1.cns.example.net A 192.168.128.34",
        "web-1.inst.A.dc1.cns.example.net TXT U",
        "my-fabric-network.web-1.inst.A.dc1.cns.example.net A 192.168.128.34",
        "my-fabric-network.web-1.inst.A.dc1.cns.example.net TXT U",
        "U.cmon.dc1.cns.example.net CNAME cmon.dc1.cns.example.net",
        "28.113.0.203.in-addr.arpa PTR web-1.inst.A.dc1.triton.zone",
        "34.128.168.192.in-addr.arpa PTR web-1.inst.A.dc1.cns.example.net",
    ];
    assert_eq!(lines_of(&example()), expected);
}

#[test]
fn the_example_of_the_reference_has_its_dns_names() {
    let expected = [
        "U.inst.A.dc1.triton.zone",
        "web-1.inst.A.dc1.triton.zone",
        "U.inst.A.dc1.cns.example.net",
        "my-fabric-network.U.inst.A.dc1.cns.example.net",
        "web-1.inst.A.dc1.cns.example.net",
        "my-fabric-network.web-1.inst.A.dc1.cns.example.net",
    ];
    assert_eq!(names_of(&example(), &zones()), expected);
}

#[test]
fn with_logins_and_services_the_names_keep_the_order_of_the_reference() {
    let view = with_tag(example(), "triton.cns.services", "web:8080,db");
    let mut public = view.clone();
    public.nics.truncate(1);
    let expected = [
        "U.inst.A.dc1.triton.zone",
        "U.inst.acme.dc1.triton.zone",
        "web-1.inst.A.dc1.triton.zone",
        "web-1.inst.acme.dc1.triton.zone",
        "web.svc.A.dc1.triton.zone",
        "web.svc.acme.dc1.triton.zone",
        "db.svc.A.dc1.triton.zone",
        "db.svc.acme.dc1.triton.zone",
    ];
    assert_eq!(names_of(&public, &zones().with_login(true)), expected);
    let without_alias = names_of(&public, &zones().with_alias(false));
    let expected = ["U.inst.A.dc1.triton.zone", "web.svc.A.dc1.triton.zone", "db.svc.A.dc1.triton.zone"];
    assert_eq!(without_alias, expected);
}

#[test]
fn a_service_has_addresses_texts_and_ports() {
    let mut view = with_tag(example(), "triton.cns.services", "web:8080,web:port=8443,web:8080,plain");
    view.nics.push(fabric("192.168.128.35"));
    let expected = [
        "web.svc.A.dc1.triton.zone A 203.0.113.28",
        "web.svc.A.dc1.triton.zone TXT U",
        "web.svc.A.dc1.triton.zone SRV 8080 web-1.inst.A.dc1.triton.zone",
        "web.svc.A.dc1.triton.zone SRV 8443 web-1.inst.A.dc1.triton.zone",
        "web.svc.A.dc1.cns.example.net A 192.168.128.34",
        "web.svc.A.dc1.cns.example.net A 192.168.128.35",
        "web.svc.A.dc1.cns.example.net TXT U",
        "web.svc.A.dc1.cns.example.net SRV 8080 web-1.inst.A.dc1.cns.example.net",
        "web.svc.A.dc1.cns.example.net SRV 8443 web-1.inst.A.dc1.cns.example.net",
        "my-fabric-network.web.svc.A.dc1.cns.example.net A 192.168.128.34",
        "my-fabric-network.web.svc.A.dc1.cns.example.net A 192.168.128.35",
        "my-fabric-network.web.svc.A.dc1.cns.example.net TXT U",
        "my-fabric-network.web.svc.A.dc1.cns.example.net SRV 8080 web-1.inst.A.dc1.cns.example.net",
        "my-fabric-network.web.svc.A.dc1.cns.example.net SRV 8443 web-1.inst.A.dc1.cns.example.net",
    ];
    assert_eq!(matching(&view, "web.svc"), expected);
    let plain = ["plain.svc.A.dc1.triton.zone A 203.0.113.28", "plain.svc.A.dc1.triton.zone TXT U"];
    assert_eq!(matching(&view, "plain.svc.A.dc1.triton"), plain);
}

#[test]
fn who_is_not_up_is_verified_in_services_and_keeps_its_own_addresses() {
    let up = with_tag(example(), "triton.cns.services", "web:8080");
    let in_state = |state| InstanceView { state, ..up.clone() };
    let cases = [
        ("status down", with_metadata(up.clone(), "triton.cns.status", "down"), false),
        ("status anything", with_metadata(up.clone(), "triton.cns.status", "UP"), false),
        ("status empty", with_metadata(up.clone(), "triton.cns.status", ""), false),
        ("stopped", in_state(VmState::Stopped), false),
        ("stopping", in_state(VmState::Stopping), false),
        ("provisioning", in_state(VmState::Provisioning), false),
        ("unknown", in_state(VmState::Unknown), false),
        ("node down", up.clone(), true),
    ];
    for (case, view, node_down) in cases {
        let records = records_of(&view, &zones(), node_down);
        let lines = lines(&records);
        let services: Vec<_> = lines.iter().filter(|line| line.contains("svc.A.dc1.triton")).collect();
        assert_eq!(services, ["web.svc.A.dc1.triton.zone TXT verifying:U"], "{case}");
        assert!(lines.contains(&"web-1.inst.A.dc1.triton.zone A 203.0.113.28".to_owned()), "{case}");
        assert!(!dns_names(view.id, &records).iter().any(|name| name.contains(".svc.")), "{case}");
    }
    let said_up = with_metadata(up, "triton.cns.status", "up");
    assert_eq!(matching(&said_up, "svc.A.dc1.triton").len(), 3);
}

#[test]
fn who_is_not_listed_has_no_records() {
    let disabled = |value: Value| with_tag(example(), "triton.cns.disable", value);
    let label = |value: Value| with_tag(example(), "docker:label:triton.cns.disable", value);
    let ptr = |view| with_tag(view, "triton.cns.reverse_ptr", "www.example.com");
    let off = InstanceView { cns_enabled: false, ..example() };
    let in_state = |state| ptr(InstanceView { state, ..example() });
    let cases = [
        ("disabled", disabled(true.into()), false),
        ("disabled by a text", disabled("false".into()), false),
        ("disabled by a number", disabled(0.into()), false),
        ("not disabled", disabled(false.into()), true),
        ("disabled by label", label("true".into()), false),
        ("not disabled by label", label("false".into()), true),
        ("disabled with a reverse name", ptr(disabled(true.into())), false),
        ("account off", off.clone(), false),
        ("account off with a reverse name", ptr(off.clone()), true),
        ("account off with a wrong reverse name", with_tag(off, "triton.cns.reverse_ptr", "-a"), false),
        ("destroyed", in_state(VmState::Destroyed), false),
        ("failed", in_state(VmState::Failed), false),
    ];
    for (case, view, listed) in cases {
        assert_eq!(!lines_of(&view).is_empty(), listed, "{case}");
    }
}

#[test]
fn a_reverse_name_replaces_all_ptrs_and_lists_the_instance_but_not_its_services() {
    let off = InstanceView { cns_enabled: false, ..with_tag(example(), "triton.cns.services", "web:80") };
    let view = with_tag(off, "triton.cns.reverse_ptr", "www.Example.com");
    let expected =
        ["28.113.0.203.in-addr.arpa PTR www.Example.com", "34.128.168.192.in-addr.arpa PTR www.Example.com"];
    assert_eq!(matching(&view, "PTR"), expected);
    assert_eq!(matching(&view, "web-1.inst.A.dc1.triton.zone").len(), 2);
    assert_eq!(matching(&view, "svc.A.dc1.triton"), ["web.svc.A.dc1.triton.zone TXT verifying:U"]);
    let label = with_tag(example(), "docker:label:triton.cns.reverse_ptr", "a.example.com");
    assert_eq!(matching(&label, "28.113.0.203")[0], "28.113.0.203.in-addr.arpa PTR a.example.com");
}

#[test]
fn the_shortest_name_is_the_reverse_name() {
    let zone = |name: &str| ForwardZone {
        name: ZoneName::new(name).unwrap(),
        networks: Networks::Listed(vec![EXTERNAL.parse().unwrap()]),
    };
    let config = ZoneConfig::new(vec![zone("long.example.com"), zone("a.b"), zone("b.a")]).unwrap();
    let lines = lines(&records_of(&example(), &config, false));
    assert_eq!(lines.last().unwrap(), "28.113.0.203.in-addr.arpa PTR web-1.inst.A.a.b");
}

#[test]
fn a_tag_that_is_wrong_or_no_text_means_no_services() {
    for value in [Value::from("web:0"), Value::from(""), Value::from("web, db"), Value::from(5)] {
        let view = with_tag(example(), "triton.cns.services", value.clone());
        assert_eq!(lines_of(&view), lines_of(&example()), "{value}");
    }
    let label = with_tag(example(), "docker:label:triton.cns.services", "web");
    assert_eq!(matching(&label, "svc.A.dc1.triton").len(), 2);
    let both = with_tag(label, "triton.cns.services", "db");
    assert_eq!(matching(&both, "svc.A.dc1.triton")[0], "db.svc.A.dc1.triton.zone A 203.0.113.28");
}

#[test]
fn challenges_are_answered_beside_every_name() {
    let view = with_tag(example(), "triton.cns.services", "web:80");
    let view = with_metadata(view, "triton.cns.acme-challenge", "one  two");
    let down = with_metadata(view.clone(), "triton.cns.status", "down");
    for view in [view, down] {
        let names = [
            "U.inst.A.dc1.triton.zone",
            "web-1.inst.A.dc1.triton.zone",
            "web.svc.A.dc1.triton.zone",
            "U.inst.A.dc1.cns.example.net",
            "my-fabric-network.U.inst.A.dc1.cns.example.net",
            "web-1.inst.A.dc1.cns.example.net",
            "my-fabric-network.web-1.inst.A.dc1.cns.example.net",
            "web.svc.A.dc1.cns.example.net",
            "my-fabric-network.web.svc.A.dc1.cns.example.net",
        ];
        let texts = |name: &&str| ["one", "two"].map(|text| format!("_acme-challenge.{name} TXT {text}"));
        assert_eq!(matching(&view, "_acme"), names.iter().flat_map(texts).collect::<Vec<_>>());
    }
}

#[test]
fn long_aliases_and_logins_make_no_names() {
    let mut view = InstanceView { alias: "a".repeat(63), owner_login: "l".repeat(63).into(), ..example() };
    view.nics.truncate(1);
    assert_eq!(names_of(&view, &zones().with_login(true)), ["U.inst.A.dc1.triton.zone"]);
    view.alias = "A".repeat(62);
    let alias = format!("{}.inst.A.dc1.triton.zone", "a".repeat(62));
    assert_eq!(names_of(&view, &zones().with_login(true)), ["U.inst.A.dc1.triton.zone", &alias]);
}

#[test]
fn srv_and_ptr_show_the_most_readable_name() {
    let view = with_tag(example(), "triton.cns.services", "web:80");
    let cases = [
        (false, false, "U.inst.A"),
        (false, true, "web-1.inst.A"),
        (true, false, "U.inst.acme"),
        (true, true, "web-1.inst.acme"),
    ];
    for (use_login, use_alias, name) in cases {
        let config = zones().with_login(use_login).with_alias(use_alias);
        let lines = lines(&records_of(&view, &config, false));
        let shown = [
            format!("web.svc.A.dc1.triton.zone SRV 80 {name}.dc1.triton.zone"),
            format!("28.113.0.203.in-addr.arpa PTR {name}.dc1.triton.zone"),
        ];
        assert!(shown.iter().all(|line| lines.contains(line)), "{shown:?} not in {lines:#?}");
    }
}

#[test]
fn nics_on_networks_of_the_operator_are_never_published() {
    let mut view = example();
    view.nics.extend([nic("10.0.0.5", FABRIC, "admin", "admin"), nic("10.0.0.6", FABRIC, "manta", "manta")]);
    assert_eq!(lines_of(&view), lines_of(&example()));
}

#[test]
fn only_networks_of_the_account_qualify_names() {
    let mut view = example();
    let foreign = NicView { network_owner: Some(ids().2.as_uuid().to_owned().into()), ..fabric("10.1.0.1") };
    let nobody = nic("10.2.0.1", FABRIC, "internal", "internal");
    view.nics = vec![foreign, nobody];
    assert_eq!(
        names_of(&view, &zones()),
        ["U.inst.A.dc1.cns.example.net", "web-1.inst.A.dc1.cns.example.net"]
    );
}

#[test]
fn without_nics_there_are_names_of_cmon_only() {
    let view = InstanceView { nics: Vec::new(), state: VmState::Provisioning, ..example() };
    let expected = [
        "U.cmon.dc1.triton.zone CNAME cmon.dc1.triton.zone",
        "U.cmon.dc1.cns.example.net CNAME cmon.dc1.cns.example.net",
    ];
    assert_eq!(lines_of(&view), expected);
}

#[test]
fn an_address_that_no_zone_publishes_leads_nowhere() {
    let public = ForwardZone {
        name: ZoneName::new("dc1.triton.zone").unwrap(),
        networks: Networks::Listed(vec![ids().2]),
    };
    let config = ZoneConfig::new(vec![public]).unwrap();
    let lines = lines(&records_of(&example(), &config, false));
    assert!(!lines.iter().any(|line| line.contains("192.168")), "{lines:#?}");
}

#[test]
fn names_that_no_dns_name_can_hold_are_left_out() {
    let mut view = with_tag(example(), "triton.cns.services", "a..b,web");
    view.nics[1].network_name = "n".repeat(64).into();
    let names = names_of(&view, &zones());
    assert!(!names.iter().any(|name| name.contains("..") || name.contains("nnn")), "{names:#?}");
    assert!(names.contains(&"web.svc.A.dc1.cns.example.net".to_owned()));
}

#[test]
fn no_tag_makes_more_records_than_there_is_room_for() {
    let services: Vec<String> = (0..5000).map(|n| format!("s{n}:80")).collect();
    let challenges = vec!["x"; 5000].join(" ");
    let view = with_tag(example(), "triton.cns.services", services.join(","));
    let view = with_metadata(view, "triton.cns.acme-challenge", &challenges);
    assert!(lines_of(&view).len() <= MAX_RECORDS);
}
