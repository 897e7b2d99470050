//! Firewall rules (reference 2.21).

use std::sync::Arc;

use serde_json::Value;
use triton::grammar::firewall::{FirewallRule, Side, Target};
use triton::id::{AccountId, FirewallRuleId, InstanceId};

use super::World;
use super::error::{FieldError, WorldError};
use super::machine::Machine;
use super::metadata;
use super::params::{self, Params};

/// The longest description (reference 2.21).
const MAX_DESCRIPTION: usize = 255;

/// The most rules of one account. The bound is ours.
const MAX_RULES: usize = 20_000;

/// A firewall rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: FirewallRuleId,
    /// Its account; none for a global rule of the operator's.
    pub owner: Option<AccountId>,
    /// What it says. Its `Display` is the canonical text that CloudAPI shows.
    pub rule: FirewallRule,
    /// Whether it is in force.
    pub enabled: bool,
    /// Whether connections are logged.
    pub log: bool,
    /// What it is for.
    pub description: Option<String>,
}

impl Rule {
    /// Whether it is a global rule.
    pub fn is_global(&self) -> bool {
        self.owner.is_none()
    }

    /// Whether it affects an instance: one side selects it, whether its firewall is on or not.
    pub fn affects(&self, machine: &Machine) -> bool {
        self.owner.is_none_or(|owner| owner == machine.owner)
            && [self.rule.from_side(), self.rule.to_side()].into_iter().any(|side| selects(side, machine))
    }
}

/// Whether a side of a rule selects an instance as such, not by its address.
fn selects(side: &Side, machine: &Machine) -> bool {
    matches!(side, Side::AllVms)
        || side.targets().iter().any(|target| match target {
            Target::Vm(id) => id == machine.id.as_uuid(),
            Target::Tag(tag) => machine.tags.get(&tag.name).is_some_and(|value| {
                tag.value.as_ref().is_none_or(|wanted| metadata::text(value) == *wanted)
            }),
            Target::Ip(_) | Target::Subnet(_) => false,
        })
}

fn invalid_parameter(field: &str, message: impl Into<String>) -> WorldError {
    let error =
        FieldError { field: field.to_owned(), code: "InvalidParameter", message: Some(message.into()) };
    WorldError::invalid_parameters("Invalid parameters", vec![error])
}

fn parse(text: &str) -> Result<FirewallRule, WorldError> {
    text.parse::<FirewallRule>().map_err(|error| invalid_parameter("rule", error.message()))
}

/// The fields that a request names.
struct Fields {
    rule: Option<FirewallRule>,
    enabled: Option<bool>,
    log: Option<bool>,
    description: Option<Option<String>>,
}

impl Fields {
    fn read(params: &Params) -> Result<Self, WorldError> {
        let boolean = |name: &str| {
            params::boolean(params, name).map_err(|_| invalid_parameter(name, "must be a boolean"))
        };
        let description = match params.get("description") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::String(text)) if text.len() <= MAX_DESCRIPTION => Some(Some(text.clone())),
            Some(Value::String(_)) => {
                let message = format!("must be shorter than {MAX_DESCRIPTION} characters");
                return Err(invalid_parameter("description", message));
            }
            Some(_) => return Err(invalid_parameter("description", "must be a string")),
        };
        Ok(Self {
            rule: params::text(params, "rule").map(|text| parse(&text)).transpose()?,
            enabled: boolean("enabled")?,
            log: boolean("log")?,
            description: description.map(|text| text.filter(|text| !text.is_empty())),
        })
    }
}

impl World {
    /// Adds a rule of the operator's that holds for every account; one of the same id is replaced.
    pub fn add_global_rule(&mut self, id: FirewallRuleId, rule: FirewallRule, description: Option<String>) {
        let rule = Rule { id, owner: None, rule, enabled: true, log: false, description };
        self.rules.insert(id, rule);
    }

    /// The account's own rules, by id.
    pub fn list_rules(&self, owner: AccountId) -> impl Iterator<Item = &Rule> {
        self.rules.values().filter(move |rule| rule.owner == Some(owner))
    }

