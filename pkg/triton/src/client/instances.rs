//! Instances and what can be done to them (reference 2.11 to 2.16, 2.25).

use http::StatusCode;
use jiff::Timestamp;

use super::{Call, Client, Found, Reply, answer};
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{
    AuditEntry, CreateInstance, DecodedList, FirewallRule, Instance, InstanceAction, InstanceSummary,
    ListInstances, MAX_PAGE,
};

/// An action that the server has accepted and will carry out later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The server's clock when it accepted, to the second; `None` where it did not say. The audit entry of
    /// this action has a later time, and that is the only sign that a reboot is over (reference 2.25).
    pub at: Option<Timestamp>,
}

/// The answer to a deletion.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// The server has accepted it. The instance is gone when [`Client::get_instance`] says so.
    Accepted,
    /// The instance was destroyed before: the proof that it is gone.
    Gone(Box<Instance>),
}

impl Client {
    /// One page of the instances that meet the conditions, by descending id. They have no `dns_names`.
    ///
    /// Pages may skip and repeat instances, since nothing holds the list still (reference 2.6).
    pub async fn list_instances(&self, filter: &ListInstances) -> Result<DecodedList<Instance>> {
        self.send(list(filter)).await?.list()
    }

    /// Like [`Client::list_instances`], without reading more of each than its state.
    pub async fn list_instance_summaries(
        &self,
        filter: &ListInstances,
    ) -> Result<DecodedList<InstanceSummary>> {
        self.send(list(filter)).await?.list()
    }

    /// All instances that meet the conditions, whatever `limit` and `offset` say, each once. An instance that
    /// is missing may still be there: see [`Client::list_instances`].
    pub async fn list_all_instances(&self, filter: &ListInstances) -> Result<DecodedList<Instance>> {
        let page =
            |offset| list(&ListInstances { limit: Some(MAX_PAGE), offset: Some(offset), ..filter.clone() });
        self.pages(page, |instance: &Instance| instance.id).await
    }

    /// One instance, alive or destroyed, with its `dns_names`.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound): there is no such instance, or it is another account's, or the
    /// server has not seen it yet. That is no proof that it is gone.
    pub async fn get_instance(&self, id: InstanceId) -> Result<Found> {
        let call = instance(Call::get("GetMachine", format!("instance {id}")), id);
        let reply = self.send(call.accept(&[StatusCode::GONE])).await?;
        let found = this_instance(&reply, id)?;
        Ok(match reply.status {
            StatusCode::GONE => Found::Gone(found),
            _ => Found::Present(found),
        })
    }

    /// Makes an instance, and answers with it in the state `provisioning`.
    ///
    /// Whether it comes to life shows later, in its state: `running` or `failed`. After an error for which
    /// [`may_have_taken_effect`](crate::Error::may_have_taken_effect) is true, look for the instance by name or
    /// tag before making another.
    ///
    /// # Errors
    /// [`Duplicate`](crate::Kind::Duplicate): the name, or a chosen address, is taken.
    /// [`QuotaExceeded`](crate::Kind::QuotaExceeded): a provisioning limit is reached.
    /// [`Invalid`](crate::Kind::Invalid): a parameter is wrong, or the body is too large.
    pub async fn create_instance(&self, create: &CreateInstance) -> Result<Instance> {
        let object = match &create.name {
            Some(name) => format!("instance {name}"),
            None => "a new instance".to_owned(),
        };
        let call = Call::post("CreateMachine", object).path(["machines"]).limited_json(create)?;
        self.send(call).await?.object()
    }

    /// Does something to an instance.
    ///
    /// # Errors
    /// [`Gone`](crate::Kind::Gone): it is destroyed. [`Conflict`](crate::Kind::Conflict): it is still being
    /// made. An action that does not fit the state is no error, and has no effect.
    pub async fn act_on_instance(&self, id: InstanceId, action: &InstanceAction) -> Result<Accepted> {
        let (operation, harmless_twice) = match action {
            InstanceAction::Start => ("StartMachine", true),
            InstanceAction::Stop => ("StopMachine", true),
            InstanceAction::Reboot => ("RebootMachine", false),
            InstanceAction::Rename { .. } => ("RenameMachine", true),
            InstanceAction::Resize { .. } => ("ResizeMachine", true),
            InstanceAction::EnableFirewall => ("EnableMachineFirewall", true),
            InstanceAction::DisableFirewall => ("DisableMachineFirewall", true),
            InstanceAction::EnableDeletionProtection => ("EnableMachineDeletionProtection", true),
            InstanceAction::DisableDeletionProtection => ("DisableMachineDeletionProtection", true),
        };
        let call = instance(Call::post(operation, format!("instance {id}")), id);
        let call = if harmless_twice { call.repeatable() } else { call };
        let reply = self.send(call.json(action)?).await?;
        let at = answer::server_date(&reply.headers).and_then(|date| date.try_into().ok());
        Ok(Accepted { at })
    }

    /// Starts an instance; see [`Client::act_on_instance`].
    pub async fn start_instance(&self, id: InstanceId) -> Result<Accepted> {
        self.act_on_instance(id, &InstanceAction::Start).await
    }

    /// Shuts an instance down; see [`Client::act_on_instance`].
    pub async fn stop_instance(&self, id: InstanceId) -> Result<Accepted> {
        self.act_on_instance(id, &InstanceAction::Stop).await
    }

    /// Restarts an instance; see [`Client::act_on_instance`].
    pub async fn reboot_instance(&self, id: InstanceId) -> Result<Accepted> {
        self.act_on_instance(id, &InstanceAction::Reboot).await
    }

    /// Deletes an instance, running or not. Doing so again while it is going is no error.
    ///
    /// # Errors
    /// [`Conflict`](crate::Kind::Conflict): it is protected against deletion, or has no server yet.
    /// [`NotFound`](crate::Kind::NotFound): as for [`Client::get_instance`].
    pub async fn delete_instance(&self, id: InstanceId) -> Result<Deletion> {
        let call = instance(Call::delete("DeleteMachine", format!("instance {id}")), id);
        let reply = self.send(call.accept(&[StatusCode::GONE])).await?;
        Ok(match reply.status {
            StatusCode::GONE => Deletion::Gone(Box::new(this_instance(&reply, id)?)),
            _ => Deletion::Accepted,
        })
    }

    /// The finished jobs of an instance, newest first.
    pub async fn list_audit(&self, id: InstanceId) -> Result<DecodedList<AuditEntry>> {
        let call = instance(Call::get("MachineAudit", format!("instance {id}")), id).path(["audit"]);
        self.send(call).await?.list()
    }

    /// The firewall rules that apply to an instance while its firewall is enabled, global ones too.
    pub async fn list_instance_firewall_rules(&self, id: InstanceId) -> Result<DecodedList<FirewallRule>> {
        let call = instance(Call::get("ListMachineFirewallRules", format!("instance {id}")), id);
        self.send(call.path(["fwrules"])).await?.list()
    }
}

fn list(filter: &ListInstances) -> Call {
    Call::get("ListMachines", "instances").path(["machines"]).query(filter.query())
}

/// The path of an instance, below which are its parts.
pub(super) fn instance(call: Call, id: InstanceId) -> Call {
    call.path(["machines", &id.to_string()])
}

/// Reads the instance that was asked for. Another one, from whatever cache or proxy, proves nothing.
fn this_instance(reply: &Reply, id: InstanceId) -> Result<Instance> {
    let instance: Instance = reply.object()?;
    if instance.id == id {
        return Ok(instance);
    }
    Err(reply.protocol_error(format!("the answer is about instance {}", instance.id)))
}
