//! Reading what a server sent, whatever it sent.
//!
//! CloudAPI mixes spellings, omits fields, sends numbers as strings and empty strings for "none"
//! (reference 6 no. 28, reference 10). A typed client that refuses such an object hides an instance
//! that exists, and a controller that believes it gone deletes a node. So reading is total: every
//! field is taken as the raw text of its JSON value and given to a function that returns the value or
//! `None`, never an error. Only an object's identity can make the object itself unreadable.
//!
//! Working on raw text instead of a parsed tree keeps trouble where it is: a number outside every
//! range, half a surrogate pair or a nesting of a million brackets spoils the one field it is in.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A type that can be read from any JSON value, or says that there is nothing usable in it.
pub(crate) trait Lenient: Sized {
    /// Reads `json`, the text of one well-formed JSON value.
    fn lenient(json: &str) -> Option<Self>;

    /// Whether the value stands for "the server did not say", and is left out when written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// What a JSON value is, before anybody asks what it should be.
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// The digits as the server wrote them.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(&'a str),
    Object(&'a str),
}

impl<'a> Json<'a> {
    /// Classifies the text of one well-formed JSON value.
    pub(crate) fn of(json: &'a str) -> Self {
        let json = json.trim_ascii();
        match json.as_bytes().first() {
            Some(b'"') => string(json).map_or(Self::Null, Self::String),
            Some(b'{') => Self::Object(json),
            Some(b'[') => Self::Array(json),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'-' | b'0'..=b'9') => Self::Number(json),
            _ => Self::Null,
        }
    }

    /// A string, number or boolean as text; `None` for everything else.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::String(text) => Some(text),
            Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

/// Reads a JSON string; half a surrogate pair becomes U+FFFD.
fn string(json: &str) -> Option<Cow<'_, str>> {
    if !json.contains('\\') {
        return json.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed);
    }
    LossyText.deserialize(&mut serde_json::Deserializer::from_str(json)).ok()
}

/// A string or object key that is asked for as bytes, because serde_json refuses half a surrogate pair
/// only in text.
struct LossyText;

impl<'de> DeserializeSeed<'de> for LossyText {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for LossyText {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Calls `visit` with each name and raw value of an object; `None` when `json` is not one.
pub(crate) fn each_field<'a>(json: &'a str, visit: impl FnMut(&str, &'a str)) -> Option<()> {
    struct Fields<F>(F);

    impl<'de, F: FnMut(&str, &'de str)> Visitor<'de> for Fields<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key_seed(LossyText)? {
                let value: &'de RawValue = map.next_value()?;
                (self.0)(&name, value.get());
            }
            Ok(())
        }
    }

    let Json::Object(json) = Json::of(json) else {
        return None;
    };
    serde_json::Deserializer::from_str(json).deserialize_map(Fields(visit)).ok()
}

/// The raw elements of an array; `None` when `json` is not one.
pub(crate) fn elements(json: &str) -> Option<Vec<&RawValue>> {
    let Json::Array(json) = Json::of(json) else {
        return None;
    };
    serde_json::from_str(json).ok()
}

/// Which of an object's field names `name` means: the same one, or else the one that differs only in
/// case, `_` and `-` (`primaryIp`, `primary_ip`).
pub(crate) fn canonical(name: &str, names: &[&'static str]) -> Option<&'static str> {
    fn folded(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase())
    }
    names
        .iter()
        .find(|known| **known == name)
        .or_else(|| names.iter().find(|known| folded(known).eq(folded(name))))
        .copied()
}

/// Stores what `json` holds, if it holds anything usable: of two spellings of one field the last with
/// a value wins, and a `null` never erases a value.
pub(crate) fn assign<T: Lenient>(field: &mut T, json: &str) {
    if let Some(value) = T::lenient(json) {
        *field = value;
    }
}

impl<T: Lenient> Lenient for Option<T> {
    fn lenient(json: &str) -> Option<Self> {
        T::lenient(json).map(Some)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// Any scalar as text. An empty string is the same as no string, as the server itself treats it
/// (`"package": ""`, `"default_network": ""`).
impl Lenient for Box<str> {
    fn lenient(json: &str) -> Option<Self> {
        Json::of(json).text().filter(|text| !text.is_empty()).map(Into::into)
    }
}

impl Lenient for bool {
    fn lenient(json: &str) -> Option<Self> {
        match Json::of(json).text()?.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }
}

/// Elements that cannot be read are left out.
impl<T: Lenient> Lenient for Box<[T]> {
    fn lenient(json: &str) -> Option<Self> {
        Some(elements(json)?.into_iter().filter_map(|raw| T::lenient(raw.get())).collect())
    }
}

/// Entries whose value cannot be read are left out.
impl<T: Lenient> Lenient for BTreeMap<String, T> {
    fn lenient(json: &str) -> Option<Self> {
        let mut map = Self::new();
        each_field(json, |name, value| {
            if let Some(value) = T::lenient(value) {
                map.insert(name.to_owned(), value);
            }
        })?;
        Some(map)
    }
}

/// Integers from numbers or strings. A fraction is cut off; what does not fit is nothing.
macro_rules! lenient_integers {
    ($($ty:ty),*) => {$(
        impl Lenient for $ty {
            fn lenient(json: &str) -> Option<Self> {
                let text = Json::of(json).text()?;
                let text = text.trim();
                text.parse().ok().or_else(|| whole(text)?.try_into().ok())
            }
        }
    )*};
}

lenient_integers!(u16, u32, u64, i64);

/// The integer part of a decimal or exponential number.
fn whole(text: &str) -> Option<i128> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, far outside every field's range"
    )]
    let whole = value as i128;
    Some(whole)
}

impl Lenient for f64 {
    fn lenient(json: &str) -> Option<Self> {
        Json::of(json).text()?.trim().parse().ok().filter(|value: &Self| value.is_finite())
    }
}

/// Reads a type from its text form; a text in any other form is nothing.
pub(crate) fn parse<T: FromStr>(json: &str) -> Option<T> {
    match Json::of(json) {
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

macro_rules! lenient_texts {
    ($($ty:ty),*) => {$(
        impl Lenient for $ty {
            fn lenient(json: &str) -> Option<Self> {
                parse(json)
            }
        }
    )*};
}

lenient_texts!(IpAddr, ipnet::IpNet, jiff::Timestamp, uuid::Uuid);
lenient_texts!(
    crate::id::AccountId,
    crate::id::ComputeNodeId,
    crate::id::DiskId,
    crate::id::FirewallRuleId,
    crate::id::ImageId,
    crate::id::InstanceId,
    crate::id::NetworkId,
    crate::id::PackageId,
    crate::id::VolumeId
);

/// `Deserialize` by way of [`Lenient`], for JSON only: it takes the raw text of the value.
macro_rules! lenient_deserialize {
    ($name:ty, $otherwise:expr) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw =
                    <Box<serde_json::value::RawValue> as serde::Deserialize>::deserialize(deserializer)?;
                <Self as $crate::types::lenient::Lenient>::lenient(raw.get())
                    .ok_or_else(|| serde::de::Error::custom($otherwise))
            }
        }
    };
}
pub(crate) use lenient_deserialize;

#[cfg(test)]
mod tests;
