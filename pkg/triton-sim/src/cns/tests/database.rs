//! Records of several instances come and go together.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::cns::database::Database;

fn now() -> Timestamp {
    "2026-01-26T21:32:02Z".parse().unwrap()
}

fn empty() -> Database {
    Database::new(&zones(), &[], now())
}

fn update(database: &mut Database, view: &InstanceView) -> u32 {
    let serial = database.next_serial(now());
    database.apply([(view.id, records_of(view, &zones(), false))], serial);
    serial
}

fn remove(database: &mut Database, view: &InstanceView) {
    let serial = database.next_serial(now());
    database.apply([(view.id, Records::default())], serial);
}

fn found(database: &Database, name: &str) -> Vec<String> {
    let (zone, origin, below) = database.zone_of(name).unwrap();
    zone.records(below).map(|data| line(below, origin, data)).collect()
}

fn serial(database: &Database, zone: &str) -> u32 {
    database.zone_of(zone).unwrap().0.serial()
}

/// Everything that can be asked for, for comparison.
fn contents(database: &Database, names: &BTreeSet<String>) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        let Some((zone, origin, below)) = database.zone_of(name) else { continue };
        all.extend(zone.records(below).map(|data| line(below, origin, data)));
        all.extend(zone.all().map(|(name, data)| line(&name, origin, data)));
    }
    all
}

#[test]
fn a_service_answers_with_all_its_members() {
    let mut database = empty();
    let (one, two) = (member(1, "web:80"), member(2, "web:80"));
    update(&mut database, &one);
    update(&mut database, &two);
    let web = format!("web.svc.{ACCOUNT}.dc1.cns.example.net");
    let expected = [
        "web.svc.A.dc1.cns.example.net A 192.168.128.1",
        "web.svc.A.dc1.cns.example.net TXT 00000000-0000-4000-8000-000000000001",
        "web.svc.A.dc1.cns.example.net SRV 80 member-1.inst.A.dc1.cns.example.net",
        "web.svc.A.dc1.cns.example.net A 192.168.128.2",
        "web.svc.A.dc1.cns.example.net TXT 00000000-0000-4000-8000-000000000002",
        "web.svc.A.dc1.cns.example.net SRV 80 member-2.inst.A.dc1.cns.example.net",
    ];
    assert_eq!(found(&database, &web), expected);
    remove(&mut database, &one);
    assert_eq!(found(&database, &web), expected[3..]);
}

#[test]
fn what_changes_in_an_instance_replaces_what_was_there() {
    let mut database = empty();
    let view = member(1, "web:80,db");
    update(&mut database, &view);
    update(&mut database, &with_tag(view, "triton.cns.services", "web:81"));
    let web = found(&database, &format!("web.svc.{ACCOUNT}.dc1.cns.example.net"));
    assert!(web[2].contains("SRV 81") && web.len() == 3, "{web:?}");
    assert!(found(&database, &format!("db.svc.{ACCOUNT}.dc1.cns.example.net")).is_empty());
}

#[test]
fn serial_numbers_grow_only_in_zones_that_change() {
    let mut database = empty();
    // 2026-01-26T21:32:02Z in the real CNS's arithmetic.
    assert_eq!(serial(&database, "dc1.triton.zone"), ((((126 * 12 * 31) + 25) * 24 + 21) * 60 + 32) * 6);
    let before = serial(&database, "dc1.triton.zone");
    let first = update(&mut database, &example());
    assert_eq!(first, before + 1, "two commits within ten seconds have two numbers");
    assert_eq!(serial(&database, "dc1.triton.zone"), first);
    assert_eq!(serial(&database, "113.0.203.in-addr.arpa"), first);

    let second = update(&mut database, &example());
    assert_eq!(serial(&database, "dc1.triton.zone"), first, "nothing changed");
    let mut view = example();
    view.nics.truncate(1);
    let third = update(&mut database, &view);
    assert_eq!((second, third), (first + 1, first + 2));
    assert_eq!(serial(&database, "dc1.triton.zone"), first);
    assert_eq!(serial(&database, "dc1.cns.example.net"), third);
    let later = "2026-02-26T21:32:02Z".parse().unwrap();
    assert!(database.next_serial(later) > third + 1000);
}

