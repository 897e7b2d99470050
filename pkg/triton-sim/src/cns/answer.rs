//! Answers to DNS questions, from the records as they are (reference 3.5).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::database::{Database, Zone};
use super::message::LARGEST_UDP;
use super::records::{Data, RecordSet};
use super::zones::{ForwardZone, InvalidZones, ZoneConfig};

/// Seconds that records may be cached (reference 3.5).
const TTL: u32 = 30;
/// Seconds that names of name servers may be cached (reference 3.5).
const NS_TTL: u32 = 3600;
/// Seconds until a secondary server asks again, and until it gives up. The real CNS's numbers.
const RETRY: i32 = 60;
const EXPIRE: i32 = 2_592_000;
/// SRV records have these, whatever the tag says (reference 3.3).
const PRIORITY: u16 = 0;
const WEIGHT: u16 = 10;

/// An address record has at least so many bytes in a message, so nothing with more records can be sent.
const SMALLEST_RECORD: usize = 16;
/// Records in one message of a transfer; they fit, as no record has more than 600 bytes.
const TRANSFER_CHUNK: usize = 100;

/// What is said of the server itself.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    name_server: Name,
    hostmaster: Name,
}

impl Identity {
    /// The names `cns` and `hostmaster` in the first zone.
    ///
    /// # Errors
    ///
    /// [`InvalidZones::Name`] when the zone's name is so long that these are none.
    pub(super) fn new(config: &ZoneConfig) -> Result<Self, InvalidZones> {
        let zone = config.zones().first().ok_or(InvalidZones::None)?;
        let named = |host: &str| {
            let invalid = || InvalidZones::Name { name: zone.name.to_string() };
            dns_name(&format!("{host}.{}", zone.name)).ok_or_else(invalid)
        };
        Ok(Self { name_server: named("cns")?, hostmaster: named("hostmaster")? })
    }

    fn soa(&self, zone: &Zone) -> RData {
        let refresh = i32::try_from(TTL).unwrap_or(i32::MAX);
        let (server, hostmaster) = (self.name_server.clone(), self.hostmaster.clone());
        RData::SOA(SOA::new(server, hostmaster, zone.serial(), refresh, RETRY, EXPIRE, TTL))
    }

    fn ns(&self, zone: &Name) -> Record {
        Record::from_rdata(zone.clone(), NS_TTL, RData::NS(NS(self.name_server.clone())))
    }
}

/// The records of the operator's own instances, which publish their roles in each zone: `cns`, and `cmon`,
/// to which the names of CMON lead.
pub(super) fn operator_records(
    config: &ZoneConfig,
    cns: Option<Ipv4Addr>,
    cmon: Option<Ipv4Addr>,
) -> Vec<RecordSet> {
    let roles = [("cns", cns), ("cmon", cmon)];
    let roles = roles.iter().filter_map(|(role, address)| address.map(|address| (*role, address)));
    let in_zones =
        roles.flat_map(|(role, address)| config.zones().iter().map(move |zone| (role, address, zone)));
    let set = |(role, address, zone): (&str, Ipv4Addr, &ForwardZone)| RecordSet {
        zone: zone.name.shared(),
        name: role.into(),
        data: Arc::new([Data::A(address)]),
    };
    in_zones.map(set).collect()
}

/// The answer to a request, for a message of at most `limit` bytes. It may hold more than fits, which
/// [`encode`](super::message::encode) finds out, but not much more.
///
/// Transfers are refused here, see [`transfer`].
pub(super) fn answer(database: &Database, identity: &Identity, request: &Message, limit: u16) -> Message {
    let mut reply = Message::query();
    reply.metadata = Metadata::response_from_request(&request.metadata);
    reply.add_queries(request.queries.iter().take(1).cloned());
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        reply.set_edns(edns);
    }
    reply.metadata.response_code = match fault(request) {
        Some(code) => code,
        None => answer_query(database, identity, &mut reply, limit),
    };
    reply
}

/// The name of the zone that a request wants to be transferred, as AXFR or IXFR; both get all of it.
pub(super) fn transfer_wanted(request: &Message) -> Option<String> {
    let [query] = request.queries.as_slice() else { return None };
    let is_transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    (is_transfer && fault(request).is_none()).then(|| lower(query.name()))
}

/// All of a zone, as messages one after another; none when there is no such zone.
pub(super) fn transfer<'a>(
    database: &'a Database,
    identity: &Identity,
    request: &'a Message,
    zone_name: &'a str,
) -> Option<impl Iterator<Item = Message> + 'a> {
    let (zone, origin, "") = database.zone_of(zone_name)? else { return None };
    let apex = dns_name(origin)?;
    let soa = Record::from_rdata(apex.clone(), TTL, identity.soa(zone));
    let full = move |name: &str| dns_name(&format!("{name}.{origin}"));
    let all = zone.all().filter_map(move |(name, data)| record(&full(&name)?, data));
    let mut records = [soa.clone(), identity.ns(&apex)].into_iter().chain(all).chain([soa]);
    Some(std::iter::from_fn(move || {
        let mut message = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        message.add_queries(request.queries.iter().cloned());
        message.add_answers(records.by_ref().take(TRANSFER_CHUNK));
        (!message.answers.is_empty()).then_some(message)
    }))
}

