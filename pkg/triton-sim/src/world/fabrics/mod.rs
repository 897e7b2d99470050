//! An account's fabric: its VLANs and the networks on them (reference 2.22).

use std::sync::Arc;

use serde_json::Value;
use triton::id::{AccountId, NetworkId};

use super::World;
use super::error::WorldError;
use super::machine::Machine;
use super::networks::Network;
use super::params::{self, Params};

mod checks;

use checks::{
    address, check_name, check_range, check_subnet, fault, missing, only, read_resolvers, read_routes,
};

/// A VLAN of an account's fabric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// Its number.
    pub vlan_id: u16,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
}

/// The most networks of one fabric. The bound is ours.
const MAX_NETWORKS: usize = 1000;

/// What a fabric network may be made with.
const CREATED: [&str; 9] = [
    "name",
    "description",
    "subnet",
    "provision_start_ip",
    "provision_end_ip",
    "gateway",
    "resolvers",
    "routes",
    "internet_nat",
];

/// What of a fabric network may change.
const UPDATED: [&str; 6] =
    ["name", "description", "provision_start_ip", "provision_end_ip", "resolvers", "routes"];

impl World {
    /// Adds a VLAN to the fabric of an account; one of the same number is replaced.
    pub fn add_vlan(&mut self, owner: AccountId, vlan: Vlan) {
        self.networks.vlans.insert((owner, vlan.vlan_id), vlan);
    }

    fn check_fabrics(&self) -> Result<(), WorldError> {
        if self.settings.features.fabrics {
            return Ok(());
        }
        let message = "fabrics not enabled for this datacenter";
        Err(WorldError::refused(501, "NotImplementedError", message, Vec::new()))
    }

    /// The VLANs of an account, by number.
    ///
    /// # Errors
    ///
    /// 501 without fabrics.
    pub fn list_vlans(&self, owner: AccountId) -> Result<impl Iterator<Item = &Vlan>, WorldError> {
        self.check_fabrics()?;
        Ok(self.networks.vlans.range((owner, 0)..=(owner, u16::MAX)).map(|(_, vlan)| vlan))
    }

    /// A VLAN of an account.
    ///
    /// # Errors
    ///
    /// 404, 501 without fabrics.
    pub fn vlan(&self, owner: AccountId, vlan_id: u16) -> Result<&Vlan, WorldError> {
        self.check_fabrics()?;
        let vlan = self.networks.vlans.get(&(owner, vlan_id));
        vlan.ok_or_else(|| WorldError::not_found("VLAN not found"))
    }

    /// Makes a VLAN: `vlan_id`, `name` and optionally `description`.
    ///
    /// # Errors
    ///
    /// 409 for a bad property or a number in use, 501 without fabrics.
    pub fn create_vlan(&mut self, owner: AccountId, params: &Params) -> Result<Vlan, WorldError> {
        self.check_fabrics()?;
        only(params, &["name", "description"])?;
        let vlan_id = params.get("vlan_id").ok_or_else(|| missing("vlan_id"))?;
        let vlan_id = params::integer(vlan_id).and_then(|number| u16::try_from(number).ok());
        let vlan_id = vlan_id.filter(|number| (2..=4094).contains(number));
        let vlan_id = vlan_id
            .ok_or_else(|| fault("vlan_id", "VLAN ID must be a number between 0 and 4094, and not 1"))?;
        let name = params::text(params, "name").ok_or_else(|| missing("name"))?;
        check_name(&name)?;
        if self.networks.vlans.contains_key(&(owner, vlan_id)) {
            return Err(fault("vlan_id", "VLAN ID is already in use"));
        }
        let vlan = Vlan { vlan_id, name, description: params::text(params, "description") };
        self.add_vlan(owner, vlan.clone());
        Ok(vlan)
    }

    /// Changes the name or the description of a VLAN.
    ///
    /// # Errors
    ///
    /// 404, 409 for a bad property, 501 without fabrics.
    pub fn update_vlan(
        &mut self,
        owner: AccountId,
        vlan_id: u16,
        params: &Params,
    ) -> Result<Vlan, WorldError> {
        let mut vlan = self.vlan(owner, vlan_id)?.clone();
        only(params, &["name", "description"])?;
        if let Some(name) = params::text(params, "name") {
            check_name(&name)?;
            vlan.name = name;
        }
        if params.contains_key("description") {
            vlan.description = params::text(params, "description");
        }
        self.add_vlan(owner, vlan.clone());
        Ok(vlan)
    }

    /// Deletes a VLAN.
    ///
    /// # Errors
    ///
    /// 404, 409 while it has networks, 501 without fabrics.
    pub fn delete_vlan(&mut self, owner: AccountId, vlan_id: u16) -> Result<(), WorldError> {
        self.vlan(owner, vlan_id)?;
        if self.fabric_of(owner).any(|network| network.vlan_id == vlan_id) {
            return Err(WorldError::invalid_argument("VLAN must have no networks"));
        }
        self.networks.vlans.remove(&(owner, vlan_id));
        Ok(())
    }

