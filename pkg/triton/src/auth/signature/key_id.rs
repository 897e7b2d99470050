//! Whose key signed a request: the `keyId` parameter (Triton reference 1.2).

use std::fmt;
use std::str::FromStr;

use crate::auth::Fingerprint;

/// The `keyId` parameter: `/ACCOUNT/keys/KEY`, or `/ACCOUNT/users/USER/keys/KEY` for a sub-user.
///
/// `KEY` is the MD5 fingerprint; a server also finds keys by their name, so a parsed one may hold that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId {
    account: String,
    user: Option<String>,
    key: String,
}

/// A key id, or a part of one, that CloudAPI would not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyIdError {
    /// The parts are not those of either form.
    #[error("malformed keyId: expected /ACCOUNT/keys/FINGERPRINT or /ACCOUNT/users/USER/keys/FINGERPRINT")]
    Parse,
    /// A part is empty, or has a character that cannot be in a key id.
    #[error(
        "{part} {value:?} cannot be in a keyId: give the login name, of printable ASCII without / \\ or \""
    )]
    Part {
        /// Which part: `account`, `user` or `key`.
        part: &'static str,
        /// The part as given.
        value: String,
    },
    /// `my` is an alias in paths only.
    #[error("the account \"my\" is an alias that works in paths only: give the account's login name")]
    Alias,
}

impl KeyId {
    /// The id of the key with `fingerprint` of an account, or of a sub-user of it.
    ///
    /// # Errors
    ///
    /// [`KeyIdError::Part`] for a login with characters that no login has, [`KeyIdError::Alias`] for the
    /// account `my`.
    pub fn new(account: &str, user: Option<&str>, fingerprint: Fingerprint) -> Result<Self, KeyIdError> {
        Self::from_parts(account, user, &fingerprint.to_string())
    }

    /// The login name of the account.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The login name of the sub-user, if the key is a sub-user's.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What names the key: its fingerprint or its name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The fingerprint, unless the key is given by its name.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.key.parse().ok()
    }

    /// Whether the names of an account and a sub-user can be in a key id.
    pub(crate) fn check_logins(account: &str, user: Option<&str>) -> Result<(), KeyIdError> {
        check("account", account)?;
        if account == "my" {
            return Err(KeyIdError::Alias);
        }
        user.map_or(Ok(()), |user| check("user", user))
    }

    fn from_parts(account: &str, user: Option<&str>, key: &str) -> Result<Self, KeyIdError> {
        Self::check_logins(account, user)?;
        check_key(key)?;
        Ok(Self { account: account.to_owned(), user: user.map(str::to_owned), key: key.to_owned() })
    }
}

/// Whether `value` can stand between the slashes and inside the quotes.
fn check(part: &'static str, value: &str) -> Result<(), KeyIdError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\' | b'"');
    if !value.is_empty() && value.bytes().all(allowed) {
        return Ok(());
    }
    Err(KeyIdError::Part { part, value: shown(value) })
}

/// A wrong value as far as it may be shown: not when it is too long for a name or has control characters,
/// because then it may be a key that landed in the wrong setting.
pub(crate) fn shown(value: &str) -> String {
    if value.len() > 64 || value.contains(char::is_control) { "…".to_owned() } else { value.to_owned() }
}

/// Key names, unlike logins, may hold blanks.
fn check_key(key: &str) -> Result<(), KeyIdError> {
    check("key", &key.replace(' ', ""))
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pieces: Vec<&str> = text.splitn(7, '/').collect();
        match *pieces.as_slice() {
            ["", account, "keys", key] => Self::from_parts(account, None, key),
            ["", account, "users", user, "keys", key] => Self::from_parts(account, Some(user), key),
            _ => Err(KeyIdError::Parse),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.account)?;
        if let Some(user) = &self.user {
            write!(f, "/users/{user}")?;
        }
        write!(f, "/keys/{}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FINGERPRINT: &str = "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5";

    #[test]
    fn both_forms_are_made_and_read_back() {
        let fingerprint: Fingerprint = FINGERPRINT.parse().expect("a fingerprint");
        for (user, expected) in [
            (None, format!("/acme/keys/{FINGERPRINT}")),
            (Some("ci-bot@x"), format!("/acme/users/ci-bot@x/keys/{FINGERPRINT}")),
        ] {
            let key_id = KeyId::new("acme", user, fingerprint).expect("a key id");
            assert_eq!(key_id.to_string(), expected);
            assert_eq!(expected.parse().as_ref(), Ok(&key_id));
            assert_eq!((key_id.account(), key_id.user()), ("acme", user));
            assert_eq!(key_id.fingerprint(), Some(fingerprint));
        }
        let named: KeyId = "/acme/keys/my laptop".parse().expect("a key by name");
        assert_eq!((named.key(), named.fingerprint()), ("my laptop", None));
    }

    #[test]
    fn a_key_id_of_another_shape_is_refused() {
        for text in
            ["", "/", "acme/keys/a", "/acme/key/a", "/acme/keys", "/acme/keys/a/b", "/acme/user/u/keys/a"]
        {
            assert_eq!(text.parse::<KeyId>(), Err(KeyIdError::Parse), "{text}");
        }
        for text in
            ["//keys/a", "/acme/keys/", "/acme/users//keys/a", "/ac\"me/keys/a", "/ac me/keys/a", "/é/keys/a"]
        {
            assert!(matches!(text.parse::<KeyId>(), Err(KeyIdError::Part { .. })), "{text}");
        }
        assert_eq!("/my/keys/a".parse::<KeyId>(), Err(KeyIdError::Alias));
    }

    proptest! {
        #[test]
        fn printed_key_ids_are_read_back(
            account in "[a-zA-Z][a-zA-Z0-9_.@]{2,31}",
            user in proptest::option::of("[a-z][a-z0-9_.@]{0,31}"),
            hash: [u8; 16],
        ) {
            let key_id = KeyId::new(&account, user.as_deref(), Fingerprint::Md5(hash)).expect("valid logins");
            prop_assert_eq!(key_id.to_string().parse(), Ok(key_id));
        }

        #[test]
        fn what_is_read_is_printed_as_it_was(text in "(/|keys|users|[ -~]|é){0,12}") {
            if let Ok(key_id) = text.parse::<KeyId>() {
                prop_assert_eq!(key_id.to_string(), text);
            }
        }
    }
}
