//! One instance from inside: what its services and its shell know and may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::auth::PublicKey;
use triton::id::InstanceId;

use crate::view::{DataCenter, InstanceView};

/// An instance. Everything is read anew from the data centre each time.
#[derive(Clone)]
pub(crate) struct Guest {
    data_center: Arc<dyn DataCenter>,
    id: InstanceId,
}

impl Guest {
    pub(crate) fn new(data_center: Arc<dyn DataCenter>, id: InstanceId) -> Self {
        Self { data_center, id }
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.id
    }

    /// The instance as it is now; `None` when it is gone.
    pub(crate) fn view(&self) -> Option<Arc<InstanceView>> {
        self.data_center.instance(self.id)
    }

    pub(crate) fn data_center_name(&self) -> &str {
        self.data_center.name()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.data_center.now()
    }

    pub(crate) fn set_metadata(&self, key: &str, value: Option<&str>) {
        self.data_center.guest_sets_metadata(self.id, key, value);
    }

    pub(crate) fn power_off(&self) {
        self.data_center.guest_powers_off(self.id);
    }

    pub(crate) fn reboot(&self) {
        self.data_center.guest_reboots(self.id);
    }

    /// Whether this key opens this user's account in the guest: that of `root`, or of the image's default user.
    pub(crate) fn admits(&self, user: &str, wire: &[u8]) -> bool {
        let Some(view) = self.view() else { return false };
        if user != "root" && Some(user) != default_user(&view) {
            return false;
        }
        let authorized = view.metadata.get("root_authorized_keys").map(String::as_str).unwrap_or_default();
        let in_metadata = authorized
            .lines()
            .filter_map(|line| PublicKey::from_openssh(line).ok())
            .any(|key| key.wire() == wire);
        in_metadata
            || self
                .data_center
                .account_keys(&view.owner_login)
                .is_some_and(|(_, keys)| keys.iter().any(|key| key.wire() == wire))
    }
}

fn default_user(view: &InstanceView) -> Option<&str> {
    view.image_tags.get("default_user").and_then(Value::as_str)
}

/// The variables that `user-data` sets for the guest's programs: `{"env_vars": {"NAME": "value"}}`, which is how
/// a pod's `env` reaches its instance. Anything else in it is no concern of ours.
pub(crate) fn env_vars(view: &InstanceView) -> BTreeMap<String, String> {
    let text = view.metadata.get("user-data").map(String::as_str).unwrap_or_default();
    let Ok(Value::Object(mut data)) = serde_json::from_str(text) else { return BTreeMap::new() };
    let Some(Value::Object(vars)) = data.remove("env_vars") else { return BTreeMap::new() };
    let text = |value| match value {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    vars.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::fixture;

    #[test]
    fn variables_come_from_user_data_and_from_nothing_else() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let mut view = fixture::view();
            view.metadata.insert("user-data".to_owned(), text.to_owned());
            let expected: BTreeMap<_, _> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(env_vars(&view), expected, "{text}");
        };
        check(r#"{"env_vars": {"A": "b c", "N": 1, "B": true}}"#, &[("A", "b c"), ("B", "true"), ("N", "1")]);
        check(r#"{"env_vars": {"A": null, "B": {}}}"#, &[]);
        check(r#"{"env_vars": "A=b"}"#, &[]);
        check("#!/bin/sh", &[]);
        check("", &[]);
    }
}
