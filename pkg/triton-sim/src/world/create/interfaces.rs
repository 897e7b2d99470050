//! The parameter `networks` of CreateMachine (reference 2.14).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::Value;
use triton::id::{AccountId, InstanceId, NetworkId};

use crate::world::World;
use crate::world::error::{FieldError, WorldError};
use crate::world::images::Image;
use crate::world::networks::NetworkRef;
use crate::world::packages::Package;
use crate::world::params::Params;
use crate::world::tasks::WantedNic;

/// A network on which a NIC is wanted, perhaps with a certain address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::world) struct Interface {
    pub(in crate::world) network: NetworkId,
    pub(in crate::world) ip: Option<Ipv4Addr>,
}

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

/// The error of an address that somebody has.
pub(in crate::world) fn ip_in_use() -> WorldError {
    let error = FieldError { field: "ip".to_owned(), code: "UsedBy", message: Some("IP in use".to_owned()) };
    WorldError::validation_failed("Invalid parameters", vec![error])
}

impl World {
    /// The networks of a request, each once: those listed, else those of the package, else one external and one
    /// internal network.
    pub(super) fn interfaces(
        &self,
        owner: AccountId,
        package: &Package,
        params: &Params,
    ) -> Result<Vec<Interface>, WorldError> {
        let any = |network| Interface { network, ip: None };
        let Some(Value::Array(values)) = params.get("networks") else {
            if !package.networks.is_empty() {
                return Ok(package.networks.iter().copied().map(any).collect());
            }
            let networks = self.list_networks(owner, false);
            let external = networks.iter().find(|network| network.public());
            let internal = networks.iter().find(|network| !network.public());
            return Ok(external.into_iter().chain(internal).map(|network| any(network.id())).collect());
        };
        let mut seen = BTreeSet::new();
        let mut interfaces = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let interface = match value {
                Value::String(text) => {
                    let network = text.parse().map_err(|_| invalid("Invalid Networks"))?;
                    any(network)
                }
                Value::Object(object) => self.interface(owner, object)?,
                _ => {
                    let fault = "array of strings or objects expected";
                    return Err(invalid(format!("property \"networks[{index}]\": {fault}")));
                }
            };
            if seen.insert(interface.network) {
                interfaces.push(interface);
            }
        }
        Ok(interfaces)
    }

    /// A network object: `ipv4_uuid`, and perhaps `ipv4_count` or `ipv4_ips` (reference 2.14). Everything else in
    /// it is ignored.
    pub(in crate::world) fn interface(
        &self,
        owner: AccountId,
        object: &Params,
    ) -> Result<Interface, WorldError> {
        let id = match object.get("ipv4_uuid") {
            None | Some(Value::Null) => {
                return Err(WorldError::missing_parameter("network objects must contain ipv4_uuid"));
            }
            Some(Value::String(id)) => id,
            Some(_) => return Err(invalid("ipv4_uuid must be a string")),
        };
        let network: NetworkId = id.parse().map_err(|_| invalid(format!("ipv4_uuid: {id} is not a uuid")))?;
        let count = object.get("ipv4_count");
        let Some(ips) = object.get("ipv4_ips") else {
            return match count {
                None => Ok(Interface { network, ip: None }),
                Some(Value::Number(count)) if count.as_f64() == Some(1.0) => {
                    Ok(Interface { network, ip: None })
                }
                Some(Value::Number(_)) => Err(invalid("ipv4_count can only be set to 1")),
                Some(_) => Err(invalid("ipv4_count must be a number")),
            };
        };
        if count.is_some() {
            return Err(invalid("ipv4_count and ipv4_ips cannot be specified together"));
        }
        let Value::Array(ips) = ips else {
            return Err(invalid("ipv4_ips must be an array with a single IP"));
        };
        let [ip] = ips.as_slice() else {
            let message = format!("ipv4_ips: network with ipv4_uuid {id} should contain a single IP array");
            return Err(invalid(message));
        };
        let Some(ip) = ip.as_str() else {
            return Err(invalid("ipv4_ips[0]: string expected"));
        };
        match self.visible_network(owner, network) {
            None => Err(WorldError::not_found(format!("ipv4_uuid: network {id} not found"))),
            Some(NetworkRef::Pool(_)) => {
                Err(invalid(format!("ipv4_uuid: {id} cannot specify IP on a network pool")))
            }
            Some(NetworkRef::Network(found)) if found.owner.is_none() => {
                Err(invalid(format!("ipv4_uuid: {id} cannot specify IP on a public network")))
            }
            Some(NetworkRef::Network(found)) => {
                let parsed = ip.parse::<Ipv4Addr>().ok().filter(|ip| found.subnet.contains(ip));
                let fault = || invalid(format!("cannot validate {ip}: IP is not in subnet"));
                Ok(Interface { network, ip: Some(parsed.ok_or_else(fault)?) })
            }
        }
    }

    /// Refuses networks that the account does not see, and too many public ones.
    pub(super) fn check_interfaces(
        &self,
        owner: AccountId,
        image: &Image,
        interfaces: &[Interface],
    ) -> Result<(), WorldError> {
        let mut public = 0;
        for interface in interfaces {
            let Some(network) = self.visible_network(owner, interface.network) else {
                return Err(invalid("Invalid Networks"));
            };
            public += usize::from(network.public());
        }
        let most = image.public_networks.unwrap_or(1);
        if public > most && !self.settings.features.multiple_public_networks {
            return Err(invalid(format!("Can specify a maximum of {most} public networks")));
        }
        Ok(())
    }

    /// Refuses addresses that the data centre itself uses or that an instance has.
    pub(super) fn check_wanted_addresses(&self, interfaces: &[Interface]) -> Result<(), WorldError> {
        interfaces.iter().try_for_each(|interface| self.check_wanted_address(interface))
    }

    pub(in crate::world) fn check_wanted_address(&self, interface: &Interface) -> Result<(), WorldError> {
        let Some(ip) = interface.ip else {
            return Ok(());
        };
        let network = self.network_by_id(interface.network);
        let address = network.and_then(|network| network.addresses.get(ip).copied()).unwrap_or_default();
        if address.managed {
            return Err(invalid(format!("cannot use {ip} because it is a managed IP")));
        }
        if address.instance.is_some() { Err(ip_in_use()) } else { Ok(()) }
    }

    /// Makes the NICs whose addresses were asked for; the others wait for the job. The first public network is the
    /// primary one, else the first of all.
    pub(super) fn make_wanted_nics(
        &mut self,
        owner: AccountId,
        id: InstanceId,
        interfaces: &[Interface],
    ) -> Result<Vec<WantedNic>, WorldError> {
        let is_public = |interface: &Interface| {
            self.visible_network(owner, interface.network).is_some_and(|network| network.public())
        };
        let primary = interfaces.iter().position(is_public).unwrap_or(0);
        let mut nics: Vec<WantedNic> = Vec::with_capacity(interfaces.len());
        for (index, interface) in interfaces.iter().enumerate() {
            let primary = index == primary;
            let mut wanted = WantedNic { network: interface.network, primary, made: None };
            if interface.ip.is_some() {
                let made = self.networks.make_nic(&mut self.rng, owner, id, interface.network, interface.ip);
                let Some(made) = made else {
                    for nic in nics.iter().filter_map(|nic| nic.made.as_ref()) {
                        self.networks.release(nic, id);
                    }
                    return Err(ip_in_use());
                };
                wanted.made = Some(made);
            }
            nics.push(wanted);
        }
        Ok(nics)
    }
}