#[test]
fn names_above_names_exist_and_others_do_not() {
    let mut database = empty();
    update(&mut database, &example());
    let (zone, ..) = database.zone_of("dc1.triton.zone").unwrap();
    for name in ["", &format!("inst.{ACCOUNT}"), ACCOUNT, &format!("web-1.inst.{ACCOUNT}")] {
        assert!(zone.exists(name), "{name}");
    }
    let absent =
        [&format!("svc.{ACCOUNT}"), "st", &ACCOUNT[..30], &format!("web.inst.{ACCOUNT}"), "inst", "?"];
    for name in absent {
        assert!(!zone.exists(name), "{name}");
    }
}

#[test]
fn the_longest_zone_has_the_name() {
    let config: ZoneConfig = serde_json::from_str(
        r#"{"zones": [{"name": "example.net", "networks": []}, {"name": "a.example.net", "networks": []}]}"#,
    )
    .unwrap();
    let database = Database::new(&config, &[], now());
    let cases = [
        ("x.y.a.example.net", Some(("a.example.net", "x.y"))),
        ("a.example.net", Some(("a.example.net", ""))),
        ("ba.example.net", Some(("example.net", "ba"))),
        ("anexample.net", None),
        ("net", None),
        ("", None),
    ];
    for (name, expected) in cases {
        assert_eq!(database.zone_of(name).map(|(_, zone, below)| (zone, below)), expected, "{name}");
    }
}

#[test]
fn an_empty_reverse_zone_stays_and_too_many_go() {
    let mut database = empty();
    update(&mut database, &example());
    remove(&mut database, &example());
    assert!(database.zone_of("28.113.0.203.in-addr.arpa").is_some());
    let mut view = example();
    for n in 0..5000_u32 {
        view.nics = vec![external(&Ipv4Addr::from(0x0a00_0000 + n * 256).to_string())];
        update(&mut database, &view);
    }
    assert!(database.zone_of("28.113.0.203.in-addr.arpa").is_none());
    assert!(database.zone_of("dc1.cns.example.net").is_some());
}

fn any_instance() -> impl Strategy<Value = InstanceView> {
    let services = prop::sample::select(vec!["web", "web:80", "db:1,web:2", "a.b", "_x._tcp:5"]);
    let state = prop::sample::select(vec![VmState::Running, VmState::Stopped, VmState::Destroyed]);
    (1..20_u16, services, state, "[a-zA-Z0-9_.-]{0,12}", any::<bool>()).prop_map(
        |(n, services, state, alias, public)| {
            let mut view = member(n, services);
            view.state = state;
            view.alias = alias;
            if public {
                view.nics.push(external(&Ipv4Addr::from_bits(0xcb00_7100 + u32::from(n)).to_string()));
            }
            with_metadata(view, "triton.cns.acme-challenge", "one two")
        },
    )
}

proptest! {
    #[test]
    fn an_instance_that_came_and_went_leaves_no_trace(
        before in prop::collection::vec(any_instance(), 0..8),
        mut passing in prop::collection::vec(any_instance(), 1..4),
    ) {
        let mut database = empty();
        for view in &before {
            update(&mut database, view);
        }
        for view in &mut passing {
            view.id = ID.parse().unwrap();
        }
        let mut names = BTreeSet::new();
        for view in before.iter().chain(&passing) {
            let records = records_of(view, &zones(), false);
            names.extend(records.sets().iter().map(|set| format!("{}.{}", set.name, set.zone)));
        }
        let expected = contents(&database, &names);
        let instances: BTreeSet<_> = database.instances().collect();
        for view in &passing {
            update(&mut database, view);
        }
        remove(&mut database, &passing[0]);
        prop_assert_eq!(contents(&database, &names), expected);
        prop_assert_eq!(database.instances().collect::<BTreeSet<_>>(), instances);
        prop_assert!(database.dns_names(ID.parse().unwrap()).is_empty());
    }

    #[test]
    fn the_order_of_changes_does_not_matter(views in prop::collection::vec(any_instance(), 0..8)) {
        let mut by_id: Vec<_> = views;
        by_id.sort_by_key(|view| view.id);
        by_id.dedup_by_key(|view| view.id);
        let (mut forth, mut back) = (empty(), empty());
        by_id.iter().for_each(|view| { update(&mut forth, view); });
        by_id.iter().rev().for_each(|view| { update(&mut back, view); });
        let names = ["dc1.triton.zone", "dc1.cns.example.net"].map(str::to_owned).into();
        prop_assert_eq!(contents(&forth, &names), contents(&back, &names));
    }
}
