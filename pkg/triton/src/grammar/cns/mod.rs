//! The tag `triton.cns.services`: which services an instance is a member of (reference 3.3).
//!
//! The tag has several writers, so the model keeps every entry exactly as it was written. A writer replaces
//! the entries that are its own and hands the others on, byte for byte:
//!
//! ```
//! use triton::grammar::cns::{CnsService, CnsServices};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let observed: CnsServices = "Legacy:port=0443,web:8080".parse()?;
//! let mut entries: Vec<CnsService> = observed.into_iter().filter(|entry| entry.name() != "web").collect();
//! entries.push(CnsService::new("web")?.with_port(9090)?);
//! assert_eq!(CnsServices::new(entries)?.to_string(), "Legacy:port=0443,web:9090");
//! # Ok(())
//! # }
//! ```
//!
//! Parsing accepts what CloudAPI accepts, with one exception: a property `name`, which replaces the name of
//! the service by text that nobody checks, is an error. Making a new entry is stricter, because what CloudAPI
//! accepts need not be a DNS name, see [`CnsService::new`].

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::grammar::{MAX_TEXT_BYTES, ParseError, check_length, excerpt, is_js_whitespace};

const GRAMMAR: &str = "triton.cns.services";

/// The longest name of a service, in characters (reference 3.3).
pub const MAX_NAME_LENGTH: usize = 63;

/// The value of the tag: one or more services, in order (reference 3.3).
///
/// There is no empty value: CloudAPI refuses an empty tag, so an instance without services has no such tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CnsServices {
    entries: Vec<CnsService>,
}

/// One service that an instance is a member of (reference 3.3).
///
/// Two entries are equal when their texts are. CNS tells them apart by [`name`](Self::name) and
/// [`port`](Self::port) only: several entries of a name mean several ports, and priority and weight are
/// checked but not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CnsService {
    text: String,
    name: String,
    port: Option<u16>,
    priority: Option<u16>,
    weight: Option<u16>,
}

/// Why services made from values would be refused, or would not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServices {
    /// The name is no DNS name.
    #[error(
        "{} cannot name a CNS service; use at most {MAX_NAME_LENGTH} letters, digits and inner hyphens, \
         or _service._tcp or _service._udp",
        excerpt(.name)
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// Port 0.
    #[error("CNS service {name} cannot have port 0; ports are 1 to 65535")]
    PortZero {
        /// The name of the service.
        name: String,
    },
    /// A list without entries, for which there is no tag value.
    #[error("there are no CNS services; remove the tag triton.cns.services instead of writing it")]
    NoServices,
    /// The value would be longer than [`MAX_TEXT_BYTES`].
    #[error("the CNS services need {length} bytes of text, at most {MAX_TEXT_BYTES} are allowed")]
    TooLong {
        /// The length of the value in bytes.
        length: usize,
    },
}

impl CnsServices {
    /// A value with these entries, kept in this order and as they are.
    ///
    /// # Errors
    ///
    /// [`InvalidServices::NoServices`] without entries, [`InvalidServices::TooLong`] with far too many.
    pub fn new(entries: Vec<CnsService>) -> Result<Self, InvalidServices> {
        if entries.is_empty() {
            return Err(InvalidServices::NoServices);
        }
        let commas = entries.len() - 1;
        let length = entries.iter().map(|entry| entry.text.len()).sum::<usize>() + commas;
        if length > MAX_TEXT_BYTES { Err(InvalidServices::TooLong { length }) } else { Ok(Self { entries }) }
    }

    /// The entries in order; at least one.
    pub fn entries(&self) -> &[CnsService] {
        &self.entries
    }
}

impl IntoIterator for CnsServices {
    type Item = CnsService;
    type IntoIter = std::vec::IntoIter<CnsService>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Display for CnsServices {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{entry}")?;
        }
        Ok(())
    }
}

impl FromStr for CnsServices {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        check_length(GRAMMAR, text)?;
        let mut position = 0;
        let mut entries = Vec::new();
        for entry in text.split(',') {
            entries.push(parse_entry(entry, position)?);
            position += entry.len() + 1;
        }
        Ok(Self { entries })
    }
}

impl CnsService {
    /// A new entry: only a name, so that CNS publishes addresses but no SRV record.
    ///
    /// The name is lower-cased, as CNS does. It must be a DNS name: labels of letters, digits and inner
    /// hyphens (one label, as a rule; CloudAPI lets dots pass), or `_service._tcp` or `_service._udp`.
    /// CloudAPI also accepts `-`, `a..b` and `_._tcp`, which cannot be looked up.
    ///
    /// # Errors
    ///
    /// [`InvalidServices::Name`] for any other name.
    pub fn new(name: &str) -> Result<Self, InvalidServices> {
        let lower = name.to_ascii_lowercase();
        let service = lower.strip_prefix('_').and_then(|rest| {
            let protocol = rest.strip_suffix("._tcp").or_else(|| rest.strip_suffix("._udp"));
            protocol.filter(|service| !service.contains('.'))
        });
        let valid = service.unwrap_or(&lower).split('.').all(is_dns_label);
        if !valid || lower.len() > MAX_NAME_LENGTH {
            return Err(InvalidServices::Name { name: name.to_owned() });
        }
        Ok(Self { text: lower.clone(), name: lower, port: None, priority: None, weight: None })
    }

    /// The same service with an SRV record for `port`. The entry is written anew.
    ///
    /// # Errors
    ///
    /// [`InvalidServices::PortZero`] when the port is 0.
    pub fn with_port(mut self, port: u16) -> Result<Self, InvalidServices> {
        if port == 0 {
            return Err(InvalidServices::PortZero { name: self.name });
        }
        self.port = Some(port);
        Ok(self.rewritten())
    }

