//! Policies: rules such as `CAN getmachine, listmachines` (reference 1.6).

use uuid::Uuid;

use crate::world::error::WorldError;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its rules, as they were given.
    pub rules: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
}

impl Policy {
    /// Whether one of the rules allows an action, such as `getmachine`. Rules with conditions (`WHEN`) are kept, but
    /// allow nothing here.
    pub fn allows(&self, action: &str) -> bool {
        self.rules.iter().filter_map(|rule| actions(rule)).any(|(actions, conditional)| {
            !conditional && actions.iter().any(|allowed| covers(allowed, action))
        })
    }
}

/// The actions of a rule, and whether it has conditions; `None` for a text that is no rule.
///
/// Aperture's whole grammar has principals before `CAN` and resources behind the actions. CloudAPI's policies have
/// neither: who and what follow from roles and role tags.
fn actions(rule: &str) -> Option<(Vec<&str>, bool)> {
    let mut words = rule.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    words.find(|word| word.eq_ignore_ascii_case("can"))?;
    let mut found = Vec::new();
    let mut conditional = false;
    for word in words {
        if ["when", "if", "where"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) {
            conditional = true;
            break;
        }
        if !word.eq_ignore_ascii_case("and") {
            found.push(word);
        }
    }
    (!found.is_empty()).then_some((found, conditional))
}

fn covers(allowed: &str, action: &str) -> bool {
    allowed == "*" || allowed.eq_ignore_ascii_case(action)
}

/// Refuses texts that are no rules.
pub(super) fn check(rules: &[String]) -> Result<(), WorldError> {
    match rules.iter().find(|rule| actions(rule).is_none()) {
        Some(rule) => Err(WorldError::invalid_argument(format!("cannot parse policy rule: {rule}"))),
        None => Ok(()),
    }
}
