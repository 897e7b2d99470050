//! Networks and their addresses (reference 2.22).

use std::net::IpAddr;

use super::{Call, Client};
use crate::error::Result;
use crate::id::NetworkId;
use crate::types::{DecodedList, ListNetworks, MAX_PAGE, Network, NetworkIp, UpdateNetworkIp};

impl Client {
    /// The networks, pools and fabric networks that the account can use.
    pub async fn list_networks(&self, filter: &ListNetworks) -> Result<DecodedList<Network>> {
        let call = Call::get("ListNetworks", "networks").path(["networks"]).query(filter.query());
        self.send(call).await?.list()
    }

    /// One network. The members of pools, which NICs refer to, can be read too.
    pub async fn get_network(&self, id: NetworkId) -> Result<Network> {
        self.send(network(Call::get("GetNetwork", format!("network {id}")), id)).await?.object()
    }

    /// The addresses of a network that are not free, from all pages, each once. Pools have none of their own.
    pub async fn list_network_ips(&self, id: NetworkId) -> Result<DecodedList<NetworkIp>> {
        let page = |offset: u64| {
            network(Call::get("ListNetworkIPs", format!("addresses of network {id}")), id)
                .path(["ips"])
                .query([("limit", MAX_PAGE.to_string()), ("offset", offset.to_string())])
        };
        self.pages(page, |ip: &NetworkIp| ip.ip).await
    }

    /// One address of a network.
    pub async fn get_network_ip(&self, id: NetworkId, ip: IpAddr) -> Result<NetworkIp> {
        self.send(address(Call::get("GetNetworkIP", subject(id, ip)), id, ip)).await?.object()
    }

    /// Reserves an address of an own fabric network, or releases it, and answers with it.
    pub async fn update_network_ip(
        &self,
        id: NetworkId,
        ip: IpAddr,
        update: &UpdateNetworkIp,
    ) -> Result<NetworkIp> {
        let call = address(Call::put("UpdateNetworkIP", subject(id, ip)), id, ip).json(update)?;
        self.send(call).await?.object()
    }
}

fn subject(id: NetworkId, ip: IpAddr) -> String {
    format!("address {ip} of network {id}")
}

fn network(call: Call, id: NetworkId) -> Call {
    call.path(["networks", &id.to_string()])
}

fn address(call: Call, id: NetworkId, ip: IpAddr) -> Call {
    network(call, id).path(["ips", &ip.to_string()])
}
