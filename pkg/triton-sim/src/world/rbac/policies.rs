//! Making, changing and finding policies.

use serde_json::Value;
use triton::id::AccountId;
use uuid::Uuid;

use super::policy::{self, Policy};
use super::{MAX_OBJECTS, World};
use crate::world::error::WorldError;
use crate::world::params::{self, Params};

/// The rules of a request: a text, a list, or a list as JSON in a text.
fn rules(params: &Params) -> Option<Vec<String>> {
    let rules = match params.get("rules")? {
        Value::String(text) => {
            let list = serde_json::from_str::<Vec<String>>(text);
            list.unwrap_or_else(|_| vec![text.clone()])
        }
        other => params::texts(other)?,
    };
    let rules: Vec<String> = rules.into_iter().filter(|rule| !rule.is_empty()).collect();
    (!rules.is_empty()).then_some(rules)
}

impl World {
    /// The policies of an account, by id.
    pub fn list_policies(&self, owner: AccountId) -> impl Iterator<Item = &Policy> {
        self.rbac_of(owner).into_iter().flat_map(|rbac| rbac.policies.values())
    }

    /// A policy by id or name.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn policy(&self, owner: AccountId, id_or_name: &str) -> Result<&Policy, WorldError> {
        let policy = self.find_policy(owner, id_or_name);
        policy.ok_or_else(|| WorldError::not_found(format!("policy {id_or_name} not found")))
    }

    pub(super) fn find_policy(&self, owner: AccountId, id_or_name: &str) -> Option<&Policy> {
        let id = id_or_name.parse::<Uuid>().ok();
        self.list_policies(owner).find(|policy| Some(policy.id) == id || policy.name == id_or_name)
    }

    /// Makes a policy: `name`, `rules` and optionally `description`.
    ///
    /// # Errors
    ///
    /// 409 for missing or bad parameters.
    pub fn create_policy(&mut self, owner: AccountId, params: &Params) -> Result<Policy, WorldError> {
        let (name, rules) = (params::text(params, "name"), rules(params));
        let (Some(name), Some(rules)) = (&name, &rules) else {
            let missing = [("name", name.is_none()), ("rules", rules.is_none())];
            let missing = missing.iter().filter(|(_, missing)| *missing);
            let missing: Vec<String> = missing.map(|(field, _)| format!("{field} is required")).collect();
            let message = format!("Request is missing required parameters: {}", missing.join(", "));
            return Err(WorldError::missing_parameter(message));
        };
        policy::check(rules)?;
        let full = self.list_policies(owner).count() >= MAX_OBJECTS;
        if full || self.find_policy(owner, name).is_some() {
            return Err(WorldError::invalid_argument("policy is invalid"));
        }
        let (name, rules) = (name.clone(), rules.clone());
        let description = params::text(params, "description");
        let policy = Policy { id: self.new_uuid(), name, rules, description };
        self.rbac_mut(owner).policies.insert(policy.id, policy.clone());
        Ok(policy)
    }

    /// Changes a policy: any of `name`, `rules` and `description`.
    ///
    /// # Errors
    ///
    /// 404, 409 for bad parameters.
    pub fn update_policy(
        &mut self,
        owner: AccountId,
        id_or_name: &str,
        params: &Params,
    ) -> Result<Policy, WorldError> {
        let mut policy = self.policy(owner, id_or_name)?.clone();
        if let Some(name) = params::text(params, "name") {
            if self.find_policy(owner, &name).is_some_and(|other| other.id != policy.id) {
                return Err(WorldError::invalid_argument("policy is invalid"));
            }
            policy.name = name;
        }
        if let Some(rules) = rules(params) {
            policy::check(&rules)?;
            policy.rules = rules;
        }
        if params.contains_key("description") {
            policy.description = params::text(params, "description");
        }
        self.rbac_mut(owner).policies.insert(policy.id, policy.clone());
        Ok(policy)
    }

    /// Deletes a policy; roles lose it.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_policy(&mut self, owner: AccountId, id_or_name: &str) -> Result<(), WorldError> {
        let id = self.policy(owner, id_or_name)?.id;
        let rbac = self.rbac_mut(owner);
        rbac.policies.remove(&id);
        rbac.roles.values_mut().for_each(|role| role.policies.retain(|policy| *policy != id));
        Ok(())
    }
}