    /// The same service with an SRV priority, which CNS does not publish (reference 3.3). The entry is
    /// written anew.
    pub fn with_priority(mut self, priority: u16) -> Self {
        self.priority = Some(priority);
        self.rewritten()
    }

    /// The same service with an SRV weight, which CNS does not publish (reference 3.3). The entry is written
    /// anew.
    pub fn with_weight(mut self, weight: u16) -> Self {
        self.weight = Some(weight);
        self.rewritten()
    }

    /// The entry exactly as it is in the tag.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name in lower case, as CNS publishes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of the SRV record, 1 to 65535; none for no SRV record.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The priority, which CNS does not publish.
    pub fn priority(&self) -> Option<u16> {
        self.priority
    }

    /// The weight, which CNS does not publish.
    pub fn weight(&self) -> Option<u16> {
        self.weight
    }

    fn rewritten(mut self) -> Self {
        self.text.clone_from(&self.name);
        if let Some(port) = self.port {
            self.text += &format!(":{port}");
        }
        for (key, value) in [("priority", self.priority), ("weight", self.weight)] {
            if let Some(value) = value {
                self.text += &format!(":{key}={value}");
            }
        }
        self
    }
}

impl Display for CnsService {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_dns_label(label: &str) -> bool {
    let inner = |b: u8| b == b'-' || b.is_ascii_alphanumeric();
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// Reads one entry, which starts at byte `start` of the tag.
fn parse_entry(text: &str, start: usize) -> Result<CnsService, ParseError> {
    let (name, properties) = text.split_at(name_length(text));
    if name.is_empty() {
        let found = if text.is_empty() { "nothing".to_owned() } else { excerpt(text) };
        return Err(fault(start, format!("expected the name of a service, found {found}")));
    }
    if name.len() > MAX_NAME_LENGTH {
        let name = excerpt(name);
        return Err(fault(start, format!("service name {name} has more than {MAX_NAME_LENGTH} characters")));
    }
    let [port, priority, weight] = read_properties(properties, start + name.len())?;
    Ok(CnsService {
        text: text.to_owned(),
        name: name.to_ascii_lowercase(),
        port: port.map(|port| port.number(1)).transpose()?,
        priority: priority.map(|priority| priority.number(0)).transpose()?,
        weight: weight.map(|weight| weight.number(0)).transpose()?,
    })
}

const PROPERTIES: [&str; 3] = ["port", "priority", "weight"];

/// A property and where it is written.
struct Property<'a> {
    key: &'static str,
    value: &'a str,
    position: usize,
}

impl Property<'_> {
    fn number(&self, min: u16) -> Result<u16, ParseError> {
        leading_integer(self.value).filter(|number| *number >= min).ok_or_else(|| {
            let found = excerpt(self.value);
            fault(self.position, format!("{} must be {min} to 65535, found {found}", self.key))
        })
    }
}

/// Reads what follows the name and starts at byte `start` of the tag: the [`PROPERTIES`], in that order.
/// Where one is repeated the last one counts, and only that one is checked, as on the server.
fn read_properties(text: &str, start: usize) -> Result<[Option<Property<'_>>; 3], ParseError> {
    let mut parts = text.split(':');
    let mut position = start;
    if let Some(before) = parts.next().filter(|before| !before.is_empty()) {
        return Err(fault(position, format!("expected `:` or `,`, found {}", excerpt(before))));
    }
    let mut last = [None, None, None];
    for (index, part) in parts.enumerate() {
        position += 1;
        let is_port = index == 0 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (key, value) = match part.split_once('=') {
            Some((key, value)) if !value.is_empty() => (key, value),
            None if is_port => ("port", part),
            _ => {
                let found = excerpt(part);
                return Err(fault(position, format!("expected a port or property=value, found {found}")));
            }
        };
        let Some((key, slot)) = PROPERTIES.into_iter().zip(&mut last).find(|(name, _)| *name == key) else {
            let message = format!("{} is not a property; use port, priority or weight", excerpt(key));
            return Err(fault(position, message));
        };
        *slot = Some(Property { key, value, position });
        position += part.len();
    }
    Ok(last)
}

fn fault(position: usize, message: String) -> ParseError {
    ParseError::new(GRAMMAR, position, message)
}

/// The length of the name that `text` starts with: `_x._tcp`, `_x._udp`, or letters, digits, hyphens and, not
/// in front, dots.
fn name_length(text: &str) -> usize {
    let is_label = |c: char| c == '-' || c.is_ascii_alphanumeric();
    let Some(service) = text.strip_prefix('_') else {
        let is_name = |c: char| c == '.' || is_label(c);
        return if text.starts_with('.') { 0 } else { text.find(|c| !is_name(c)).unwrap_or(text.len()) };
    };
    let protocol = service.trim_start_matches(is_label);
    match protocol.strip_prefix("._tcp").or_else(|| protocol.strip_prefix("._udp")) {
        Some(rest) => text.len() - rest.len(),
        None => 0,
    }
}

/// The number that `text` starts with, if it is 0 to 65535. What follows the digits is ignored, as are
/// leading blanks and a sign: CloudAPI and CNS read numbers with JavaScript's `parseInt`.
fn leading_integer(text: &str) -> Option<u16> {
    let text = text.trim_start_matches(is_js_whitespace);
    let (negative, text) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).and_then(|end| text.get(..end)).unwrap_or(text);
    let value = digits.parse::<u16>().ok()?;
    if negative && value != 0 { None } else { Some(value) }
}
