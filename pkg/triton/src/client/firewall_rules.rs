//! Firewall rules (reference 2.21). They reach the compute nodes some seconds after they are written.

use super::{Call, Client};
use crate::error::Result;
use crate::id::FirewallRuleId;
use crate::types::{CreateFirewallRule, DecodedList, FirewallRule, Instance, UpdateFirewallRule};

impl Client {
    /// All firewall rules of the account.
    pub async fn list_firewall_rules(&self) -> Result<DecodedList<FirewallRule>> {
        self.send(Call::get("ListFirewallRules", "firewall rules").path(["fwrules"])).await?.list()
    }

    /// One firewall rule.
    pub async fn get_firewall_rule(&self, id: FirewallRuleId) -> Result<FirewallRule> {
        self.send(rule(Call::get("GetFirewallRule", subject(id)), id)).await?.object()
    }

    /// Makes a firewall rule, and answers with it: its text is now in canonical form.
    ///
    /// # Errors
    /// [`Invalid`](crate::Kind::Invalid): the server cannot parse the text, and says why.
    pub async fn create_firewall_rule(&self, create: &CreateFirewallRule) -> Result<FirewallRule> {
        let call = Call::post("CreateFirewallRule", "a new firewall rule").path(["fwrules"]).json(create)?;
        self.send(call).await?.object()
    }

    /// Changes a firewall rule, and answers with it. Global rules cannot be changed.
    pub async fn update_firewall_rule(
        &self,
        id: FirewallRuleId,
        update: &UpdateFirewallRule,
    ) -> Result<FirewallRule> {
        let call = rule(Call::post("UpdateFirewallRule", subject(id)), id).repeatable().json(update)?;
        self.send(call).await?.object()
    }

    /// Puts a firewall rule in force, and answers with it.
    pub async fn enable_firewall_rule(&self, id: FirewallRuleId) -> Result<FirewallRule> {
        let call = rule(Call::post("EnableFirewallRule", subject(id)), id).path(["enable"]);
        self.send(call.repeatable()).await?.object()
    }

    /// Puts a firewall rule out of force, and answers with it.
    pub async fn disable_firewall_rule(&self, id: FirewallRuleId) -> Result<FirewallRule> {
        let call = rule(Call::post("DisableFirewallRule", subject(id)), id).path(["disable"]);
        self.send(call.repeatable()).await?.object()
    }

    /// Deletes a firewall rule.
    pub async fn delete_firewall_rule(&self, id: FirewallRuleId) -> Result<()> {
        self.send(rule(Call::delete("DeleteFirewallRule", subject(id)), id)).await.map(drop)
    }

    /// The instances that a firewall rule applies to.
    pub async fn list_firewall_rule_instances(&self, id: FirewallRuleId) -> Result<DecodedList<Instance>> {
        let call = rule(Call::get("ListFirewallRuleMachines", subject(id)), id).path(["machines"]);
        self.send(call).await?.list()
    }
}

fn subject(id: FirewallRuleId) -> String {
    format!("firewall rule {id}")
}

fn rule(call: Call, id: FirewallRuleId) -> Call {
    call.path(["fwrules", &id.to_string()])
}
