//! Networks, pools and the addresses on them (reference 2.22).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use triton::id::{AccountId, InstanceId, NetworkId};

use super::World;
pub use super::addresses::Address;
use super::addresses::Addresses;
use super::error::WorldError;
use super::fabrics::Vlan;
use super::machine::{Mac, Nic};
use super::params::{self, Params};

/// The most addresses of one network that are known, beyond which none can be reserved. The bound is ours.
const MAX_ADDRESSES: usize = 100_000;

/// A network that instances have NICs on.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is public.
    pub public: bool,
    /// The only account that may use it: the owner of a fabric.
    pub owner: Option<AccountId>,
    /// Whether it is part of an account's fabric.
    pub fabric: bool,
    /// Its VLAN.
    pub vlan_id: u16,
    /// Its NIC tag, such as `external`.
    pub nic_tag: Arc<str>,
    /// Its addresses.
    pub subnet: Ipv4Net,
    /// Its gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The first address that instances get.
    pub provision_start: Ipv4Addr,
    /// The last address that instances get.
    pub provision_end: Ipv4Addr,
    /// Its resolvers.
    pub resolvers: Vec<Ipv4Addr>,
    /// Routes that instances are told of: destination to gateway.
    pub routes: BTreeMap<String, String>,
    /// Whether a NAT zone connects it to the Internet.
    pub internet_nat: bool,
    pub(super) addresses: Addresses,
}

impl Network {
    /// A network of the operator's that every account may use, without routes.
    pub fn shared(id: NetworkId, name: &str, public: bool, subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        let range = default_range(subnet, Some(gateway));
        let mut network = Self {
            id,
            name: name.into(),
            description: None,
            public,
            owner: None,
            fabric: false,
            vlan_id: 0,
            nic_tag: if public { "external".into() } else { "internal".into() },
            subnet,
            gateway: Some(gateway),
            provision_start: range.0,
            provision_end: range.1,
            resolvers: Vec::new(),
            routes: BTreeMap::new(),
            internet_nat: false,
            addresses: Addresses::new(range.0, range.1, []),
        };
        network.reset_addresses();
        network
    }

    /// A network of an account's fabric, with a NAT zone and public resolvers.
    pub fn fabric(
        id: NetworkId,
        owner: AccountId,
        vlan_id: u16,
        name: &str,
        subnet: Ipv4Net,
        gateway: Ipv4Addr,
    ) -> Self {
        let mut network = Self::shared(id, name, false, subnet, gateway);
        (network.owner, network.fabric, network.vlan_id) = (Some(owner), true, vlan_id);
        network.nic_tag = "sdc_overlay".into();
        network.resolvers = vec![Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];
        network.internet_nat = true;
        network
    }

    /// Begins with no address in use, but those that the data centre itself needs.
    pub(super) fn reset_addresses(&mut self) {
        let broadcast = self.subnet.broadcast();
        let managed = self.gateway.into_iter().chain(self.resolvers.iter().copied()).chain([broadcast]);
        let managed = managed.filter(|ip| self.subnet.contains(ip));
        self.addresses = Addresses::new(self.provision_start, self.provision_end, managed);
    }

    /// The known addresses in ascending order: those allocated, reserved or managed, never the free ones.
    pub fn known_addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &Address)> {
        self.addresses.iter()
    }
}

/// The addresses of a subnet that are neither its own, its broadcast address nor its gateway at either end.
fn default_range(subnet: Ipv4Net, gateway: Option<Ipv4Addr>) -> (Ipv4Addr, Ipv4Addr) {
    let step =
        |ip: Ipv4Addr, by: i64| u32::try_from(i64::from(ip.to_bits()) + by).map_or(ip, Ipv4Addr::from_bits);
    let (mut first, mut last) = (step(subnet.network(), 1), step(subnet.broadcast(), -1));
    if gateway == Some(first) {
        first = step(first, 1);
    }
    if gateway == Some(last) {
        last = step(last, -1);
    }
    (first, last)
}

/// A pool: like a network, but its NICs are on one of its members (reference 0).
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its members are public.
    pub public: bool,
    /// The only account that may use it.
    pub owner: Option<AccountId>,
    /// Its members; the first one with a free address is used.
    pub members: Vec<NetworkId>,
}

