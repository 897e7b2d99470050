//! The zones that CNS serves, and which networks each publishes (reference 3.1).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use triton::id::{NetworkId, ParseIdError};

use super::names::is_host_name;

/// How much of a wrong name an error repeats.
const SHOWN_CHARACTERS: usize = 64;

/// The forward zones, in the order in which names are listed, and which names are made.
///
/// As text it has the shape of the real CNS's configuration:
///
/// ```
/// use triton_sim::cns::ZoneConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: ZoneConfig = toml::from_str(
///     r#"
///     use_alias = true
///     zones = [
///         { name = "dc1.triton.zone", networks = ["3985900d-15a8-42d8-a997-1f7e8df2d0af"] },
///         { name = "dc1.cns.example.net", networks = ["*"] },
///     ]
///     "#,
/// )?;
/// assert_eq!(config.zones().len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// Reverse zones are not configured: there is one per /24 in which an address is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ZoneConfig {
    use_login: bool,
    use_alias: bool,
    zones: Vec<ForwardZone>,
}

/// A zone with names of instances and services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardZone {
    /// Its name.
    pub name: ZoneName,
    /// The networks whose addresses it publishes.
    pub networks: Networks,
}

/// The name of a zone: host name, in lower case, without a dot at the end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(Arc<str>);

/// The networks that a zone publishes. As text a list: of ids, or of only `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum Networks {
    /// All that no other zone lists.
    Wildcard,
    /// These, never pools: a NIC knows its concrete network.
    Listed(Vec<NetworkId>),
}

/// Why zones cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidZones {
    /// A name that no zone can have.
    #[error("{name:?} is not the name of a DNS zone; use a name such as dc1.triton.zone")]
    Name {
        /// The name, cut to a length that can be shown.
        name: String,
    },
    /// The same name twice.
    #[error("CNS zone {name} is configured twice; merge the networks of the two")]
    Twice {
        /// The name.
        name: ZoneName,
    },
    /// No zone at all.
    #[error("CNS has no zones; configure at least one, such as dc1.cns.example.net with networks [\"*\"]")]
    None,
    /// A network that is neither an id nor `*`.
    #[error("a network of a CNS zone is neither a network's id nor \"*\"")]
    Network {
        /// Why it is not an id.
        #[source]
        source: ParseIdError,
    },
    /// `*` among ids.
    #[error("a CNS zone lists \"*\" and other networks; list only \"*\" or only ids")]
    Mixed,
}

impl ZoneConfig {
    /// These zones, with names made of aliases but not of logins, as in a fresh installation
    /// (reference 3.2).
    ///
    /// # Errors
    ///
    /// [`InvalidZones::None`] and [`InvalidZones::Twice`].
    pub fn new(zones: Vec<ForwardZone>) -> Result<Self, InvalidZones> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = zones.iter().find(|zone| !seen.insert(&zone.name)) {
            return Err(InvalidZones::Twice { name: twice.name.clone() });
        }
        if zones.is_empty() {
            Err(InvalidZones::None)
        } else {
            Ok(Self { use_login: false, use_alias: true, zones })
        }
    }

    /// The zones of the simulator: `<data centre>.triton.zone` with these networks, which are meant to be
    /// the public ones, and `<data centre>.cns.example.net` with all others (reference 7.6).
    ///
    /// # Errors
    ///
    /// [`InvalidZones::Name`] when the name of the data centre cannot be part of a DNS name.
    pub fn of_data_center(
        name: &str,
        public: impl IntoIterator<Item = NetworkId>,
    ) -> Result<Self, InvalidZones> {
        let public = Networks::Listed(public.into_iter().collect());
        Self::new(vec![
            ForwardZone { name: ZoneName::new(&format!("{name}.triton.zone"))?, networks: public },
            ForwardZone {
                name: ZoneName::new(&format!("{name}.cns.example.net"))?,
                networks: Networks::Wildcard,
            },
        ])
    }

    /// The same zones with or without names made of the account's login.
    #[must_use]
    pub fn with_login(self, use_login: bool) -> Self {
        Self { use_login, ..self }
    }

    /// The same zones with or without names made of the instance's alias.
    #[must_use]
    pub fn with_alias(self, use_alias: bool) -> Self {
        Self { use_alias, ..self }
    }

    /// Whether there are names made of the account's login.
    pub fn use_login(&self) -> bool {
        self.use_login
    }

    /// Whether there are names made of the instance's alias.
    pub fn use_alias(&self) -> bool {
        self.use_alias
    }

    /// The zones in order; at least one.
    pub fn zones(&self) -> &[ForwardZone] {
        &self.zones
    }

    /// The zones that publish the addresses of a network: those that list it, else the wildcard ones.
    ///
    /// A wildcard zone takes what remains and no more: the real CNS's tests and operator's guide say so,
    /// and the example of reference 2.11 has the order of names that follows from it.
    pub fn zones_of(&self, network: NetworkId) -> impl Iterator<Item = &ForwardZone> {
        let is_listed = self.zones.iter().any(|zone| zone.networks.list(network));
        self.zones.iter().filter(move |zone| match zone.networks {
            Networks::Wildcard => !is_listed,
            Networks::Listed(_) => zone.networks.list(network),
        })
    }
}

impl Networks {
    fn list(&self, network: NetworkId) -> bool {
        matches!(self, Self::Listed(networks) if networks.contains(&network))
    }
}