    /// A rule of the account, or a global one.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn rule(&self, owner: AccountId, id: FirewallRuleId) -> Result<&Rule, WorldError> {
        let rule = self.rules.get(&id).filter(|rule| rule.owner.is_none_or(|other| other == owner));
        rule.ok_or_else(|| WorldError::not_found("Rule not found"))
    }

    /// Makes a rule: `rule`, and optionally `enabled` (not unless said so), `log` and `description`.
    ///
    /// # Errors
    ///
    /// 409 without a rule, 422 for a bad parameter.
    pub fn create_rule(&mut self, owner: AccountId, params: &Params) -> Result<Rule, WorldError> {
        params::required(params, "rule")?;
        let fields = Fields::read(params)?;
        let Some(rule) = fields.rule else {
            return Err(WorldError::missing_parameter("rule is a required argument"));
        };
        if self.list_rules(owner).count() >= MAX_RULES {
            return Err(WorldError::not_authorized("Quota exceeded"));
        }
        let rule = Rule {
            id: FirewallRuleId::from(self.new_uuid()),
            owner: Some(owner),
            rule,
            enabled: fields.enabled.unwrap_or(false),
            log: fields.log.unwrap_or(false),
            description: fields.description.flatten(),
        };
        self.rules.insert(rule.id, rule.clone());
        Ok(rule)
    }

    /// Changes a rule: any of `rule`, `enabled`, `log` and `description`.
    ///
    /// # Errors
    ///
    /// 404, 409 for a global rule, 422 for a bad parameter.
    pub fn update_rule(
        &mut self,
        owner: AccountId,
        id: FirewallRuleId,
        params: &Params,
    ) -> Result<Rule, WorldError> {
        let mut rule = self.own_rule(owner, id)?.clone();
        let fields = Fields::read(params)?;
        rule.rule = fields.rule.unwrap_or(rule.rule);
        rule.enabled = fields.enabled.unwrap_or(rule.enabled);
        rule.log = fields.log.unwrap_or(rule.log);
        rule.description = fields.description.unwrap_or(rule.description);
        self.rules.insert(id, rule.clone());
        Ok(rule)
    }

    /// Puts a rule in force, or out of it.
    ///
    /// # Errors
    ///
    /// 404, 409 for a global rule.
    pub fn enable_rule(
        &mut self,
        owner: AccountId,
        id: FirewallRuleId,
        enabled: bool,
    ) -> Result<Rule, WorldError> {
        let rule = Rule { enabled, ..self.own_rule(owner, id)?.clone() };
        self.rules.insert(id, rule.clone());
        Ok(rule)
    }

    /// Deletes a rule.
    ///
    /// # Errors
    ///
    /// 404, 409 for a global rule.
    pub fn delete_rule(&mut self, owner: AccountId, id: FirewallRuleId) -> Result<(), WorldError> {
        self.own_rule(owner, id)?;
        self.rules.remove(&id);
        Ok(())
    }

    fn own_rule(&self, owner: AccountId, id: FirewallRuleId) -> Result<&Rule, WorldError> {
        let rule = self.rule(owner, id)?;
        if rule.is_global() {
            return Err(WorldError::invalid_argument("global rules cannot be modified"));
        }
        Ok(rule)
    }

    /// The rules that affect an instance, global ones included, by id.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn rules_of_machine(
        &self,
        owner: AccountId,
        id: InstanceId,
    ) -> Result<impl Iterator<Item = &Rule>, WorldError> {
        let machine = self.machine(owner, id)?;
        Ok(self.rules.values().filter(|rule| rule.affects(machine)))
    }

    /// The active instances of the account that a rule affects, by id from the highest.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn machines_of_rule(
        &self,
        owner: AccountId,
        id: FirewallRuleId,
    ) -> Result<impl Iterator<Item = &Arc<Machine>>, WorldError> {
        let rule = self.rule(owner, id)?;
        Ok(self.machines.active_of(owner).filter(|machine| rule.affects(machine)))
    }
}

#[cfg(test)]
mod tests;
