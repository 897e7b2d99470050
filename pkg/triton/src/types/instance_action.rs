//! What can be done to an instance with `POST /:acct/machines/:id` (reference 2.16).

use serde::Serialize;

/// An action on an instance. The server answers 202 at once and does the work later: starting a running
/// instance is accepted and then does nothing, and only the audit log tells (reference 6 no. 16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum InstanceAction {
    /// Start it.
    Start,
    /// Shut it down; by force after a time that the platform chooses.
    Stop,
    /// Restart it. The state may stay `running` throughout (reference 6 no. 9).
    Reboot,
    /// Give it another name; its CNS names follow.
    Rename {
        /// The new name, at most 189 characters, 63 where CNS is on.
        name: String,
    },
    /// Give it another size: zones while they run, bhyve machines while they are stopped, KVM machines never.
    Resize {
        /// The new package, by id or name.
        package: String,
    },
    /// Apply the account's firewall rules.
    EnableFirewall,
    /// Apply no firewall rules.
    DisableFirewall,
    /// Refuse deletion.
    EnableDeletionProtection,
    /// Allow deletion.
    DisableDeletionProtection,
}

impl InstanceAction {
    /// The name of the action on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
            Self::Rename { .. } => "rename",
            Self::Resize { .. } => "resize",
            Self::EnableFirewall => "enable_firewall",
            Self::DisableFirewall => "disable_firewall",
            Self::EnableDeletionProtection => "enable_deletion_protection",
            Self::DisableDeletionProtection => "disable_deletion_protection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_written_under_its_own_name() {
        for (action, json) in [
            (InstanceAction::Start, r#"{"action":"start"}"#),
            (InstanceAction::Stop, r#"{"action":"stop"}"#),
            (InstanceAction::Reboot, r#"{"action":"reboot"}"#),
            (InstanceAction::Rename { name: "web-2".into() }, r#"{"action":"rename","name":"web-2"}"#),
            (InstanceAction::Resize { package: "g1.xl".into() }, r#"{"action":"resize","package":"g1.xl"}"#),
            (InstanceAction::EnableFirewall, r#"{"action":"enable_firewall"}"#),
            (InstanceAction::DisableFirewall, r#"{"action":"disable_firewall"}"#),
            (InstanceAction::EnableDeletionProtection, r#"{"action":"enable_deletion_protection"}"#),
            (InstanceAction::DisableDeletionProtection, r#"{"action":"disable_deletion_protection"}"#),
        ] {
            assert_eq!(serde_json::to_string(&action).unwrap(), json);
            assert!(json.starts_with(&format!(r#"{{"action":"{}""#, action.as_str())), "{json}");
        }
    }
}