/// All networks of the data centre.
#[derive(Default)]
pub(super) struct Networks {
    pub(super) networks: BTreeMap<NetworkId, Network>,
    pub(super) pools: BTreeMap<NetworkId, Pool>,
    pub(super) vlans: BTreeMap<(AccountId, u16), Vlan>,
    macs: BTreeSet<Mac>,
}

/// A network or a pool, as an account sees it.
#[derive(Debug, Clone, Copy)]
pub enum NetworkRef<'a> {
    /// A network.
    Network(&'a Network),
    /// A pool.
    Pool(&'a Pool),
}

impl NetworkRef<'_> {
    /// Its id.
    pub fn id(&self) -> NetworkId {
        match self {
            Self::Network(network) => network.id,
            Self::Pool(pool) => pool.id,
        }
    }

    /// Whether it is public.
    pub fn public(&self) -> bool {
        match self {
            Self::Network(network) => network.public,
            Self::Pool(pool) => pool.public,
        }
    }

    /// The network, unless it is a pool.
    pub fn network(&self) -> Option<&Network> {
        match self {
            Self::Network(network) => Some(network),
            Self::Pool(_) => None,
        }
    }
}

impl Networks {
    /// A network or a pool, whoever may use it.
    pub(super) fn find(&self, id: NetworkId) -> Option<NetworkRef<'_>> {
        let network = self.networks.get(&id).map(NetworkRef::Network);
        network.or_else(|| self.pools.get(&id).map(NetworkRef::Pool))
    }

    fn members(&self, id: NetworkId) -> Vec<NetworkId> {
        self.pools.get(&id).map_or_else(|| vec![id], |pool| pool.members.clone())
    }

    /// Makes a NIC on a network or on a member of a pool, with a certain address or with the next one. `None`
    /// when there is no such address.
    pub(super) fn make_nic(
        &mut self,
        rng: &mut fastrand::Rng,
        owner: AccountId,
        instance: InstanceId,
        id: NetworkId,
        ip: Option<Ipv4Addr>,
    ) -> Option<Nic> {
        for member in self.members(id) {
            let Some(network) = self.networks.get_mut(&member) else {
                continue;
            };
            let address = match ip {
                Some(ip) => network.addresses.take(ip, owner, instance).then_some(ip),
                None => network.addresses.allocate(owner, instance),
            };
            if let Some(ip) = address {
                let (gateway, netmask) = (network.gateway, network.subnet.netmask());
                let mac = self.new_mac(rng);
                return Some(Nic { mac, ip, primary: false, gateway, netmask, network: member });
            }
        }
        None
    }

    /// An address of the range that Triton uses, which no NIC has.
    fn new_mac(&mut self, rng: &mut fastrand::Rng) -> Mac {
        let mut number = rng.u32(..);
        loop {
            let [_, a, b, c] = number.to_be_bytes();
            let mac = Mac::from([0x90, 0xb8, 0xd0, a, b, c]);
            if self.macs.insert(mac) {
                return mac;
            }
            number = number.wrapping_add(1);
        }
    }

    /// Takes a NIC back.
    pub(super) fn release(&mut self, nic: &Nic, instance: InstanceId) {
        self.macs.remove(&nic.mac);
        if let Some(network) = self.networks.get_mut(&nic.network) {
            network.addresses.release(nic.ip, instance);
        }
    }
}

impl World {
    /// Adds a network; one of the same id is replaced.
    pub fn add_network(&mut self, network: Network) {
        self.networks.networks.insert(network.id, network);
    }

    /// Adds a pool; one of the same id is replaced.
    pub fn add_pool(&mut self, pool: Pool) {
        self.networks.pools.insert(pool.id, pool);
    }

    /// A network by id, whoever may use it; no pool.
    pub fn network_by_id(&self, id: NetworkId) -> Option<&Network> {
        self.networks.networks.get(&id)
    }

