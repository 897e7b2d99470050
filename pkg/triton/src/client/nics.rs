//! The NICs of instances (reference 2.19). Adding and removing one **reboots** the instance.

use http::StatusCode;

use super::instances::instance;
use super::{Call, Client, Reply};
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{AddNic, DecodedList, MacAddress, Nic};

/// The answer to adding a NIC.
#[derive(Debug, Clone, PartialEq)]
pub enum AddedNic {
    /// It is being added, and the instance reboots.
    Added(Nic),
    /// The instance has a NIC on that network already, this one, and nothing happens.
    AlreadyThere(MacAddress),
}

impl Client {
    /// The NICs of an instance.
    pub async fn list_nics(&self, id: InstanceId) -> Result<DecodedList<Nic>> {
        let call = Call::get("ListNics", format!("NICs of instance {id}"));
        self.send(nics(call, id)).await?.list()
    }

    /// One NIC of an instance.
    pub async fn get_nic(&self, id: InstanceId, mac: MacAddress) -> Result<Nic> {
        self.send(nic(Call::get("GetNic", subject(id, mac)), id, mac)).await?.object()
    }

    /// Adds a NIC to an instance, which has at most one on each network.
    pub async fn add_nic(&self, id: InstanceId, add: &AddNic) -> Result<AddedNic> {
        // A repeat of one that happened finds the NIC there.
        let call = nics(Call::post("AddNic", format!("NICs of instance {id}")), id)
            .repeatable()
            .accept(&[StatusCode::FOUND])
            .json(add)?;
        let reply = self.send(call).await?;
        match reply.status {
            StatusCode::FOUND => existing_nic(&reply),
            _ => Ok(AddedNic::Added(reply.object()?)),
        }
    }

    /// Removes a NIC from an instance. It is gone when reading it is an error of kind
    /// [`NotFound`](crate::Kind::NotFound).
    pub async fn remove_nic(&self, id: InstanceId, mac: MacAddress) -> Result<()> {
        self.send(nic(Call::delete("RemoveNic", subject(id, mac)), id, mac)).await.map(drop)
    }
}

/// The server's redirect to a NIC has no body, only the path `/acct/machines/<id>/nics/<mac>`.
fn existing_nic(reply: &Reply) -> Result<AddedNic> {
    let mac = reply.header("location").and_then(|path| path.rsplit('/').next()?.parse().ok());
    mac.map(AddedNic::AlreadyThere)
        .ok_or_else(|| reply.protocol_error("the answer does not say which NIC is there"))
}

fn subject(id: InstanceId, mac: MacAddress) -> String {
    format!("NIC {mac} of instance {id}")
}

fn nics(call: Call, id: InstanceId) -> Call {
    instance(call, id).path(["nics"])
}

fn nic(call: Call, id: InstanceId, mac: MacAddress) -> Call {
    nics(call, id).path([mac.to_path_segment()])
}
