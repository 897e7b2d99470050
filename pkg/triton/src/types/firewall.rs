//! Firewall rules (reference 2.21).

use crate::id::FirewallRuleId;
use crate::types::object::object;
use jiff::Timestamp;
use serde::Serialize;

object! {
    /// A firewall rule.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FirewallRule("a firewall rule") {
        /// Its id.
        identity id: FirewallRuleId = "id",
        /// Its text, in the server's canonical form: compare parsed rules, not texts.
        rule: Box<str> = "rule",
        /// Whether it is in force, for instances whose firewall is enabled.
        enabled: bool = "enabled",
        /// Whether TCP connections that it decides are logged.
        log: bool = "log",
        /// Whether an operator made it for every account; then it cannot be changed.
        global: bool = "global",
        /// Description.
        description: Option<Box<str>> = "description",
        /// When it was made, where the server says so.
        created: Option<Timestamp> = "created",
        /// When it was last changed, where the server says so.
        updated: Option<Timestamp> = "updated",
        /// Role tags (reference 1.6), where the server puts them in the body.
        role_tags: Box<[Box<str>]> = "role-tag",
    }
}

/// Makes a firewall rule. A text that the server cannot parse is a 422 `InvalidParameters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateFirewallRule {
    /// Its text.
    pub rule: String,
    /// Put it in force.
    pub enabled: bool,
    /// Log TCP connections that it decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<bool>,
    /// Description, at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Changes the fields of a firewall rule that are `Some`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateFirewallRule {
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether TCP connections that it decides are logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<bool>,
    /// Description, at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
