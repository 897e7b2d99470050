//! What a Service asks for by its annotations, and what it asks for in vain.

use std::collections::BTreeMap;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use provider::names::annotation;

use super::Note;
use crate::names::SOURCE_RANGES;
use crate::service::annotation::{UNSUPPORTED, invalid, value};
use crate::service::hostname::Zone;

/// The most load balancers of one Service: as many A records fit into one answer (Triton reference 9), with room to spare.
const MOST_REPLICAS: usize = 32;
/// How many servers there may be behind a port (Triton reference 9).
const SERVERS: std::ops::RangeInclusive<u16> = 32..=1024;
/// The ways in which the image forwards. `tcp-proxy-v2` is younger than the reference.
const TYPES: [&str; 6] = ["tcp", "http", "https-http", "https", "https+insecure", "tcp-proxy-v2"];

/// What the annotations say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How many load balancers there are to be, where it is said.
    pub replicas: Option<usize>,
    /// The package, by id or name, where it is said.
    pub package: Option<String>,
    /// The networks, by id or name, where they are said.
    pub networks: Vec<String>,
    /// Which name the status has.
    pub zone: Zone,
    /// How ports are forwarded, by name or number.
    types: BTreeMap<String, &'static str>,
    /// What servers must answer.
    pub check_path: Option<String>,
    /// The names of the certificate.
    pub certificate_names: Vec<String>,
    /// Who may read metrics.
    pub metrics_acl: Vec<IpNet>,
    /// How many servers there may be.
    pub max_servers: Option<u16>,
}

impl Wishes {
    /// Reads the annotations. One that means nothing is as if it were not there, and noted.
    pub fn read(service: &Service) -> (Self, Vec<Note>) {
        let mut notes = Vec::new();
        let mut read = |name, allowed: &str, parse: &mut dyn FnMut(&str) -> Option<()>| {
            if let Some(text) = value(service, name)
                && parse(text).is_none()
            {
                notes.push(invalid(name, text, allowed));
            }
        };
        let mut wishes = Self::default();
        read(annotation::BALANCER_REPLICAS, "a number from 1 to 32", &mut |text| {
            wishes.replicas = Some(text.parse().ok().filter(|count| (1..=MOST_REPLICAS).contains(count))?);
            Some(())
        });
        read(annotation::PACKAGE, "the name or id of a package", &mut |text| {
            wishes.package = Some(Some(text).filter(|text| !text.is_empty())?.to_owned());
            Some(())
        });
        read(annotation::NETWORKS, "names or ids of networks, separated by commas", &mut |text| {
            wishes.networks = words(text);
            (!wishes.networks.is_empty()).then_some(())
        });
        read(annotation::CNS_ZONE, "public, private or network:NAME", &mut |text| {
            wishes.zone = text.parse().ok()?;
            Some(())
        });
        let types = format!("pairs of a port and one of {}, such as 443=https-http", TYPES.join(", "));
        read(annotation::BALANCER_PORTS, &types, &mut |text| {
            let pairs = words(text).into_iter().map(|pair| {
                let (port, kind) = pair.split_once('=')?;
                Some((port.trim().to_owned(), TYPES.into_iter().find(|known| *known == kind.trim())?))
            });
            wishes.types = pairs.collect::<Option<_>>()?;
            Some(())
        });
        read(annotation::HEALTH_CHECK_PATH, "a path such as /healthz", &mut |text| {
            wishes.check_path = Some(Some(text).filter(|text| is_path(text))?.to_owned());
            Some(())
        });
        read(annotation::CERTIFICATE_NAMES, "DNS names, separated by commas", &mut |text| {
            let names = words(text);
            let is_name =
                |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.*".contains(&b));
            wishes.certificate_names = Some(names).filter(|names| names.iter().all(is_name))?;
            Some(())
        });
        read(annotation::METRICS_ACL, "networks such as 10.0.0.0/8, separated by commas", &mut |text| {
            wishes.metrics_acl = words(text).iter().map(|word| word.parse().ok()).collect::<Option<_>>()?;
            Some(())
        });
        read(annotation::MAX_SERVERS, "a number from 32 to 1024", &mut |text| {
            wishes.max_servers = Some(text.parse().ok().filter(|count| SERVERS.contains(count))?);
            Some(())
        });
        (wishes, notes)
    }

    /// How a port is forwarded: as an annotation says, else by its `appProtocol`, else as bytes.
    pub fn type_of(&self, port: &ServicePort) -> &'static str {
        let named = port.name.as_ref().and_then(|name| self.types.get(name));
        let said = named.or_else(|| self.types.get(&port.port.to_string()));
        let by_protocol = || match port.app_protocol.as_deref() {
            Some("http" | "kubernetes.io/ws") => "http",
            _ => "tcp",
        };
        said.copied().unwrap_or_else(by_protocol)
    }
}