impl ZoneName {
    /// A zone of this name, in any case, with or without a dot at the end.
    ///
    /// # Errors
    ///
    /// [`InvalidZones::Name`] when it is no host name.
    pub fn new(name: &str) -> Result<Self, InvalidZones> {
        let lower = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if is_host_name(&lower) {
            return Ok(Self(lower.into()));
        }
        Err(InvalidZones::Name { name: name.chars().take(SHOWN_CHARACTERS).collect() })
    }

    /// The name, such as `dc1.triton.zone`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ZoneName {
    type Error = InvalidZones;

    fn try_from(name: String) -> Result<Self, InvalidZones> {
        Self::new(&name)
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidZones;

    fn try_from(networks: Vec<String>) -> Result<Self, InvalidZones> {
        if !networks.iter().any(|network| network == "*") {
            let ids = networks.iter().map(|network| network.parse()).collect::<Result<_, _>>();
            return ids.map(Self::Listed).map_err(|source| InvalidZones::Network { source });
        }
        if networks.len() == 1 { Ok(Self::Wildcard) } else { Err(InvalidZones::Mixed) }
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        match networks {
            Networks::Wildcard => vec!["*".to_owned()],
            Networks::Listed(networks) => networks.iter().map(NetworkId::to_string).collect(),
        }
    }
}

/// A configuration as it is written, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    #[serde(default)]
    use_login: bool,
    #[serde(default = "yes")]
    use_alias: bool,
    zones: Vec<ForwardZone>,
}

fn yes() -> bool {
    true
}

impl TryFrom<Unchecked> for ZoneConfig {
    type Error = InvalidZones;

    fn try_from(unchecked: Unchecked) -> Result<Self, InvalidZones> {
        let config = Self::new(unchecked.zones)?;
        Ok(config.with_login(unchecked.use_login).with_alias(unchecked.use_alias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "3985900d-15a8-42d8-a997-1f7e8df2d0af";
    const OTHER: &str = "ac336e0f-8532-4e0e-a19e-7cd5bdd62817";

    fn zones_of(config: &str, network: &str) -> Vec<String> {
        let config: ZoneConfig = serde_json::from_str(config).unwrap();
        config.zones_of(network.parse().unwrap()).map(|zone| zone.name.to_string()).collect()
    }

    #[test]
    fn a_wildcard_zone_takes_the_networks_that_no_other_zone_lists() {
        let config = format!(
            r#"{{"zones": [{{"name": "rest", "networks": ["*"]}}, {{"name": "a", "networks": ["{PUBLIC}"]}},
                {{"name": "b", "networks": ["{PUBLIC}"]}}, {{"name": "none", "networks": []}}]}}"#
        );
        assert_eq!(zones_of(&config, PUBLIC), ["a", "b"]);
        assert_eq!(zones_of(&config, OTHER), ["rest"]);
    }

    #[test]
    fn without_a_wildcard_zone_other_networks_are_not_published() {
        let config = format!(r#"{{"zones": [{{"name": "a", "networks": ["{PUBLIC}"]}}]}}"#);
        assert!(zones_of(&config, OTHER).is_empty());
    }

    #[test]
    fn the_zones_of_a_data_centre_are_written_and_read_again() {
        let config = ZoneConfig::of_data_center("DC1", [PUBLIC.parse().unwrap()]).unwrap().with_login(true);
        let text = serde_json::to_string(&config).unwrap();
        let expected = serde_json::json!({
            "use_login": true,
            "use_alias": true,
            "zones": [
                { "name": "dc1.triton.zone", "networks": [PUBLIC] },
                { "name": "dc1.cns.example.net", "networks": ["*"] },
            ],
        });
        assert_eq!(serde_json::to_value(&config).unwrap(), expected);
        assert_eq!(serde_json::from_str::<ZoneConfig>(&text).unwrap(), config);
        let file = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<ZoneConfig>(&file).unwrap(), config);
    }

    #[test]
    fn what_cannot_be_served_is_refused_in_one_line() {
        let long = "a".repeat(64);
        let refused = [
            (r#"{"zones": []}"#.to_owned(), "CNS has no zones"),
            (r#"{"zones": [{"name": "a b", "networks": []}]}"#.to_owned(), r#""a b" is not the name"#),
            (format!(r#"{{"zones": [{{"name": "{long}", "networks": []}}]}}"#), "is not the name"),
            (
                r#"{"zones": [{"name": "a", "networks": []}, {"name": "A.", "networks": []}]}"#.to_owned(),
                "CNS zone a is configured twice",
            ),
            (r#"{"zones": [{"name": "a", "networks": ["external"]}]}"#.to_owned(), "neither a network's id"),
            (
                format!(r#"{{"zones": [{{"name": "a", "networks": ["*", "{PUBLIC}"]}}]}}"#),
                r#"lists "*" and other networks"#,
            ),
            (r#"{"zones": [{"name": "a", "networks": [], "ttl": 5}]}"#.to_owned(), "unknown field `ttl`"),
            (r#"{"zones": [], "reverse": []}"#.to_owned(), "unknown field `reverse`"),
        ];
        for (config, message) in refused {
            let error = serde_json::from_str::<ZoneConfig>(&config).unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains('\n'), "{config}: {error}");
        }
    }
}
