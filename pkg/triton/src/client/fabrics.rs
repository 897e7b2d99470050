//! The VLANs and networks of the account's fabric (reference 2.22). An account has one fabric in each data
//! centre, `default`; where fabrics are not offered all of this is an error of kind
//! [`NotSupported`](crate::Kind::NotSupported).

use super::{Call, Client};
use crate::error::Result;
use crate::id::NetworkId;
use crate::types::{
    CreateFabricNetwork, CreateFabricVlan, DecodedList, FabricVlan, Network, UpdateFabricNetwork,
    UpdateFabricVlan,
};

impl Client {
    /// All VLANs of the fabric.
    pub async fn list_fabric_vlans(&self) -> Result<DecodedList<FabricVlan>> {
        self.send(vlans(Call::get("ListFabricVLANs", "fabric VLANs"))).await?.list()
    }

    /// One VLAN.
    pub async fn get_fabric_vlan(&self, vlan: u16) -> Result<FabricVlan> {
        self.send(one(Call::get("GetFabricVLAN", subject(vlan)), vlan)).await?.object()
    }

    /// Makes a VLAN, and answers with it.
    pub async fn create_fabric_vlan(&self, create: &CreateFabricVlan) -> Result<FabricVlan> {
        let call = vlans(Call::post("CreateFabricVLAN", subject(create.vlan_id))).json(create)?;
        self.send(call).await?.object()
    }

    /// Changes a VLAN. The server accepts it (202) and does it a little later.
    pub async fn update_fabric_vlan(&self, vlan: u16, update: &UpdateFabricVlan) -> Result<()> {
        let call = one(Call::put("UpdateFabricVLAN", subject(vlan)), vlan).json(update)?;
        self.send(call).await.map(drop)
    }

    /// Deletes a VLAN, which must have no networks.
    pub async fn delete_fabric_vlan(&self, vlan: u16) -> Result<()> {
        self.send(one(Call::delete("DeleteFabricVLAN", subject(vlan)), vlan)).await.map(drop)
    }

    /// The networks on a VLAN.
    pub async fn list_fabric_networks(&self, vlan: u16) -> Result<DecodedList<Network>> {
        self.send(networks(Call::get("ListFabricNetworks", subject(vlan)), vlan)).await?.list()
    }

    /// One network on a VLAN.
    pub async fn get_fabric_network(&self, vlan: u16, id: NetworkId) -> Result<Network> {
        let call = Call::get("GetFabricNetwork", format!("fabric network {id}"));
        self.send(network(call, vlan, id)).await?.object()
    }

    /// Makes a network on a VLAN, and answers with it.
    pub async fn create_fabric_network(&self, vlan: u16, create: &CreateFabricNetwork) -> Result<Network> {
        let call = Call::post("CreateFabricNetwork", format!("fabric network {}", create.name));
        self.send(networks(call, vlan).limited_json(create)?).await?.object()
    }

    /// Changes a network on a VLAN, and answers with it. `routes` and `resolvers` are replaced **whole**, and
    /// the last writer wins: read, change, write, and read again (reference 8.2).
    pub async fn update_fabric_network(
        &self,
        vlan: u16,
        id: NetworkId,
        update: &UpdateFabricNetwork,
    ) -> Result<Network> {
        let call = Call::put("UpdateFabricNetwork", format!("fabric network {id}"));
        self.send(network(call, vlan, id).limited_json(update)?).await?.object()
    }

    /// Deletes a network on a VLAN.
    ///
    /// # Errors
    /// [`Conflict`](crate::Kind::Conflict) or [`Invalid`](crate::Kind::Invalid): it is in use, or it is the
    /// account's default network.
    pub async fn delete_fabric_network(&self, vlan: u16, id: NetworkId) -> Result<()> {
        let call = Call::delete("DeleteFabricNetwork", format!("fabric network {id}"));
        self.send(network(call, vlan, id)).await.map(drop)
    }
}

fn subject(vlan: u16) -> String {
    format!("fabric VLAN {vlan}")
}

fn vlans(call: Call) -> Call {
    call.path(["fabrics", "default", "vlans"])
}

fn one(call: Call, vlan: u16) -> Call {
    vlans(call).path([vlan.to_string()])
}

fn networks(call: Call, vlan: u16) -> Call {
    one(call, vlan).path(["networks"])
}

fn network(call: Call, vlan: u16, id: NetworkId) -> Call {
    networks(call, vlan).path([id.to_string()])
}