/// The fields that load balancers cannot do, each with what can be done instead.
pub fn unsupported(service: &Service) -> Vec<Note> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let annotations = service.metadata.annotations.as_ref();
    let mut notes = Vec::new();
    let mut note = |field: &str, why: &str| notes.push(Note::warning(UNSUPPORTED, format!("{field} {why}")));
    if spec.load_balancer_ip.as_deref().is_some_and(|ip| !ip.is_empty()) {
        note(
            "spec.loadBalancerIP",
            "is ignored: Triton chooses the addresses of instances; remove the field",
        );
    }
    let ranges =
        "is not enforced: load balancers take every client; use firewall rules of Triton or a NetworkPolicy";
    if spec.load_balancer_source_ranges.as_ref().is_some_and(|ranges| !ranges.is_empty()) {
        note("spec.loadBalancerSourceRanges", ranges);
    }
    if annotations.is_some_and(|all| all.contains_key(SOURCE_RANGES)) {
        note(&format!("annotation {SOURCE_RANGES}"), ranges);
    }
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        let why = "does not hold through load balancers, whose addresses nodes see; ports of type http have a cookie \
                   instead, see annotation tritondatacenter.com/load-balancer-ports";
        note("spec.sessionAffinity", why);
    }
    for port in spec.ports.iter().flatten() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        if protocol != "TCP" {
            let field = format!("spec.ports: port {} of protocol {protocol}", port.port);
            note(
                &field,
                "is not forwarded: load balancers know TCP and HTTP; use class tritondatacenter.com/cns for it",
            );
        }
    }
    notes
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What can be a path within the braces of a port map.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && !b",{}\"'\\#".contains(&b))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn annotated(name: &str, text: &str) -> Service {
        let key = format!("tritondatacenter.com/{name}");
        serde_json::from_value(json!({"metadata": {"annotations": {key: text}}})).unwrap()
    }

    fn port(port: Value) -> ServicePort {
        serde_json::from_value(port).unwrap()
    }

    #[rstest]
    #[case("load-balancer-replicas", "3", Wishes { replicas: Some(3), ..Wishes::default() })]
    #[case("package", "g1.nano", Wishes { package: Some("g1.nano".to_owned()), ..Wishes::default() })]
    #[case("networks", "a, b", Wishes { networks: vec!["a".to_owned(), "b".to_owned()], ..Wishes::default() })]
    #[case("cns-zone", "private", Wishes { zone: Zone::Private, ..Wishes::default() })]
    #[case("health-check-path", "/ok?a=b", Wishes { check_path: Some("/ok?a=b".to_owned()), ..Wishes::default() })]
    #[case("certificate-names", "a.example", Wishes { certificate_names: vec!["a.example".to_owned()], ..Wishes::default() })]
    #[case("metrics-acl", "10.0.0.0/8", Wishes { metrics_acl: vec!["10.0.0.0/8".parse().unwrap()], ..Wishes::default() })]
    #[case("max-servers", "64", Wishes { max_servers: Some(64), ..Wishes::default() })]
    #[case("other", "x", Wishes::default())]
    fn annotations_are_wishes(#[case] name: &str, #[case] text: &str, #[case] wishes: Wishes) {
        assert_eq!(Wishes::read(&annotated(name, text)), (wishes, vec![]));
    }

    #[rstest]
    #[case("load-balancer-replicas", "0")]
    #[case("load-balancer-replicas", "33")]
    #[case("networks", ",")]
    #[case("package", "")]
    #[case("load-balancer-ports", "80=udp")]
    #[case("load-balancer-ports", "80")]
    #[case("health-check-path", "healthz")]
    #[case("health-check-path", "/a,port:22")]
    #[case("certificate-names", "a b")]
    #[case("metrics-acl", "everybody")]
    #[case("max-servers", "8")]
    fn what_means_nothing_is_noted(#[case] name: &str, #[case] text: &str) {
        let (wishes, notes) = Wishes::read(&annotated(name, text));
        assert_eq!(wishes, Wishes::default());
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(note.text.contains(name) && note.text.contains(&format!("{text:?}")), "{note:?}");
    }

    #[test]
    fn a_port_is_forwarded_as_it_is_said() {
        let (wishes, _) = Wishes::read(&annotated("load-balancer-ports", "web = https-http, 80=http"));
        assert_eq!(wishes.type_of(&port(json!({"port": 443, "name": "web"}))), "https-http");
        assert_eq!(wishes.type_of(&port(json!({"port": 80, "name": "b"}))), "http");
        assert_eq!(wishes.type_of(&port(json!({"port": 81, "appProtocol": "http"}))), "http");
        assert_eq!(wishes.type_of(&port(json!({"port": 443, "appProtocol": "https"}))), "tcp");
        assert_eq!(wishes.type_of(&port(json!({"port": 5432}))), "tcp");
    }

    #[rstest]
    #[case(json!({"loadBalancerIP": "10.0.0.1"}), &["spec.loadBalancerIP"])]
    #[case(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}), &["spec.loadBalancerSourceRanges"])]
    #[case(json!({"sessionAffinity": "ClientIP"}), &["spec.sessionAffinity"])]
    #[case(json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}), &["spec.ports:"])]
    #[case(json!({"ports": [{"port": 80}], "loadBalancerIP": "", "loadBalancerSourceRanges": []}), &[])]
    fn fields_that_have_no_effect_are_named(#[case] spec: Value, #[case] fields: &[&str]) {
        let service = serde_json::from_value(json!({"spec": spec})).unwrap();
        let notes = unsupported(&service);
        let named: Vec<&str> = notes.iter().filter_map(|note| note.text.split(' ').next()).collect();
        assert_eq!(named, fields);
    }
}
