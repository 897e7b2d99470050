//! The account's own VLANs and networks (reference 2.22). A fabric network is a [`crate::types::Network`].

use crate::types::network::Routes;
use crate::types::object::object;
use ipnet::Ipv4Net;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};

object! {
    /// A VLAN of the account's fabric.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FabricVlan("a fabric VLAN") {
        /// Its number, which identifies it within the account.
        identity vlan_id: u16 = "vlan_id",
        /// Its name.
        name: Box<str> = "name",
        /// Description.
        description: Option<Box<str>> = "description",
    }
}

/// Makes a VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateFabricVlan {
    /// Its number, from 2 to 4095 and not yet in use.
    pub vlan_id: u16,
    /// Its name, unique within the account.
    pub name: String,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Changes the fields of a VLAN that are `Some`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateFabricVlan {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Makes a fabric network on a VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateFabricNetwork {
    /// Its name, `^[a-zA-Z][a-zA-Z0-9_./-]{1,255}$`, unique within the account.
    pub name: String,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The first address to give to instances.
    pub provision_start_ip: Ipv4Addr,
    /// The last address to give to instances.
    pub provision_end_ip: Ipv4Addr,
    /// Its gateway; necessary with `internet_nat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// At most 4 DNS servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<IpAddr>,
    /// Static routes.
    #[serde(skip_serializing_if = "Routes::is_empty")]
    pub routes: Routes,
    /// Give instances a way to the internet; the server's default is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_nat: Option<bool>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Changes the fields of a fabric network that are `Some`. Subnet, gateway and NAT stay as they are.
///
/// There is no precondition to send: the last writer wins, so read again after writing (reference 8.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateFabricNetwork {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The first address to give to instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision_start_ip: Option<Ipv4Addr>,
    /// The last address to give to instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision_end_ip: Option<Ipv4Addr>,
    /// **All** DNS servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolvers: Option<Vec<IpAddr>>,
    /// **All** static routes: those that are not named are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Routes>,
}
