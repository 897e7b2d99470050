//! DNS messages as bytes, as large as the transport carries.

use std::collections::HashMap;

use hickory_proto::op::{Header, HeaderCounts, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{
    BinDecodable as _, BinDecoder, BinEncodable, BinEncoder, NameEncoding,
};

/// The most that UDP carries for a client without EDNS.
const PLAIN_UDP: u16 = 512;
/// The most that the real CNS sends over UDP, whatever the client takes.
pub(super) const LARGEST_UDP: u16 = 1470;
/// Two bytes that start with these two bits are the place of a name, in the first 16 KiB of the message.
const POINTER: u16 = 0xc000;
/// Where the target of an SRV record is in its data.
const SRV_TARGET: usize = 6;
/// Type, class, time to live and length, between the name of a record and its data.
const FIXED_FIELDS: usize = 10;

/// The most bytes that the answer to a request may have over UDP.
pub(super) fn udp_limit(request: &Message) -> u16 {
    request.max_payload().clamp(PLAIN_UDP, LARGEST_UDP)
}

/// Reads a request. What is not even the beginning of one, and every answer, gets none: two servers must not
/// answer each other for ever.
///
/// # Errors
///
/// The answer that a request gets which begins well and cannot be read.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Message>, Box<Message>> {
    let Ok(header) = Header::read(&mut BinDecoder::new(bytes)) else { return Ok(None) };
    if header.metadata.message_type == MessageType::Response {
        return Ok(None);
    }
    Message::from_vec(bytes).map(Some).map_err(|_| {
        let mut reply = Message::new(header.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata = Metadata::response_from_request(&header.metadata);
        reply.metadata.response_code = ResponseCode::FormErr;
        Box::new(reply)
    })
}

/// The bytes of a message, at most `limit`. Where it has more, no records are sent and the client is told, as
/// the real CNS does. None when not even the question fits.
pub(super) fn encode(mut message: Message, limit: u16) -> Option<Vec<u8>> {
    let fits = |bytes: &Vec<u8>| bytes.len() <= usize::from(limit);
    if let Some(bytes) = Writer::write(&message).filter(fits) {
        return Some(bytes);
    }
    message.answers.clear();
    message.authorities.clear();
    message.additionals.clear();
    message.metadata.truncation = true;
    Writer::write(&message).filter(fits)
}

/// A message being written. Hickory writes the parts; putting them together is ours, because hickory repeats
/// names in full after the first 120, and a service of a thousand members would not fit into any message.
struct Writer {
    bytes: Vec<u8>,
    /// Where names are that were written in full.
    names: HashMap<Name, u16>,
}

impl Writer {
    fn write(message: &Message) -> Option<Vec<u8>> {
        let mut edns = message.edns.clone();
        let code = message.metadata.response_code.high();
        let options = edns.as_mut().map(|edns| Record::from(&*edns.set_rcode_high(code)));
        let counts = HeaderCounts {
            queries: u16::try_from(message.queries.len()).ok()?,
            answers: u16::try_from(message.answers.len()).ok()?,
            authorities: u16::try_from(message.authorities.len()).ok()?,
            additionals: u16::try_from(message.additionals.len() + usize::from(options.is_some())).ok()?,
        };
        let header = emitted(&Header { metadata: message.metadata, counts })?;
        let mut writer = Self { bytes: header, names: HashMap::new() };
        for query in &message.queries {
            writer.remember(query.name(), 0);
            writer.bytes.extend(emitted(query)?);
        }
        for record in message.answers.iter().chain(&message.authorities).chain(&message.additionals) {
            writer.add(record)?;
        }
        if let Some(options) = options {
            writer.bytes.extend(emitted(&options)?);
        }
        Some(writer.bytes)
    }

    /// Notes that a name will be written so many bytes further on.
    fn remember(&mut self, name: &Name, further_on: usize) {
        match u16::try_from(self.bytes.len() + further_on) {
            Ok(place) if place & POINTER == 0 => {
                self.names.entry(name.clone()).or_insert(place);
            }
            _ => {}
        }
    }

    fn add(&mut self, record: &Record) -> Option<()> {
        let whole = emitted(record)?;
        let owner_length = record.name.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
        let rest = whole.get(owner_length..)?;
        match self.names.get(&record.name) {
            Some(place) => self.bytes.extend((POINTER | place).to_be_bytes()),
            None => {
                self.remember(&record.name, 0);
                self.bytes.extend(whole.get(..owner_length)?);
            }
        }
        if let RData::SRV(srv) = &record.data {
            self.remember(&srv.target, FIXED_FIELDS + SRV_TARGET);
        }
        self.bytes.extend(rest);
        Some(())
    }
}

/// A part of a message with all its names in full.
fn emitted(part: &impl BinEncodable) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    part.emit(&mut encoder).ok()?;
    Some(bytes)
}
