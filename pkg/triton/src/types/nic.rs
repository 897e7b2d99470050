//! The network interfaces of an instance (reference 2.19).

use crate::id::NetworkId;
use crate::types::create_instance::NetworkRequest;
use crate::types::mac::MacAddress;
use crate::types::object::{object, open_enum};
use serde::Serialize;
use std::net::IpAddr;

open_enum! {
    /// The state of a NIC.
    pub enum NicState {
        /// Being added.
        Provisioning = "provisioning",
        /// In use.
        Running = "running",
        /// Its instance is stopped.
        Stopped = "stopped",
    }
}

object! {
    /// A NIC.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Nic("a NIC") {
        /// Its hardware address, which is also its identity.
        identity mac: MacAddress = "mac",
        /// Its address.
        ip: Option<IpAddr> = "ip",
        /// Whether it is the instance's primary NIC: the one with the default route.
        primary: bool = "primary",
        /// The gateway of its network.
        gateway: Option<IpAddr> = "gateway",
        /// The netmask of its network.
        netmask: Option<IpAddr> = "netmask",
        /// Its network: never a pool.
        network: Option<NetworkId> = "network",
        /// Its state; not said where the NIC is part of an instance.
        state: Option<NicState> = "state",
    }
}

/// Adds a NIC to an instance, which **reboots** it. An instance has at most one NIC on each network: for
/// one that is already there the server answers 302 (reference 2.19).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddNic {
    /// The network, and possibly the address.
    pub network: NetworkRequest,
    /// Make it the primary NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
}