/// Why a request is no question that can be answered.
fn fault(request: &Message) -> Option<ResponseCode> {
    if request.metadata.op_code != OpCode::Query {
        return Some(ResponseCode::NotImp);
    }
    if request.version() > 0 {
        return Some(ResponseCode::BADVERS);
    }
    let [query] = request.queries.as_slice() else { return Some(ResponseCode::FormErr) };
    (query.query_class() != DNSClass::IN).then_some(ResponseCode::Refused)
}

fn answer_query(database: &Database, identity: &Identity, reply: &mut Message, limit: u16) -> ResponseCode {
    let Some(query) = reply.queries.first().cloned() else { return ResponseCode::FormErr };
    let (owner, wanted) = (query.name(), query.query_type());
    if matches!(wanted, RecordType::AXFR | RecordType::IXFR) {
        return ResponseCode::Refused;
    }
    let name = lower(owner);
    let Some((zone, origin, below)) = database.zone_of(&name) else { return ResponseCode::ServFail };
    let Some(apex) = dns_name(origin) else { return ResponseCode::ServFail };
    reply.metadata.authoritative = true;

    let question = Question { zone, origin, below, owner, wanted };
    match (below, wanted) {
        ("", RecordType::SOA) => {
            reply.add_answer(Record::from_rdata(owner.clone(), TTL, identity.soa(zone)));
        }
        ("", RecordType::NS) => {
            reply.add_answer(identity.ns(owner));
            return ResponseCode::NoError;
        }
        _ => add_records(&question, usize::from(limit) / SMALLEST_RECORD + 1, reply),
    }
    if reply.answers.is_empty() {
        reply.add_authority(Record::from_rdata(apex, TTL, identity.soa(zone)));
        return if zone.exists(below) { ResponseCode::NoError } else { ResponseCode::NXDomain };
    }
    reply.add_authority(identity.ns(&apex));
    ResponseCode::NoError
}

/// A question for a zone that is served.
struct Question<'a> {
    zone: &'a Zone,
    /// The zone's name.
    origin: &'a str,
    /// The name that is asked for, in the zone and in lower case.
    below: &'a str,
    /// The full name as it was asked for.
    owner: &'a Name,
    wanted: RecordType,
}

/// Adds the answers, not many more than `most`, and what is worth knowing with them: where an alias leads in
/// the same zone, and the addresses of the targets of services.
fn add_records(question: &Question<'_>, most: usize, reply: &mut Message) {
    let Question { zone, origin, below, owner, wanted } = *question;
    let in_zone = |target: &str| target.strip_suffix(origin)?.strip_suffix('.').map(str::to_owned);
    if let Some(Data::Cname(target)) = zone.records(below).find(|data| matches!(data, Data::Cname(_))) {
        reply.add_answers(record(owner, &Data::Cname(Arc::clone(target))));
        if let (Some(below), Some(owner)) = (in_zone(target), dns_name(target)) {
            let led_to = zone.records(&below).filter(|data| type_of(data) == wanted);
            reply.add_answers(led_to.filter_map(|data| record(&owner, data)));
        }
        return;
    }
    // One PTR per address (reference 3.3): fabrics of different accounts share addresses.
    let most = if wanted == RecordType::PTR { 1 } else { most };
    let found = zone.records(below).filter(|data| type_of(data) == wanted).take(most);
    let mut targets = BTreeSet::new();
    for data in found {
        reply.add_answers(record(owner, data));
        if let Data::Srv { target, .. } = data {
            targets.insert(target);
        }
    }
    for target in targets {
        let (Some(below), Some(owner)) = (in_zone(target), dns_name(target)) else { continue };
        let addresses = zone.records(&below).filter(|data| matches!(data, Data::A(_)));
        reply.add_additionals(addresses.filter_map(|data| record(&owner, data)));
        if reply.additionals.len() >= most {
            break;
        }
    }
}

fn type_of(data: &Data) -> RecordType {
    match data {
        Data::A(_) => RecordType::A,
        Data::Txt(_) => RecordType::TXT,
        Data::Srv { .. } => RecordType::SRV,
        Data::Cname(_) => RecordType::CNAME,
        Data::Ptr(_) => RecordType::PTR,
    }
}

/// The record as it is sent; none when its target is no name, which [`Records`](super::records::Records)
/// keeps out.
fn record(owner: &Name, data: &Data) -> Option<Record> {
    let data = match data {
        Data::A(address) => RData::A(A(*address)),
        Data::Txt(text) => RData::TXT(TXT::from_bytes(vec![text.as_bytes()])),
        Data::Srv { port, target } => RData::SRV(SRV::new(PRIORITY, WEIGHT, *port, dns_name(target)?)),
        Data::Cname(target) => RData::CNAME(CNAME(dns_name(target)?)),
        Data::Ptr(target) => RData::PTR(PTR(dns_name(target)?)),
    };
    Some(Record::from_rdata(owner.clone(), TTL, data))
}

fn dns_name(name: &str) -> Option<Name> {
    Name::from_labels(name.split('.').map(str::as_bytes)).ok()
}

/// A name as the database has them. Bytes that none of its names has become `?`, so that no label can pass
/// for two.
fn lower(name: &Name) -> String {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        let known = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let c = |b: &u8| if known(b) { char::from(b.to_ascii_lowercase()) } else { '?' };
        text.extend(label.iter().map(c));
    }
    text
}
