//! The environment variables that settings come from, as a value.

use std::collections::BTreeMap;
use std::fmt;

/// Every variable that this module reads. Of pairs with one meaning, `TRITON_*` comes first and wins
/// (Triton reference 1.9).
pub(super) mod names {
    pub(crate) const URL: &[&str] = &["TRITON_URL", "SDC_URL"];
    pub(crate) const ACCOUNT: &[&str] = &["TRITON_ACCOUNT", "SDC_ACCOUNT"];
    pub(crate) const USER: &[&str] = &["TRITON_USER", "SDC_USER"];
    pub(crate) const KEY_ID: &[&str] = &["TRITON_KEY_ID", "SDC_KEY_ID"];
    pub(crate) const KEY_MATERIAL: &[&str] = &["TRITON_KEY_MATERIAL", "SDC_KEY_MATERIAL"];
    pub(crate) const KEY_PASSPHRASE: &[&str] = &["TRITON_KEY_PASSPHRASE", "SDC_KEY_PASSPHRASE"];
    pub(crate) const ROLES: &[&str] = &["TRITON_ROLE", "TRITON_ROLES", "SDC_ROLE", "SDC_ROLES"];
    pub(crate) const ACT_AS: &[&str] = &["TRITON_ACT_AS", "SDC_ACT_AS"];
    pub(crate) const CA_FILE: &[&str] = &["TRITON_CA_FILE"];
    pub(crate) const PROFILE: &[&str] = &["TRITON_PROFILE"];
    pub(crate) const AGENT: &[&str] = &["SSH_AUTH_SOCK"];
    pub(crate) const HOME: &[&str] = &["HOME"];
    pub(crate) const CONFIG_DIRECTORY: &[&str] = &["TRITONTEST_CLI_CONFIG_DIR"];
    pub(crate) const XDG_CONFIG_HOME: &[&str] = &["XDG_CONFIG_HOME"];
    pub(crate) const ALL: &[&[&str]] = &[
        URL,
        ACCOUNT,
        USER,
        KEY_ID,
        KEY_MATERIAL,
        KEY_PASSPHRASE,
        ROLES,
        ACT_AS,
        CA_FILE,
        PROFILE,
        AGENT,
        HOME,
        CONFIG_DIRECTORY,
        XDG_CONFIG_HOME,
    ];
    /// Whether certificates go unchecked, with whether any value but the empty one means yes (which is
    /// how the tools that introduced those names read them) or only a boolean does.
    pub(crate) const TLS_INSECURE: &[(&str, super::Switch)] = &[
        ("TRITON_TLS_INSECURE", super::Switch::Boolean),
        ("TRITON_INSECURE", super::Switch::Boolean),
        ("TRITON_SKIP_TLS_VERIFY", super::Switch::AnyValue),
        ("SDC_TLS_INSECURE", super::Switch::Boolean),
        ("SDC_INSECURE", super::Switch::Boolean),
        ("SDC_TESTING", super::Switch::AnyValue),
    ];
}

/// How a variable says yes.
#[derive(Clone, Copy)]
pub(super) enum Switch {
    Boolean,
    AnyValue,
}

/// Environment variables, as a value: the library reads the process's own only in
/// [`Environment::from_process`]. A variable that is set to nothing counts as not set.
///
/// `Debug` shows the names of the variables, not their values, of which some are secret.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process that settings are read from. Those that are not Unicode are left out.
    #[must_use]
    pub fn from_process() -> Self {
        let switches = names::TLS_INSECURE.iter().map(|(name, _)| *name);
        let known = names::ALL.iter().copied().flatten().copied().chain(switches);
        known.filter_map(|name| Some((name, std::env::var(name).ok()?))).collect()
    }

    /// The value of a variable, unless it is not set or set to nothing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of several variables that is set, with its name.
    pub(super) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// The value of the first of several variables that is set.
    pub(super) fn value(&self, names: &[&str]) -> Option<&str> {
        self.first(names).map(|(_, value)| value)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_none_and_the_first_name_wins() {
        let environment: Environment =
            [("TRITON_URL", ""), ("SDC_URL", "b"), ("TRITON_USER", "c"), ("SDC_USER", "d")]
                .into_iter()
                .collect();
        assert_eq!(environment.get("TRITON_URL"), None);
        assert_eq!(environment.first(names::URL), Some(("SDC_URL", "b")));
        assert_eq!(environment.value(names::USER), Some("c"));
        assert_eq!(environment.value(names::ACCOUNT), None);
    }

    #[test]
    fn of_the_process_only_what_is_read_is_taken() {
        let environment = Environment::from_process();
        assert_eq!(environment.get("PATH"), None);
        let home = std::env::var("HOME").ok().filter(|home| !home.is_empty());
        assert_eq!(environment.get("HOME"), home.as_deref());
    }

    #[test]
    fn debug_shows_no_values() {
        let environment: Environment = [("TRITON_KEY_PASSPHRASE", "hunter2")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), "Environment([\"TRITON_KEY_PASSPHRASE\"])");
    }
}
