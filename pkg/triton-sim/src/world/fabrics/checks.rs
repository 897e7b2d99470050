//! The properties of VLANs and fabric networks: what each may be (reference 2.22).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use crate::world::error::WorldError;
use crate::world::networks::Network;
use crate::world::params::Params;

/// The most resolvers of a network (reference 2.22).
const MAX_RESOLVERS: usize = 4;

/// The most routes of a network. The bound is ours.
const MAX_ROUTES: usize = 1000;

/// The shortest and the longest prefix of a fabric network.
const PREFIX_LENGTHS: std::ops::RangeInclusive<u8> = 8..=30;

/// Parameters that say where the request goes, not what is in it.
const PATH: [&str; 3] = ["account", "vlan_id", "id"];

pub(super) fn fault(property: &str, reason: impl std::fmt::Display) -> WorldError {
    WorldError::invalid_argument(format!("property \"{property}\": {reason}"))
}

pub(super) fn only(params: &Params, allowed: &[&str]) -> Result<(), WorldError> {
    let unknown =
        params.keys().find(|name| !allowed.contains(&name.as_str()) && !PATH.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| Err(fault(name, "unsupported property")))
}

/// A name of fabrics: a letter, then at least one of `[a-zA-Z0-9_./-]`, at most 256 in all.
pub(super) fn check_name(name: &str) -> Result<(), WorldError> {
    let later = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-');
    let valid = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && (2..=256).contains(&name.len())
        && name.bytes().all(later);
    if valid {
        return Ok(());
    }
    Err(fault("name", "does not match the regex pattern ^[a-zA-Z][a-zA-Z0-9_./-]{1,255}$"))
}

pub(super) fn missing(property: &str) -> WorldError {
    fault(property, "is missing and it is required")
}

pub(super) fn address(params: &Params, property: &str) -> Result<Option<Ipv4Addr>, WorldError> {
    match params.get(property) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let ip = value.as_str().and_then(|text| text.parse().ok());
            ip.map(Some).ok_or_else(|| fault(property, "must be an IPv4 address"))
        }
    }
}

pub(super) fn check_subnet(text: &str) -> Result<Ipv4Net, WorldError> {
    let subnet: Ipv4Net = text.parse().map_err(|_| fault("subnet", "Subnet must be in CIDR form"))?;
    if !PREFIX_LENGTHS.contains(&subnet.prefix_len()) {
        return Err(fault("subnet", "Subnet bits invalid"));
    }
    if subnet.trunc() != subnet {
        return Err(fault("subnet", "Subnet IP invalid"));
    }
    let private = [(10, 0, 8), (172, 16, 12), (192, 168, 16)];
    let within = private.into_iter().any(|(a, b, length)| {
        Ipv4Net::new(Ipv4Addr::new(a, b, 0, 0), length).is_ok_and(|range| range.contains(&subnet))
    });
    if within { Ok(subnet) } else { Err(fault("subnet", "subnet must be within private ranges")) }
}

pub(super) fn check_range(network: &Network) -> Result<(), WorldError> {
    let ends = [("provision_start_ip", network.provision_start), ("provision_end_ip", network.provision_end)];
    for (property, ip) in ends {
        if !network.subnet.contains(&ip) {
            return Err(fault(property, format!("{property} cannot be outside subnet")));
        }
        if ip == network.subnet.broadcast() {
            return Err(fault(property, format!("{property} cannot be the broadcast address")));
        }
        if ip == network.subnet.network() {
            return Err(fault(property, format!("{property} cannot be the network address")));
        }
    }
    if network.provision_start > network.provision_end {
        return Err(fault("provision_end_ip", "provision_start_ip must be before provision_end_ip"));
    }
    Ok(())
}

pub(super) fn read_resolvers(value: &Value) -> Result<Vec<Ipv4Addr>, WorldError> {
    let values = value.as_array().ok_or_else(|| fault("resolvers", "must be an array"))?;
    if values.len() > MAX_RESOLVERS {
        return Err(fault("resolvers", format!("maximum of {MAX_RESOLVERS} resolvers")));
    }
    let parse = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    let resolvers: Option<Vec<Ipv4Addr>> = values.iter().map(parse).collect();
    resolvers.ok_or_else(|| fault("resolvers", "must be an IPv4 address"))
}

/// Routes: an address or a subnet as destination, an address of the same family as gateway.
pub(super) fn read_routes(value: &Value, linklocal: bool) -> Result<BTreeMap<String, String>, WorldError> {
    let object = value.as_object().ok_or_else(|| fault("routes", "must be an object"))?;
    if object.len() > MAX_ROUTES {
        return Err(fault("routes", format!("maximum of {MAX_ROUTES} routes")));
    }
    let mut routes = BTreeMap::new();
    for (destination, gateway) in object {
        let invalid = |what: &str| fault("routes", format!("invalid route: {what} of \"{destination}\""));
        let is_ipv4 = match (destination.parse::<IpAddr>(), destination.parse::<IpNet>()) {
            (Ok(ip), _) => ip.is_ipv4(),
            (_, Ok(subnet)) => subnet.addr().is_ipv4(),
            _ => return Err(invalid("invalid destination")),
        };
        let text = gateway.as_str().unwrap_or_default();
        let same_family = text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4() == is_ipv4);
        let is_gateway = same_family || (linklocal && text == "linklocal");
        if !is_gateway {
            return Err(invalid("invalid gateway"));
        }
        routes.insert(destination.clone(), text.to_owned());
    }
    Ok(routes)
}
