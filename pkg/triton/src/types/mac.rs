//! MAC addresses, which CloudAPI writes in two ways.

use crate::types::lenient::{Lenient, parse};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The hardware address of a NIC, by which NICs are identified (reference 2.19).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

/// A text that should have been a MAC address is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a MAC address: expected six hexadecimal bytes such as 90:b8:d0:80:ec:ae")]
pub struct ParseMacAddressError;

impl MacAddress {
    /// The six bytes.
    pub const fn octets(&self) -> [u8; 6] {
        self.0
    }

    /// The form of CloudAPI's URLs: twelve digits without colons (reference 2.19, 6 no. 29).
    pub fn to_path_segment(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl From<[u8; 6]> for MacAddress {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

/// Reads `90:b8:d0:80:ec:ae`, `90-b8-d0-80-ec-ae` and `90b8d080ecae`, and bytes without a leading zero
/// (`2:8:20:80:ec:ae`), as SmartOS tools print them.
impl FromStr for MacAddress {
    type Err = ParseMacAddressError;

    fn from_str(text: &str) -> Result<Self, ParseMacAddressError> {
        fn byte(digits: &[u8]) -> Option<u8> {
            digits.iter().try_fold(0_u8, |value, digit| {
                let digit = char::from(*digit).to_digit(16)?;
                value.checked_mul(16)?.checked_add(digit.try_into().ok()?)
            })
        }
        fn bytes<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> Option<[u8; 6]> {
            let mut octets = [0; 6];
            for octet in &mut octets {
                *octet = byte(parts.next().filter(|part| !part.is_empty())?)?;
            }
            parts.next().is_none().then_some(octets)
        }
        let text = text.as_bytes();
        let octets = match text.iter().find(|byte| !byte.is_ascii_hexdigit()) {
            Some(separator @ (b':' | b'-')) => bytes(text.split(|byte| byte == separator)),
            Some(_) => None,
            None => (text.len() == 12).then(|| bytes(text.chunks(2))).flatten(),
        };
        octets.map(Self).ok_or(ParseMacAddressError)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Lenient for MacAddress {
    fn lenient(json: &str) -> Option<Self> {
        parse(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_as_the_same_address() {
        for text in ["90:b8:d0:80:ec:0e", "90B8D080EC0E", "90-b8-d0-80-ec-0e", "90:b8:d0:80:ec:e"] {
            let mac: MacAddress = text.parse().unwrap();
            assert_eq!(mac.to_string(), "90:b8:d0:80:ec:0e", "{text}");
            assert_eq!(mac.to_path_segment(), "90b8d080ec0e", "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            ":",
            "90b8d080ec",
            "90b8d080ec0e0",
            "90b8d080ec0e00",
            "90:b8:d0:80:ec",
            "90:b8:d0:80:ec:0e:",
            "90:b8:d0:80:ec:100",
            "90:b8:d0-80:ec:0e",
            "90:b8:d0:80:ec:0g",
            "90:b8:d0:80:ec:ü",
            "+1:b8:d0:80:ec:0e",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(ParseMacAddressError), "{text}");
        }
    }
}
