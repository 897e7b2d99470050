//! On which ports a guest answers, and how. Pure.
//!
//! A text says so: `http:80,tcp:5432,http:8080`, a list of services with their ports, blanks allowed around each;
//! `none` alone stands for no port at all. Services are
//!
//! - `ssh`: an SSH server, see [`super`],
//! - `http`: a small web server, see [`super`],
//! - `tcp`: sends back what it gets.
//!
//! It is looked for in the metadata key `sim.ports` (which a pod's annotation of that name becomes, and which the
//! guest itself may write), the instance's tag, and the image's tag of that name; without any, a guest has
//! [`DEFAULT`]. A text that cannot be read is logged and passed over. At most [`MOST_PORTS`] ports, each once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::balancer;
use crate::view::InstanceView;

/// The key in metadata and tags.
pub const KEY: &str = "sim.ports";
/// What guests have that nobody said anything about.
pub const DEFAULT: &str = "ssh:22,http:80";
/// What load balancers have beside the ports that they are to forward.
const DEFAULT_OF_BALANCERS: &str = "ssh:22";
/// The most ports of one guest.
pub const MOST_PORTS: usize = 16;

/// What answers on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// An SSH server.
    Ssh,
    /// A web server.
    Http,
    /// An echo.
    Tcp,
    /// A port of a load balancer, see [`super`]. Its own metadata asks for it, no text.
    Balancer,
}

/// The ports of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports(BTreeMap<u16, Service>);

/// Why a text does not name ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// One of the list is not `SERVICE:PORT`.
    #[error("{0:?} is not a port of a guest: write ssh, http or tcp, a colon, and a number from 1 to 65535")]
    Entry(String),
    /// A port is there twice.
    #[error("the port {0} is there twice")]
    Twice(u16),
    /// There are too many.
    #[error("there are more than {MOST_PORTS} ports")]
    TooMany,
}

impl Ports {
    /// The ports with their services, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Service)> {
        self.0.iter().map(|(port, service)| (*port, *service))
    }
}

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, PortsError> {
        let mut ports = BTreeMap::new();
        if text.trim() == "none" {
            return Ok(Self(ports));
        }
        for entry in text.split(',').map(str::trim) {
            let (port, service) = parse_entry(entry)
                .ok_or_else(|| PortsError::Entry(entry.chars().take(SHOWN_CHARACTERS).collect()))?;
            if ports.insert(port, service).is_some() {
                return Err(PortsError::Twice(port));
            }
            if ports.len() > MOST_PORTS {
                return Err(PortsError::TooMany);
            }
        }
        Ok(Self(ports))
    }
}

/// How much of a wrong entry an error repeats.
const SHOWN_CHARACTERS: usize = 64;

fn parse_entry(entry: &str) -> Option<(u16, Service)> {
    let (service, port) = entry.split_once(':')?;
    let service = match service.trim_end() {
        "ssh" => Service::Ssh,
        "http" => Service::Http,
        "tcp" => Service::Tcp,
        _ => return None,
    };
    let port = port.trim_start();
    let digits = port.bytes().all(|digit| digit.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some((port, service))
}

/// The ports of an instance, and the texts that were passed over with the reason.
pub fn of(view: &InstanceView) -> (Ports, Vec<PortsError>) {
    let metadata = view.metadata.get(KEY).map(|text| Cow::Borrowed(text.as_str()));
    let default = if *view.image_name == *balancer::IMAGE { DEFAULT_OF_BALANCERS } else { DEFAULT };
    let texts = [metadata, tag(&view.tags), tag(&view.image_tags), Some(Cow::Borrowed(default))];
    let mut errors = Vec::new();
    for text in texts.into_iter().flatten() {
        match text.parse() {
            Ok(ports) => return (ports, errors),
            Err(error) => errors.push(error),
        }
    }
    (Ports::default(), errors)
}

fn tag(tags: &BTreeMap<String, Value>) -> Option<Cow<'_, str>> {
    tags.get(KEY).map(|value| match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::guests::fixture;

    fn ports(list: &[(u16, Service)]) -> Ports {
        Ports(list.iter().copied().collect())
    }

    #[rstest]
    #[case("http:80", &[(80, Service::Http)])]
    #[case(" tcp : 5432 ,http:80, ssh:2222 ", &[(80, Service::Http), (2222, Service::Ssh), (5432, Service::Tcp)])]
    #[case("none", &[])]
    #[case(DEFAULT, &[(22, Service::Ssh), (80, Service::Http)])]
    fn ports_are_read(#[case] text: &str, #[case] expected: &[(u16, Service)]) {
        assert_eq!(text.parse(), Ok(ports(expected)));
    }

    #[rstest]
    #[case("", "\"\" is not a port")]
    #[case("80", "\"80\" is not a port")]
    #[case("http:", "is not a port")]
    #[case("http:0", "is not a port")]
    #[case("http:65536", "is not a port")]
    #[case("http:+80", "is not a port")]
    #[case("udp:53", "\"udp:53\" is not a port")]
    #[case("http:80,", "is not a port")]
    #[case("none,http:80", "is not a port")]
    #[case("http:80,tcp:80", "80 is there twice")]
    fn what_names_no_ports_is_refused(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<Ports>().expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_guest_has_a_limited_number_of_ports() {
        let text = |count: usize| (1..=count).map(|n| format!("tcp:{n}")).collect::<Vec<_>>().join(",");
        assert!(text(MOST_PORTS).parse::<Ports>().is_ok());
        assert_eq!(text(MOST_PORTS + 1).parse::<Ports>(), Err(PortsError::TooMany));
    }

    #[test]
    fn metadata_counts_before_tags_and_tags_before_those_of_the_image() {
        let mut view = fixture::view();
        let check = |view: &InstanceView, expected: &[(u16, Service)], errors: usize| {
            let (actual, passed_over) = of(view);
            assert_eq!((actual, passed_over.len()), (ports(expected), errors));
        };
        check(&view, &[(22, Service::Ssh), (80, Service::Http)], 0);
        view.image_tags.insert(KEY.to_owned(), json!("tcp:1"));
        check(&view, &[(1, Service::Tcp)], 0);
        view.tags.insert(KEY.to_owned(), json!("tcp:2"));
        check(&view, &[(2, Service::Tcp)], 0);
        view.metadata.insert(KEY.to_owned(), "none".to_owned());
        check(&view, &[], 0);
        view.metadata.insert(KEY.to_owned(), "http".to_owned());
        view.tags.insert(KEY.to_owned(), json!(80));
        check(&view, &[(1, Service::Tcp)], 2);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}|[a-z:,0-9 ]{0,40}") {
            let _ = text.parse::<Ports>();
        }
    }
}
