//! Instance metadata: text that the guest can read, and often secret (reference 2.18).

use crate::types::lenient::{Json, Lenient, assign, each_field, lenient_deserialize};
use secrecy::{ExposeSecret, SecretString};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Names that metadata keys cannot have once the instance is made: the server takes them for parameters of
/// the request, or drops them (reference 2.2, 2.18). So it does with keys that end in `_pw`.
pub const RESERVED_METADATA: &[&str] = &["account", "machine", "uuid", "owner_uuid", "image", "credentials"];

/// The customer metadata of an instance.
///
/// Values are text: a number or boolean that some other client wrote is kept as its JSON text, and the
/// guest sees no difference. Values may be secrets (`user-data`, `user-script`), so `Debug` prints the keys
/// only; passwords that the server adds under `credentials` are kept apart and never written back.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: BTreeMap<String, Box<str>>,
    credentials: Option<Box<Credentials>>,
}

impl Metadata {
    /// No metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|value| &**value)
    }

    /// Whether there is a value, even an empty one, for `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets `key`.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Box<str>>) {
        self.entries.insert(key.into(), value.into());
    }

    /// Removes `key`, and says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(|key| &**key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The generated passwords, when they were asked for (`credentials=true`) and the image has any.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_deref()
    }
}

impl<K: Into<String>, V: Into<Box<str>>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            credentials: None,
        }
    }
}

/// Keys only.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

/// Without the credentials.
impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in &self.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A metadata value: any scalar as text, also the empty one.
struct Value(Box<str>);

impl Lenient for Value {
    fn lenient(json: &str) -> Option<Self> {
        Json::of(json).text().map(|text| Self(text.into()))
    }
}

impl Lenient for Metadata {
    fn lenient(json: &str) -> Option<Self> {
        const CREDENTIALS: &str = "credentials";
        let mut metadata = Self::default();
        each_field(json, |key, value| {
            if key == CREDENTIALS {
                assign(&mut metadata.credentials, value);
            } else if let Some(Value(value)) = Value::lenient(value) {
                metadata.entries.insert(key.to_owned(), value);
            }
        })?;
        Some(metadata)
    }
}

lenient_deserialize!(Metadata, "not instance metadata: no object");

/// The passwords that Triton made for the users of an instance (`metadata.credentials`). They are wiped
/// when dropped, and neither printed nor written.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<Box<str>, SecretString>);

impl Credentials {
    /// The password of `user`.
    pub fn password(&self, user: &str) -> Option<&SecretString> {
        self.0.get(user)
    }

    /// The users that have a password, in order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|user| &**user)
    }
}

/// Users only.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.users()).finish()
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(left, right)| left.0 == right.0 && left.1.expose_secret() == right.1.expose_secret())
    }
}

impl Eq for Credentials {}

impl Lenient for Box<Credentials> {
    fn lenient(json: &str) -> Option<Self> {
        let mut credentials = Credentials::default();
        each_field(json, |user, password| {
            if let Some(Value(password)) = Value::lenient(password) {
                credentials.0.insert(user.into(), SecretString::from(password));
            }
        })?;
        Some(Self::new(credentials))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r##"{
        "user-script": "#!/bin/sh\necho hunter2", "port": 8080, "ready": true, "empty": "",
        "nothing": null, "nested": {"a": 1}, "credentials": {"root": "hunter3", "admin": 17}
    }"##;

    fn metadata() -> Metadata {
        serde_json::from_str(JSON).unwrap()
    }

    #[test]
    fn values_are_text_and_what_is_no_scalar_is_left_out() {
        assert_eq!(
            metadata().iter().collect::<Vec<_>>(),
            [("empty", ""), ("port", "8080"), ("ready", "true"), ("user-script", "#!/bin/sh\necho hunter2"),]
        );
    }

    #[test]
    fn credentials_can_be_asked_for_but_are_no_metadata() {
        let metadata = metadata();
        assert_eq!(metadata.get("credentials"), None);
        let credentials = metadata.credentials().unwrap();
        assert_eq!(credentials.users().collect::<Vec<_>>(), ["admin", "root"]);
        assert_eq!(credentials.password("root").unwrap().expose_secret(), "hunter3");
        assert_eq!(credentials.password("admin").unwrap().expose_secret(), "17");
        assert!(credentials.password("nobody").is_none());
        assert!(!serde_json::to_string(&metadata).unwrap().contains("hunter3"));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:?} {:?}", metadata(), metadata().credentials());
        assert!(printed.contains("user-script") && printed.contains("root"), "{printed}");
        assert!(!printed.contains("hunter"), "{printed}");
    }

    #[test]
    fn credentials_count_when_metadata_is_compared() {
        let other = |json: &str| serde_json::from_str::<Metadata>(json).unwrap();
        assert_eq!(metadata(), metadata());
        assert_ne!(metadata(), other(&JSON.replace("hunter3", "hunter4")));
        assert_ne!(metadata(), other(&JSON.replace("\"root\"", "\"toor\"")));
        assert_ne!(metadata(), other(&JSON.replace("8080", "8081")));
    }
}
