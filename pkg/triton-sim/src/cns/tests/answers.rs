//! Questions and answers, without sockets.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

use super::*;
use crate::cns::answer::{Identity, answer, operator_records, transfer, transfer_wanted};
use crate::cns::database::Database;
use crate::cns::message::{decode, encode, udp_limit};

const NOW: &str = "2026-01-26T21:32:02Z";

fn database(views: &[InstanceView]) -> Database {
    let operator = operator_records(&zones(), None, Some(Ipv4Addr::new(192, 0, 2, 9)));
    let mut database = Database::new(&zones(), &operator, NOW.parse().unwrap());
    let records = views.iter().map(|view| (view.id, records_of(view, &zones(), false)));
    database.apply(records, 1000);
    database
}

fn question(name: &str, kind: RecordType) -> Message {
    let name = name.replace('U', ID).replace('A', ACCOUNT);
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    message
}

fn identity() -> Identity {
    Identity::new(&zones()).unwrap()
}

fn ask(database: &Database, name: &str, kind: RecordType) -> Message {
    answer(database, &identity(), &question(name, kind), u16::MAX)
}

fn shown(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| record.to_string().replace(ID, "U").replace(ACCOUNT, "A");
    records.iter().map(line).collect()
}

#[test]
fn a_name_is_answered_with_authority() {
    let database = database(&[example()]);
    let reply = ask(&database, "web-1.inst.A.dc1.triton.zone", RecordType::A);
    assert_eq!(shown(&reply.answers), ["web-1.inst.A.dc1.triton.zone. 30 IN A 203.0.113.28"]);
    assert_eq!(shown(&reply.authorities), ["dc1.triton.zone. 3600 IN NS cns.dc1.triton.zone."]);
    let metadata = reply.metadata;
    assert!(metadata.authoritative && metadata.recursion_desired && !metadata.recursion_available);
    assert_eq!((metadata.id, metadata.response_code), (7, ResponseCode::NoError));
    assert_eq!(reply.queries, question("web-1.inst.A.dc1.triton.zone", RecordType::A).queries);
}

#[test]
fn case_does_not_matter_and_is_given_back() {
    let reply = ask(&database(&[example()]), "wEB-1.inst.A.DC1.triton.zone", RecordType::TXT);
    assert_eq!(shown(&reply.answers), ["wEB-1.inst.A.DC1.triton.zone. 30 IN TXT U"]);
}

#[test]
fn what_does_not_exist_differs_from_what_has_no_such_record() {
    let database = database(&[example()]);
    let soa =
        "dc1.triton.zone. 30 IN SOA cns.dc1.triton.zone. hostmaster.dc1.triton.zone. 1000 30 60 2592000 30";
    let cases = [
        ("web-1.inst.A.dc1.triton.zone", RecordType::AAAA, ResponseCode::NoError),
        ("web-1.inst.A.dc1.triton.zone", RecordType::NS, ResponseCode::NoError),
        ("web-1.inst.A.dc1.triton.zone", RecordType::ANY, ResponseCode::NoError),
        ("inst.A.dc1.triton.zone", RecordType::A, ResponseCode::NoError),
        ("dc1.triton.zone", RecordType::A, ResponseCode::NoError),
        ("web-2.inst.A.dc1.triton.zone", RecordType::A, ResponseCode::NXDomain),
        ("web-2.inst.A.dc1.triton.zone", RecordType::SOA, ResponseCode::NXDomain),
        ("web.svc.A.dc1.triton.zone", RecordType::SRV, ResponseCode::NXDomain),
    ];
    for (name, kind, code) in cases {
        let reply = ask(&database, name, kind);
        assert_eq!(reply.metadata.response_code, code, "{name} {kind}");
        assert!(reply.answers.is_empty() && reply.metadata.authoritative, "{name} {kind}");
        assert_eq!(shown(&reply.authorities), [soa], "{name} {kind}");
    }
}

