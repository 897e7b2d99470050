//! Networks and their addresses (reference 2.22).

use crate::id::{AccountId, NetworkId};
use crate::types::object::object;
use crate::types::query::Query;
use ipnet::IpNet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use uuid::Uuid;

/// The static routes of a fabric network: destination (address or CIDR) to gateway. Kept as text, so that
/// routes of others go back exactly as they came: an update replaces the whole map (reference 8.2).
pub type Routes = BTreeMap<String, Box<str>>;

object! {
    /// A network, a network pool, or a fabric network: which of the fields are there tells which.
    ///
    /// The networks of a pool are not listed themselves, but NICs refer to them and not to the pool.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Network("a network") {
        /// Its id.
        identity id: NetworkId = "id",
        /// Its name.
        name: Box<str> = "name",
        /// Whether its addresses are public.
        public: bool = "public",
        /// Whether it is one of the account's own fabric networks.
        fabric: bool = "fabric",
        /// Description.
        description: Option<Box<str>> = "description",
        /// Its subnet.
        subnet: Option<IpNet> = "subnet",
        /// Its netmask.
        netmask: Option<IpAddr> = "netmask",
        /// Its gateway.
        gateway: Option<IpAddr> = "gateway",
        /// The first address given to instances.
        provision_start_ip: Option<IpAddr> = "provision_start_ip",
        /// The last address given to instances.
        provision_end_ip: Option<IpAddr> = "provision_end_ip",
        /// The DNS servers that instances are told.
        resolvers: Box<[IpAddr]> = "resolvers",
        /// Static routes that instances are told.
        routes: Routes = "routes",
        /// Whether instances reach the internet through a hidden NAT instance at the gateway.
        internet_nat: Option<bool> = "internet_nat",
        /// The fabric VLAN it is on.
        vlan_id: Option<u16> = "vlan_id",
        /// The suffixes of CNS names on it, where CNS is on.
        suffixes: Box<[Box<str>]> = "suffixes",
        /// Role tags (reference 1.6), where the server puts them in the body.
        role_tags: Box<[Box<str>]> = "role-tag",
    }
}

object! {
    /// An address of a network that is allocated, reserved or managed; free ones are not listed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NetworkIp("a network address") {
        /// The address.
        identity ip: IpAddr = "ip",
        /// Whether it is kept from automatic allocation.
        reserved: bool = "reserved",
        /// Whether the data centre uses it itself: gateway, resolver, broadcast.
        managed: bool = "managed",
        /// The account that owns what has it.
        owner: Option<AccountId> = "owner_uuid",
        /// The instance, or other object, that has it.
        belongs_to: Option<Uuid> = "belongs_to_uuid",
        /// What kind of object that is.
        belongs_to_type: Option<Box<str>> = "belongs_to_type",
    }
}

/// Reserves an address of the account's own fabric network, or releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateNetworkIp {
    /// Keep it from automatic allocation.
    pub reserved: bool,
}

/// Which networks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListNetworks {
    /// Fabric networks only, or none.
    pub fabric: Option<bool>,
}

impl ListNetworks {
    /// The pairs of the query string.
    pub fn query(&self) -> Vec<(String, String)> {
        Query::default().with("fabric", self.fabric).pairs()
    }
}
