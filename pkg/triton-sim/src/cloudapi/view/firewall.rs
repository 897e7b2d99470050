//! Firewall rules (reference 2.21).

use serde::Serialize;

use crate::world::firewall::Rule;

/// A firewall rule, in its canonical text.
#[derive(Debug, Serialize)]
pub(crate) struct FirewallRule<'a> {
    id: String,
    rule: String,
    enabled: bool,
    log: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    global: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

impl<'a> FirewallRule<'a> {
    pub(crate) fn of(rule: &'a Rule) -> Self {
        Self {
            id: rule.id.to_string(),
            rule: rule.rule.to_string(),
            enabled: rule.enabled,
            log: rule.log,
            global: rule.is_global().then_some(true),
            description: rule.description.as_deref(),
        }
    }
}
