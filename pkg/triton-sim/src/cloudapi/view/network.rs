//! Networks, their addresses, fabrics and firewall rules (reference 2.21, 2.22).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;
use triton::id::AccountId;

use crate::world::fabrics;
use crate::world::networks::{self, Address, NetworkRef};

/// A network or a pool. Only networks of a fabric show how they are made.
#[derive(Debug, Serialize)]
pub(crate) struct Network<'a> {
    id: String,
    name: &'a str,
    public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(flatten)]
    fabric: Option<FabricPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffixes: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct FabricPart<'a> {
    fabric: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Ipv4Addr>,
    internet_nat: bool,
    provision_end_ip: Ipv4Addr,
    provision_start_ip: Ipv4Addr,
    resolvers: &'a [Ipv4Addr],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    routes: &'a BTreeMap<String, String>,
    subnet: String,
    vlan_id: u16,
}

impl<'a> Network<'a> {
    pub(crate) fn of(network: NetworkRef<'a>) -> Self {
        match network {
            NetworkRef::Network(network) => Self::of_network(network),
            NetworkRef::Pool(pool) => Self {
                id: pool.id.to_string(),
                name: &pool.name,
                public: pool.public,
                description: pool.description.as_deref(),
                fabric: None,
                suffixes: None,
            },
        }
    }

    pub(crate) fn of_network(network: &'a networks::Network) -> Self {
        Self {
            id: network.id.to_string(),
            name: &network.name,
            public: network.public,
            description: network.description.as_deref(),
            fabric: network.fabric.then(|| FabricPart {
                fabric: true,
                gateway: network.gateway,
                internet_nat: network.internet_nat,
                provision_end_ip: network.provision_end,
                provision_start_ip: network.provision_start,
                resolvers: &network.resolvers,
                routes: &network.routes,
                subnet: network.subnet.to_string(),
                vlan_id: network.vlan_id,
            }),
            suffixes: None,
        }
    }

    /// With the suffixes of its names in CNS.
    pub(crate) fn with_suffixes(self, suffixes: Option<Vec<String>>) -> Self {
        Self { suffixes, ..self }
    }
}

/// An address of a network.
#[derive(Debug, Serialize)]
pub(crate) struct NetworkIp {
    ip: Ipv4Addr,
    reserved: bool,
    managed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    belongs_to_uuid: Option<String>,
}

impl NetworkIp {
    /// An address as `account` sees it: what it is used for is for its owner only.
    pub(crate) fn of(ip: Ipv4Addr, address: &Address, account: AccountId) -> Self {
        let own = address.owner == Some(account);
        Self {
            ip,
            reserved: address.reserved,
            managed: address.managed,
            owner_uuid: address.owner.map(|owner| owner.to_string()),
            belongs_to_uuid: address.instance.filter(|_| own).map(|instance| instance.to_string()),
        }
    }
}

/// A VLAN of a fabric.
#[derive(Debug, Serialize)]
pub(crate) struct Vlan<'a> {
    vlan_id: u16,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

impl<'a> Vlan<'a> {
    pub(crate) fn of(vlan: &'a fabrics::Vlan) -> Self {
        Self { vlan_id: vlan.vlan_id, name: &vlan.name, description: vlan.description.as_deref() }
    }
}
