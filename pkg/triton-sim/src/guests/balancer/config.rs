//! How an instance is configured as a load balancer: its metadata, read as the image does. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::portmap::{self, Designation};
use crate::view::InstanceView;

/// The name of the image that is one.
pub(in crate::guests) const IMAGE: &str = "cloud-load-balancer";

const ENABLED: &str = "cloud.tritoncompute:loadbalancer";
const PORTMAP: &str = "cloud.tritoncompute:portmap";
const MAX_SERVERS: &str = "cloud.tritoncompute:max_rs";
const CERTIFICATE_NAMES: &str = "cloud.tritoncompute:certificate_name";
const METRICS_ACL: &str = "cloud.tritoncompute:metrics_acl";
const METRICS_PORT: &str = "cloud.tritoncompute:metrics_port";

/// Servers for each backend: the fewest and the most that can be asked for.
const SERVERS: (usize, usize) = (32, 1024);
/// Where metrics are unless the metadata says otherwise.
const DEFAULT_METRICS_PORT: u16 = 8405;

/// The configuration of a load balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::guests) struct Config {
    /// Its ports, each once: of several designations of a port the first.
    pub(super) ports: Vec<Designation>,
    /// The most servers of each backend.
    pub(super) max_servers: usize,
    /// The names of its certificate.
    pub(super) names: Vec<String>,
    /// Where its metrics are, and who may read them.
    pub(super) metrics: Option<Metrics>,
}

/// The metrics of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metrics {
    pub(super) port: u16,
    acl: Vec<IpNet>,
}

impl Metrics {
    /// Whether this client may read them.
    pub(super) fn admits(&self, client: IpAddr) -> bool {
        self.acl.iter().any(|network| network.contains(&client))
    }
}

impl Config {
    /// The configuration of an instance; `None` when it is no load balancer. With it the designations that were passed
    /// over.
    pub(in crate::guests) fn of(view: &InstanceView) -> Option<(Self, Vec<&str>)> {
        let text = |key| view.metadata.get(key).map(|text| text.trim()).unwrap_or_default();
        if *view.image_name != *IMAGE || !text(ENABLED).eq_ignore_ascii_case("true") {
            return None;
        }
        let (mut ports, wrong) = portmap::parse(text(PORTMAP));
        let mut taken = Vec::new();
        ports.retain(|port| {
            !taken.contains(&port.listen) && {
                taken.push(port.listen);
                true
            }
        });
        let words = |key| text(key).split([',', ' ']).filter(|word| !word.is_empty());
        let acl: Vec<IpNet> = words(METRICS_ACL).filter_map(network).collect();
        let metrics_port = text(METRICS_PORT).parse().ok().filter(|port| *port != 0);
        let metrics = Metrics { port: metrics_port.unwrap_or(DEFAULT_METRICS_PORT), acl };
        let config = Self {
            ports,
            max_servers: text(MAX_SERVERS).parse().unwrap_or(SERVERS.0).clamp(SERVERS.0, SERVERS.1),
            names: words(CERTIFICATE_NAMES).map(str::to_owned).collect(),
            metrics: Some(metrics).filter(|metrics| !metrics.acl.is_empty()),
        };
        Some((config, wrong))
    }

    /// The ports that it listens on.
    pub(in crate::guests) fn listens(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().map(|port| port.listen).chain(self.metrics.as_ref().map(|metrics| metrics.port))
    }
}

/// A network, or one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::fixture;

    fn balancer(metadata: &[(&str, &str)]) -> InstanceView {
        let mut view = fixture::view();
        view.image_name = IMAGE.into();
        view.metadata =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        view
    }

    #[test]
    fn only_the_image_with_its_key_is_a_load_balancer() {
        let enabled = balancer(&[(ENABLED, " True\n")]);
        assert!(Config::of(&enabled).is_some());
        assert_eq!(Config::of(&balancer(&[(ENABLED, "yes")])), None);
        assert_eq!(Config::of(&balancer(&[(PORTMAP, "tcp://1:a:2")])), None);
        assert_eq!(Config::of(&InstanceView { image_name: "ubuntu".into(), ..enabled }), None);
    }

    #[test]
    fn metadata_is_read_as_the_image_reads_it() {
        let view = balancer(&[
            (ENABLED, "true"),
            (PORTMAP, "tcp://80:a:1 nonsense tcp://80:b:2 tcp://81:c:3"),
            (MAX_SERVERS, "5000"),
            (CERTIFICATE_NAMES, "a.example, b.example"),
            (METRICS_ACL, "198.51.100.0/24 192.168.128.7"),
            (METRICS_PORT, "9000"),
        ]);
        let (config, wrong) = Config::of(&view).unwrap();
        assert_eq!(wrong, ["nonsense"]);
        assert_eq!(config.listens().collect::<Vec<_>>(), [80, 81, 9000]);
        assert_eq!((config.ports[0].name.as_str(), config.max_servers), ("a", 1024));
        assert_eq!(config.names, ["a.example", "b.example"]);
        let metrics = config.metrics.unwrap();
        let admits = |client: &str| metrics.admits(client.parse().unwrap());
        assert!(admits("198.51.100.9") && admits("192.168.128.7") && !admits("192.168.128.8"));
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let (config, _) = Config::of(&balancer(&[(ENABLED, "true"), (METRICS_PORT, "9000")])).unwrap();
        assert_eq!(config, Config { max_servers: 32, ..Config::default() });
    }
}