#[test]
fn a_label_with_a_dot_in_it_is_not_two_labels() {
    let labels: [&[u8]; 5] = [b"web-1.inst", ACCOUNT.as_bytes(), b"dc1", b"triton", b"zone"];
    let mut message = question("x", RecordType::A);
    message.queries[0].name = Name::from_labels(labels).unwrap();
    let reply = answer(&database(&[example()]), &identity(), &message, u16::MAX);
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn the_zone_itself_has_its_authority() {
    let database = database(&[]);
    let soa = ask(&database, "dc1.cns.example.net", RecordType::SOA);
    let serial = database.zone_of("dc1.cns.example.net").unwrap().0.serial();
    let text = format!(
        "dc1.cns.example.net. 30 IN SOA cns.dc1.triton.zone. hostmaster.dc1.triton.zone. \
         {serial} 30 60 2592000 30"
    );
    assert_eq!(shown(&soa.answers), [text]);
    assert_eq!(shown(&soa.authorities), ["dc1.cns.example.net. 3600 IN NS cns.dc1.triton.zone."]);
    let ns = ask(&database, "dc1.cns.example.net", RecordType::NS);
    assert_eq!(shown(&ns.answers), ["dc1.cns.example.net. 3600 IN NS cns.dc1.triton.zone."]);
    assert!(ns.authorities.is_empty());
}

#[test]
fn ports_come_with_the_addresses_of_their_targets() {
    let database = database(&[member(1, "web:80,web:81"), member(2, "web:80")]);
    let reply = ask(&database, "web.svc.A.dc1.cns.example.net", RecordType::SRV);
    let srv = |port, n| {
        format!("web.svc.A.dc1.cns.example.net. 30 IN SRV 0 10 {port} member-{n}.inst.A.dc1.cns.example.net.")
    };
    assert_eq!(shown(&reply.answers), [srv(80, 1), srv(81, 1), srv(80, 2)]);
    let a = |n| format!("member-{n}.inst.A.dc1.cns.example.net. 30 IN A 192.168.128.{n}");
    assert_eq!(shown(&reply.additionals), [a(1), a(2)]);
}

#[test]
fn the_name_in_cmon_leads_to_cmon() {
    let database = database(&[example()]);
    let cname = "U.cmon.dc1.triton.zone. 30 IN CNAME cmon.dc1.triton.zone.";
    let a = "cmon.dc1.triton.zone. 30 IN A 192.0.2.9";
    assert_eq!(shown(&ask(&database, "U.cmon.dc1.triton.zone", RecordType::A).answers), [cname, a]);
    assert_eq!(shown(&ask(&database, "U.cmon.dc1.triton.zone", RecordType::CNAME).answers), [cname]);
    assert_eq!(shown(&ask(&database, "U.cmon.dc1.triton.zone", RecordType::TXT).answers), [cname]);
    assert_eq!(shown(&ask(&database, "cmon.dc1.triton.zone", RecordType::A).answers), [a]);
}

#[test]
fn an_address_leads_to_one_name() {
    let mut other = InstanceView { alias: "other".to_owned(), ..member(1, "web") };
    other.nics = example().nics;
    let database = database(&[example(), other]);
    let reply = ask(&database, "34.128.168.192.in-addr.arpa", RecordType::PTR);
    assert_eq!(reply.answers.len(), 1, "{:?}", reply.answers);
    let reply = ask(&database, "35.128.168.192.in-addr.arpa", RecordType::PTR);
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn what_cannot_be_answered_says_why() {
    let database = database(&[example()]);
    let plain = question("web-1.inst.A.dc1.triton.zone", RecordType::A);
    let mut update = plain.clone();
    update.metadata.op_code = OpCode::Update;
    let mut two = plain.clone();
    two.add_query(plain.queries[0].clone());
    let mut none = plain.clone();
    none.queries.clear();
    let mut chaos = plain.clone();
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut future = plain.clone();
    future.set_edns(Edns::new()).edns.as_mut().unwrap().set_version(1);
    let cases = [
        (question("web-1.inst.A.dc2.triton.zone", RecordType::A), ResponseCode::ServFail),
        (question("1.2.0.192.in-addr.arpa", RecordType::PTR), ResponseCode::ServFail),
        (question("dc1.triton.zone", RecordType::AXFR), ResponseCode::Refused),
        (update, ResponseCode::NotImp),
        (two, ResponseCode::FormErr),
        (none, ResponseCode::FormErr),
        (chaos, ResponseCode::Refused),
        (future, ResponseCode::BADVERS),
    ];
    for (request, code) in cases {
        let reply = answer(&database, &identity(), &request, u16::MAX);
        assert_eq!(u16::from(reply.metadata.response_code), u16::from(code), "{request}");
        assert!(reply.answers.is_empty() && reply.authorities.is_empty(), "{request}");
        let sent = Message::from_vec(&encode(reply, 512).unwrap()).unwrap();
        assert_eq!(u16::from(sent.metadata.response_code), u16::from(code), "{request}");
    }
}

/// The answers and additional records that are sent for the members of a service, over UDP to a client with
/// or without EDNS, or over TCP; the answer is whole or empty.
fn sent(members: u16, kind: RecordType, limit: impl Fn(&mut Message) -> u16) -> (usize, usize) {
    let members: Vec<_> = (1..=members).map(|n| member(n, "web:80")).collect();
    let mut request = question("web.svc.A.dc1.cns.example.net", kind);
    let limit = limit(&mut request);
    let bytes = encode(answer(&database(&members), &identity(), &request, limit), limit).unwrap();
    assert!(bytes.len() <= usize::from(limit));
    let reply = Message::from_vec(&bytes).unwrap();
    assert_eq!((reply.edns.is_some(), &reply.queries), (request.edns.is_some(), &request.queries));
    assert_eq!(reply.metadata.truncation, reply.answers.is_empty() && reply.authorities.is_empty());
    (reply.answers.len(), reply.additionals.len())
}

#[test]
fn what_is_too_large_for_the_client_is_not_sent_in_part() {
    let plain = |request: &mut Message| udp_limit(request);
    let edns = |size: u16| {
        move |request: &mut Message| {
            request.set_edns(Edns::new()).edns.as_mut().unwrap().set_max_payload(size);
            udp_limit(request)
        }
    };
    let tcp = |_: &mut Message| u16::MAX;
    // An address takes 16 bytes; header, question, and authority 134; EDNS 11.
    assert_eq!(sent(23, RecordType::A, plain), (23, 0));
    assert_eq!(sent(24, RecordType::A, plain), (0, 0));
    assert_eq!(sent(24, RecordType::A, edns(1232)), (24, 0));
    assert_eq!(sent(82, RecordType::A, edns(1470)), (82, 0));
    assert_eq!(sent(83, RecordType::A, edns(1470)), (0, 0));
    assert_eq!(sent(83, RecordType::A, edns(8192)), (0, 0), "the real CNS sends no more than 1470 bytes");
    assert_eq!(sent(23, RecordType::A, edns(100)), (0, 0), "512 bytes, of which EDNS takes some");
    assert_eq!(sent(4000, RecordType::A, tcp), (4000, 0));
    assert_eq!(sent(4200, RecordType::A, tcp), (0, 0));
    assert_eq!(sent(12, RecordType::SRV, edns(1470)), (12, 12));
    assert_eq!(sent(13, RecordType::SRV, edns(1470)), (0, 0));
    assert_eq!(sent(300, RecordType::SRV, tcp), (300, 300));
}

#[test]
fn a_message_reads_as_hickory_would_have_written_it() {
    let mut other = example();
    other.tags.insert("triton.cns.services".to_owned(), "web:80,web:81".into());
    let database = database(&[member(1, "web:80"), member(2, "web:80"), other]);
    let cases = [
        ("web.svc.A.dc1.cns.example.net", RecordType::SRV),
        ("web.svc.A.dc1.cns.example.net", RecordType::TXT),
        ("U.cmon.dc1.triton.zone", RecordType::A),
        ("34.128.168.192.in-addr.arpa", RecordType::PTR),
        ("dc1.triton.zone", RecordType::SOA),
        ("nothing.dc1.triton.zone", RecordType::A),
    ];
    for (name, kind) in cases {
        let mut request = question(name, kind);
        request.set_edns(Edns::new());
        let reply = answer(&database, &identity(), &request, u16::MAX);
        let theirs = Message::from_vec(&reply.to_vec().unwrap()).unwrap();
        let ours = Message::from_vec(&encode(reply, u16::MAX).unwrap()).unwrap();
        assert_eq!(ours.to_string(), theirs.to_string(), "{name} {kind}");
        assert_eq!(ours, theirs, "{name} {kind}");
    }
}

#[test]
fn a_transfer_has_everything_between_two_soas() {
    let members: Vec<_> = (1..=100).map(|n| member(n, "web:80")).collect();
    let database = database(&members);
    let request = question("DC1.cns.example.net", RecordType::AXFR);
    let zone = transfer_wanted(&request).unwrap();
    let messages: Vec<Message> = transfer(&database, &identity(), &request, &zone).unwrap().collect();
    assert!(messages.len() > 1 && messages.iter().all(|message| message.metadata.id == 7));
    let records: Vec<Record> = messages
        .into_iter()
        .flat_map(|message| Message::from_vec(&encode(message, u16::MAX).unwrap()).unwrap().answers)
        .collect();
    let soas: Vec<usize> = records
        .iter()
        .enumerate()
        .filter(|(_, r)| r.record_type() == RecordType::SOA)
        .map(|(n, _)| n)
        .collect();
    assert_eq!(soas, [0, records.len() - 1]);
    // Per member: four names with address and text, two service names with a port more, the name in CMON.
    // And two SOA, one NS, one address of CMON.
    assert_eq!(records.len(), 100 * (4 * 2 + 2 * 3 + 1) + 4);
    for zone in ["web.dc1.triton.zone", "example.com"] {
        assert!(transfer(&database, &identity(), &request, zone).is_none(), "{zone}");
    }
    assert_eq!(transfer_wanted(&question("dc1.triton.zone", RecordType::A)), None);
}

#[test]
fn garbage_and_answers_get_no_answer_and_broken_requests_an_error() {
    assert!(decode(b"").unwrap().is_none());
    assert!(decode(&[0; 11]).unwrap().is_none());
    let mut bytes = question("dc1.triton.zone", RecordType::A).to_vec().unwrap();
    assert!(decode(&bytes).unwrap().is_some());
    let error = decode(&bytes[..20]).unwrap_err();
    assert_eq!((error.metadata.id, error.metadata.response_code), (7, ResponseCode::FormErr));
    bytes[2] |= 0x80;
    assert!(decode(&bytes).unwrap().is_none());
    assert!(decode(&bytes[..20]).unwrap().is_none());
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let database = database(&[]);
        if let Ok(Some(request)) = decode(&bytes) {
            let limit = udp_limit(&request);
            let reply = encode(answer(&database, &identity(), &request, limit), limit);
            proptest::prop_assert!(reply.is_none_or(|bytes| bytes.len() <= usize::from(limit)));
        }
    }
}