    /// The networks and pools an account sees: pools first, then the networks in no pool it sees, each by id; with
    /// `fabric` only the networks of its fabric (reference 2.22).
    pub fn list_networks(&self, owner: AccountId, fabric: bool) -> Vec<NetworkRef<'_>> {
        let theirs = |other: Option<AccountId>| other.is_none_or(|other| other == owner);
        let pools: Vec<&Pool> =
            self.networks.pools.values().filter(|pool| !fabric && theirs(pool.owner)).collect();
        let hidden: BTreeSet<NetworkId> =
            pools.iter().flat_map(|pool| pool.members.iter().copied()).collect();
        let networks = self.networks.networks.values().filter(|network| {
            theirs(network.owner) && !hidden.contains(&network.id) && (!fabric || network.fabric)
        });
        let networks = networks.map(NetworkRef::Network);
        pools.into_iter().map(NetworkRef::Pool).chain(networks).collect()
    }

    /// A network or pool that an account sees.
    pub(super) fn visible_network(&self, owner: AccountId, id: NetworkId) -> Option<NetworkRef<'_>> {
        self.list_networks(owner, false).into_iter().find(|network| network.id() == id)
    }

    /// A network or pool that an account sees.
    ///
    /// # Errors
    ///
    /// 404, also for the members of a pool.
    pub fn network(&self, owner: AccountId, id: NetworkId) -> Result<NetworkRef<'_>, WorldError> {
        self.visible_network(owner, id).ok_or_else(|| WorldError::not_found(format!("{id} not found")))
    }

    fn network_for_addresses(&self, owner: AccountId, id: NetworkId) -> Result<&Network, WorldError> {
        match self.network(owner, id)? {
            NetworkRef::Pool(_) => {
                Err(WorldError::invalid_argument(format!("cannot get IPs in a network pool: {id}")))
            }
            NetworkRef::Network(network) => Ok(network),
        }
    }

    /// The known addresses of a network in ascending order; on a network of the operator's only the account's own.
    ///
    /// # Errors
    ///
    /// 404, and 409 for a pool.
    pub fn list_addresses(
        &self,
        owner: AccountId,
        id: NetworkId,
    ) -> Result<impl Iterator<Item = (Ipv4Addr, &Address)>, WorldError> {
        let network = self.network_for_addresses(owner, id)?;
        let shared = network.owner.is_none();
        Ok(network.addresses.iter().filter(move |(_, address)| !shared || address.owner == Some(owner)))
    }

    /// One address of a network, also one that nobody has.
    ///
    /// # Errors
    ///
    /// 404, and 409 for a pool or an address outside the network.
    pub fn address(
        &self,
        owner: AccountId,
        id: NetworkId,
        ip: &str,
    ) -> Result<(Ipv4Addr, Address), WorldError> {
        let network = self.network_for_addresses(owner, id)?;
        let ip = parse_address(network, ip)?;
        let address = network.addresses.get(ip).copied().unwrap_or_default();
        if network.owner.is_none() && address.owner != Some(owner) {
            return Err(WorldError::not_found(format!("{ip} not found")));
        }
        Ok((ip, address))
    }

    /// Reserves an address, or ends that: parameter `reserved`.
    ///
    /// # Errors
    ///
    /// 404; 409 for networks of the operator's, pools, and addresses that are managed or another account's.
    pub fn update_address(
        &mut self,
        owner: AccountId,
        id: NetworkId,
        ip: &str,
        params: &Params,
    ) -> Result<(Ipv4Addr, Address), WorldError> {
        let network = self.network_for_addresses(owner, id)?;
        let Some(reserved) = params::boolean(params, "reserved")? else {
            return Err(WorldError::missing_parameter("reserved is a required argument"));
        };
        if network.owner.is_none() {
            return Err(WorldError::invalid_argument(format!(
                "cannot update an IP on a public network: {id}"
            )));
        }
        let ip = parse_address(network, ip)?;
        let address = network.addresses.get(ip).copied().unwrap_or_default();
        if address.managed {
            return Err(WorldError::invalid_argument(format!("cannot update managed IP: {ip}")));
        }
        if address.owner.is_some_and(|other| other != owner) {
            let message = format!("IP {ip} on network {id} is in use by another account");
            return Err(WorldError::invalid_argument(message));
        }
        if reserved && network.addresses.len() >= MAX_ADDRESSES {
            return Err(WorldError::overloaded(format!("too many addresses of network {id} are reserved")));
        }
        if let Some(network) = self.networks.networks.get_mut(&id) {
            network.addresses.set_reserved(ip, owner, reserved);
        }
        self.address(owner, id, &ip.to_string())
    }
}

fn parse_address(network: &Network, text: &str) -> Result<Ipv4Addr, WorldError> {
    let ip = text.parse::<Ipv4Addr>();
    let ip = ip.map_err(|_| WorldError::invalid_argument("property \"ip\": invalid IP address"))?;
    if network.subnet.contains(&ip) {
        Ok(ip)
    } else {
        Err(WorldError::invalid_argument("property \"ip\": IP is not in subnet"))
    }
}

#[cfg(test)]
mod tests;
