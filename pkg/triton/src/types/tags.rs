//! Tags: small typed values on instances, images and volumes (reference 2.17).

use crate::types::lenient::{Json, Lenient, lenient_deserialize};
use serde::Serialize;
use serde_json::Number;
use std::collections::BTreeMap;
use std::fmt;

/// The tags of one object, by name.
pub type Tags = BTreeMap<String, TagValue>;

/// Names that an instance's tags cannot have once it is made: the server takes them for parameters of the
/// request, so that a tag `machine` would change the tags of another instance (reference 2.2, 2.17).
pub const RESERVED_TAGS: &[&str] = &["account", "machine", "uuid", "owner_uuid", "context", "image"];

/// The value of a tag. CloudAPI keeps the type it was given, and checks the type of its own tags: a
/// `triton.cns.disable` must be a boolean.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum TagValue {
    /// `true` or `false`.
    Bool(bool),
    /// A number that a 64-bit integer or a double can hold.
    Number(Number),
    /// A string, possibly empty; also a number that is too large for [`TagValue::Number`], digit by digit.
    String(Box<str>),
}

impl TagValue {
    /// The string, if the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Bool(_) | Self::Number(_) => None,
        }
    }

    /// The boolean, if the value is one. A string `"true"` is not.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Number(_) | Self::String(_) => None,
        }
    }
}

/// The value as the text that list filters, firewall rules and guests see: no quotes around strings.
impl fmt::Display for TagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::String(text) => f.write_str(text),
        }
    }
}

impl From<bool> for TagValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for TagValue {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for TagValue {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for TagValue {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl Lenient for TagValue {
    fn lenient(json: &str) -> Option<Self> {
        match Json::of(json) {
            Json::Bool(value) => Some(Self::Bool(value)),
            Json::Number(text) => Some(number(text).map_or_else(|| Self::String(text.into()), Self::Number)),
            Json::String(text) => Some(Self::String(text.into())),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

/// Reads a number so that it is written again as the same one: serde_json's own reading of long fractions may
/// be off by the last digit.
fn number(text: &str) -> Option<Number> {
    let unsigned = || text.parse::<u64>().ok().map(Number::from);
    let signed = || text.parse::<i64>().ok().map(Number::from);
    let float = || Number::from_f64(text.parse().ok()?);
    unsigned().or_else(signed).or_else(float)
}

lenient_deserialize!(TagValue, "not a tag value: no string, number or boolean");

/// Tags as an answer of their own: what is no tag value is left out, as it is within an object.
pub(crate) struct TagMap(pub(crate) Tags);

impl Lenient for TagMap {
    fn lenient(json: &str) -> Option<Self> {
        Lenient::lenient(json).map(Self)
    }
}

lenient_deserialize!(TagMap, "not a map of tags: no object");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_and_written_as_it_came() {
        for json in [
            "true",
            "false",
            "0",
            "2",
            "-17",
            "9007199254740993",
            "1.5",
            "0.1234567890123456",
            "3.7000109007422e+20",
            r#""""#,
            r#""true""#,
            r#""2""#,
            r#""web-prod:8080""#,
            r#""a\"b""#,
        ] {
            let value: TagValue = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
    }

    #[test]
    fn a_number_beyond_a_double_is_kept_as_text() {
        let value: TagValue = serde_json::from_str("1e400").unwrap();
        assert_eq!(value, "1e400".into());
    }

    #[test]
    fn what_is_no_scalar_is_no_tag_value() {
        for json in ["null", "[]", "{}", r#"["a"]"#] {
            assert!(serde_json::from_str::<TagValue>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_value_prints_as_filters_and_guests_see_it() {
        for (value, text) in [
            (TagValue::from(true), "true"),
            (TagValue::from(-2), "-2"),
            (TagValue::from("web"), "web"),
            (TagValue::from(String::from("a b")), "a b"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