    fn fabric_of(&self, owner: AccountId) -> impl Iterator<Item = &Network> + use<'_> {
        let networks = self.networks.networks.values();
        networks.filter(move |network| network.fabric && network.owner == Some(owner))
    }

    /// The networks of a VLAN, by id.
    ///
    /// # Errors
    ///
    /// 404, 501 without fabrics.
    pub fn list_fabric_networks(
        &self,
        owner: AccountId,
        vlan_id: u16,
    ) -> Result<impl Iterator<Item = &Network>, WorldError> {
        self.vlan(owner, vlan_id)?;
        Ok(self.fabric_of(owner).filter(move |network| network.vlan_id == vlan_id))
    }

    /// A network of a VLAN.
    ///
    /// # Errors
    ///
    /// 404, 501 without fabrics.
    pub fn fabric_network(
        &self,
        owner: AccountId,
        vlan_id: u16,
        id: NetworkId,
    ) -> Result<&Network, WorldError> {
        let network = self.list_fabric_networks(owner, vlan_id)?.find(|network| network.id == id);
        network.ok_or_else(|| WorldError::not_found("network not found"))
    }

    /// Makes a network on a VLAN (reference 2.22).
    ///
    /// # Errors
    ///
    /// 404 without such a VLAN, 409 for a bad property, 501 without fabrics.
    pub fn create_fabric_network(
        &mut self,
        owner: AccountId,
        vlan_id: u16,
        params: &Params,
    ) -> Result<Network, WorldError> {
        self.vlan(owner, vlan_id)?;
        only(params, &CREATED)?;
        let name = params::text(params, "name").ok_or_else(|| missing("name"))?;
        let subnet = params::text(params, "subnet").ok_or_else(|| missing("subnet"))?;
        let subnet = check_subnet(&subnet)?;
        let start = address(params, "provision_start_ip")?.ok_or_else(|| missing("provision_start_ip"))?;
        let end = address(params, "provision_end_ip")?.ok_or_else(|| missing("provision_end_ip"))?;
        let gateway = address(params, "gateway")?;
        let nat = params::boolean(params, "internet_nat")
            .map_err(|_| fault("internet_nat", "must be a boolean value"))?
            .unwrap_or(true);
        if nat && gateway.is_none() {
            return Err(fault("gateway", "must be set if internet_nat is true"));
        }
        if gateway.is_some_and(|gateway| !subnet.contains(&gateway)) {
            return Err(fault("gateway", "gateway cannot be outside subnet"));
        }
        if self.fabric_of(owner).count() >= MAX_NETWORKS {
            return Err(WorldError::invalid_argument("the account has as many networks as it may have"));
        }
        let overlaps = |other: &&Network| {
            other.vlan_id == vlan_id && (other.subnet.contains(&subnet) || subnet.contains(&other.subnet))
        };
        if let Some(other) = self.fabric_of(owner).find(overlaps) {
            return Err(fault("subnet", format!("subnet overlaps with network {}", other.name)));
        }
        let any = subnet.network();
        let mut network = Network::fabric(NetworkId::from(self.new_uuid()), owner, vlan_id, "", subnet, any);
        network.gateway = gateway;
        network.internet_nat = nat;
        network.resolvers.clear();
        (network.provision_start, network.provision_end) = (start, end);
        let params =
            Params::from_iter([("name".to_owned(), Value::String(name))].into_iter().chain(params.clone()));
        self.set_fabric_fields(&mut network, &params)?;
        network.reset_addresses();
        self.add_network(network.clone());
        Ok(network)
    }

    /// Changes a network of a VLAN. What is given replaces what was there, all routes included.
    ///
    /// # Errors
    ///
    /// 404, 409 for a bad property or one that cannot change, 501 without fabrics.
    pub fn update_fabric_network(
        &mut self,
        owner: AccountId,
        vlan_id: u16,
        id: NetworkId,
        params: &Params,
    ) -> Result<Network, WorldError> {
        let mut network = self.fabric_network(owner, vlan_id, id)?.clone();
        only(params, &UPDATED)?;
        let range = (network.provision_start, network.provision_end);
        if let Some(start) = address(params, "provision_start_ip")? {
            network.provision_start = start;
        }
        if let Some(end) = address(params, "provision_end_ip")? {
            network.provision_end = end;
        }
        self.set_fabric_fields(&mut network, params)?;
        if range != (network.provision_start, network.provision_end) {
            network.addresses.set_range(network.provision_start, network.provision_end);
        }
        let on_it = |machine: &&Arc<Machine>| machine.nics.iter().any(|nic| nic.network == id);
        self.touched.extend(self.machines.active_of(owner).filter(on_it).map(|machine| machine.id));
        self.add_network(network.clone());
        Ok(network)
    }

    /// Deletes a network of a VLAN.
    ///
    /// # Errors
    ///
    /// 404, 409 while it is in use or the account's default network, 501 without fabrics.
    pub fn delete_fabric_network(
        &mut self,
        owner: AccountId,
        vlan_id: u16,
        id: NetworkId,
    ) -> Result<(), WorldError> {
        let network = self.fabric_network(owner, vlan_id, id)?;
        if self.owner(owner)?.default_network == Some(id) {
            return Err(WorldError::invalid_argument("cannot delete default network"));
        }
        if network.addresses.in_use() {
            return Err(WorldError::invalid_argument("network must have no NICs provisioned"));
        }
        self.networks.networks.remove(&id);
        Ok(())
    }

    /// Sets what making and changing a network have in common, and checks the whole.
    fn set_fabric_fields(&self, network: &mut Network, params: &Params) -> Result<(), WorldError> {
        if let Some(name) = params::text(params, "name") {
            check_name(&name)?;
            let owner = network.owner.unwrap_or_else(|| uuid::Uuid::nil().into());
            if self.fabric_of(owner).any(|other| *other.name == *name && other.id != network.id) {
                return Err(fault("name", "name is in use by another network"));
            }
            network.name = name.into();
        }
        if params.contains_key("description") {
            network.description = params::text(params, "description");
        }
        if let Some(value) = params.get("resolvers") {
            network.resolvers = read_resolvers(value)?;
        }
        if let Some(value) = params.get("routes") {
            network.routes = read_routes(value, self.settings.features.linklocal_routes)?;
        }
        check_range(network)
    }
}

#[cfg(test)]
mod tests;
