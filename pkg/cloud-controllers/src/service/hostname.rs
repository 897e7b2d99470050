//! The name by which clients find a Service in DNS. Pure.
//!
//! CNS publishes a service once per zone, with the addresses that belong to the zone: a public one with public
//! addresses, and one with all others. Networks say to which zone they belong: their `suffixes` (Triton reference
//! 3.2).

use std::collections::HashMap;
use std::str::FromStr;

use triton::id::NetworkId;
use triton::types::Network;

/// Which of the names of a Service its status has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Zone {
    /// The public one where there is one, else the private one.
    #[default]
    Any,
    /// The one with public addresses.
    Public,
    /// The one with the other addresses.
    Private,
    /// The one with the addresses on this fabric network.
    Network(Box<str>),
}

impl FromStr for Zone {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            _ => match text.strip_prefix("network:").map(str::trim) {
                Some(name) if !name.is_empty() => Ok(Self::Network(name.into())),
                _ => Err(()),
            },
        }
    }
}

/// What of a network decides about names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The network's name.
    pub network: Box<str>,
    /// Whether its addresses are public.
    pub is_public: bool,
    /// Whether it is a fabric network of the account, which has names of its own.
    pub is_fabric: bool,
    /// What follows the name of a service, such as `svc.ACCOUNT.dc1.cns.example.net`; `None` where CNS is off.
    pub suffix: Option<Box<str>>,
}

/// What is known of networks.
pub type Known = HashMap<NetworkId, Names>;

impl Names {
    /// What a network says.
    pub fn of(network: &Network) -> Self {
        let suffix = network.suffixes.iter().find(|suffix| suffix.starts_with("svc.")).cloned();
        Self { network: network.name.clone(), is_public: network.public, is_fabric: network.fabric, suffix }
    }

    /// The name of a service for whoever wishes for this zone; `None` where this network gives none.
    fn hostname(&self, service: &str, zone: &Zone) -> Option<String> {
        let suffix = self.suffix.as_deref()?;
        let fits = match zone {
            Zone::Any => true,
            Zone::Public => self.is_public,
            Zone::Private => !self.is_public,
            Zone::Network(name) => self.is_fabric && *name == self.network,
        };
        let qualifier = match zone {
            Zone::Network(name) => format!("{}.", dnsify(name)),
            Zone::Any | Zone::Public | Zone::Private => String::new(),
        };
        fits.then(|| format!("{qualifier}{service}.{suffix}"))
    }
}

/// The names that a Service may have, best first, each with a network whose addresses it has.
pub fn hostnames<'a>(
    service: &str,
    zone: &Zone,
    networks: impl IntoIterator<Item = (NetworkId, &'a Names)>,
) -> Vec<(String, NetworkId)> {
    let mut found: Vec<(bool, String, NetworkId)> = networks
        .into_iter()
        .filter_map(|(id, names)| Some((!names.is_public, names.hostname(service, zone)?, id)))
        .collect();
    found.sort();
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().map(|(_, hostname, id)| (hostname, id)).collect()
}

/// The name of the CNS service in a hostname that [`hostnames`] made.
pub fn service_in(hostname: &str) -> Option<&str> {
    let (before, _) = hostname.split_once(".svc.")?;
    before.rsplit('.').next().filter(|name| !name.is_empty())
}

/// As CNS makes labels of names (Triton reference 3.2).
fn dnsify(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() || c == '-' {
            label.push(c);
        } else if !label.ends_with('-') {
            label.push('-');
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    fn names(network: &str, is_public: bool, is_fabric: bool) -> Names {
        let zone = if is_public { "triton.zone" } else { "cns.net" };
        Names { network: network.into(), is_public, is_fabric, suffix: Some(format!("svc.a.{zone}").into()) }
    }

    const PUBLIC: &str = "web.svc.a.triton.zone";
    const PRIVATE: &str = "web.svc.a.cns.net";

    #[rstest]
    #[case::the_public_one_is_best(Zone::Any, &[PUBLIC, PRIVATE])]
    #[case(Zone::Public, &[PUBLIC])]
    #[case(Zone::Private, &[PRIVATE])]
    #[case(Zone::Network("My_Fabric-Network".into()), &["my-fabric-network.web.svc.a.cns.net"])]
    #[case::only_fabric_networks_have_names(Zone::Network("external".into()), &[])]
    #[case::no_such_network(Zone::Network("other".into()), &[])]
    fn the_zone_says_which_names_a_service_has(#[case] zone: Zone, #[case] expected: &[&str]) {
        let networks = [
            names("My_Fabric-Network", false, true),
            names("internal", false, false),
            names("external", true, false),
        ];
        let numbered: Vec<_> =
            (1_u128..).map(|number| NetworkId::from(Uuid::from_u128(number))).zip(&networks).collect();
        let found = hostnames("web", &zone, numbered);
        let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, expected);
        assert!(found.iter().all(|name| service_in(name) == Some("web")));
    }

    #[test]
    fn without_cns_there_are_no_names() {
        let network = Names { suffix: None, ..names("external", true, false) };
        assert_eq!(hostnames("web", &Zone::Any, [(Uuid::nil().into(), &network)]), []);
    }

    #[rstest]
    #[case("public", Ok(Zone::Public))]
    #[case("private", Ok(Zone::Private))]
    #[case("network: net ", Ok(Zone::Network("net".into())))]
    #[case("network:", Err(()))]
    #[case("", Err(()))]
    fn zones_are_read(#[case] text: &str, #[case] zone: Result<Zone, ()>) {
        assert_eq!(text.parse(), zone);
    }

    #[rstest]
    #[case("example.com", None)]
    #[case(".svc.x", None)]
    #[case("web.svc.a.z", Some("web"))]
    fn other_hostnames_have_no_service_in_them(#[case] hostname: &str, #[case] name: Option<&str>) {
        assert_eq!(service_in(hostname), name);
    }
}
