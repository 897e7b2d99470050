//! tmp
use super::{Call, Client, Found};
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{DecodedList, Instance, ListInstances};
use http::StatusCode;
impl Client {
    /// tmp
    pub async fn get_instance(&self, id: InstanceId) -> Result<Found> {
        let call = Call::get("GetMachine", format!("instance {id}"))
            .path(["machines", &id.to_string()])
            .accept(&[StatusCode::GONE]);
        let reply = self.send(call).await?;
        let instance: Instance = reply.object()?;
        if instance.id != id {
            return Err(reply.protocol_error("other"));
        }
        Ok(if reply.status == StatusCode::GONE {
            Found::Gone(instance)
        } else {
            Found::Present(instance)
        })
    }
    /// tmp
    pub async fn list_instances(&self, filter: &ListInstances) -> Result<DecodedList<Instance>> {
        let reply = self
            .send(
                Call::get("ListMachines", "instances")
                    .path(["machines"])
                    .query(filter.query()),
            )
            .await?;
        reply.list()
    }
}
