//! What a Service asks for by its annotations, and what it asks for in vain. Pure.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use provider::cns::Exposure;
use provider::names::annotation;

use super::Note;
use super::annotation::{UNSUPPORTED, invalid, value};
use super::hostname::Zone;
use super::membership::{PANIC_THRESHOLD, Rules};
use crate::names::SOURCE_RANGES;

/// What the annotations say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Who is in.
    pub rules: Rules,
    /// Which name the status has.
    pub zone: Zone,
}

impl Wishes {
    /// Reads the annotations. One that means nothing is as if it were not there, and noted.
    pub fn read(service: &Service) -> (Self, Vec<Note>) {
        let mut notes = Vec::new();
        let mut wishes = Self::default();
        if let Some(text) = value(service, annotation::PUBLISH_EMPTY) {
            match text {
                "true" => wishes.rules.publish_empty = true,
                "false" => {}
                _ => notes.push(invalid(annotation::PUBLISH_EMPTY, text, "true or false")),
            }
        }
        if let Some(text) = value(service, annotation::PANIC_THRESHOLD) {
            match text.strip_suffix('%').unwrap_or(text).parse::<u8>() {
                Ok(threshold) if threshold <= 100 => wishes.rules.panic_threshold = threshold,
                _ => {
                    let allowed = format!("a percentage such as {PANIC_THRESHOLD}");
                    notes.push(invalid(annotation::PANIC_THRESHOLD, text, &allowed));
                }
            }
        }
        if let Some(text) = value(service, annotation::MAX_ENDPOINTS) {
            match text.parse() {
                Ok(most) => wishes.rules.most = Some(most),
                Err(_) => notes.push(invalid(annotation::MAX_ENDPOINTS, text, "a number from 1")),
            }
        }
        if let Some(text) = value(service, annotation::CNS_ZONE) {
            match text.parse() {
                Ok(zone) => wishes.zone = zone,
                Err(()) => {
                    notes.push(invalid(annotation::CNS_ZONE, text, "public, private or network:NAME"));
                }
            }
        }
        (wishes, notes)
    }
}

/// The fields that CNS cannot do, each with what can be done instead. Where clients do not use CNS, that is no concern of
/// theirs.
pub fn unsupported(service: &Service, exposure: Exposure) -> Vec<Note> {
    let Some(spec) = service.spec.as_ref().filter(|_| exposure != Exposure::Balanced) else {
        return Vec::new();
    };
    let annotations = service.metadata.annotations.as_ref();
    let has_ranges = spec.load_balancer_source_ranges.as_ref().is_some_and(|ranges| !ranges.is_empty());
    let has_annotation = annotations.is_some_and(|all| all.contains_key(SOURCE_RANGES));
    let is_balancer = exposure == Exposure::LoadBalancer;
    let mut notes = Vec::new();
    let mut note = |field: &str, why: &str| notes.push(Note::warning(UNSUPPORTED, format!("{field} {why}")));
    if is_balancer && spec.load_balancer_ip.as_deref().is_some_and(|ip| !ip.is_empty()) {
        note(
            "spec.loadBalancerIP",
            "is ignored: CNS answers with the addresses of nodes and pods; remove the field",
        );
    }
    let ranges = "is not enforced: DNS has no sources; use firewall rules of Triton or a NetworkPolicy";
    if is_balancer && has_ranges {
        note("spec.loadBalancerSourceRanges", ranges);
    }
    if is_balancer && has_annotation {
        note(&format!("annotation {SOURCE_RANGES}"), ranges);
    }
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        note(
            "spec.sessionAffinity",
            "holds within one node only: clients may be given another address each time; set it to None",
        );
    }
    for protocol in other_protocols(spec) {
        note(
            "spec.ports",
            &format!(
                "of protocol {protocol} have addresses only: CNS's SRV records are for TCP, and it checks nobody's health; \
                 give clients the port by other means"
            ),
        );
    }
    notes
}

/// The protocols but TCP, each once.
fn other_protocols(spec: &ServiceSpec) -> Vec<&str> {
    let protocols = spec.ports.iter().flatten().filter_map(|port| port.protocol.as_deref());
    let mut protocols: Vec<&str> = protocols.filter(|protocol| *protocol != "TCP").collect();
    protocols.sort_unstable();
    protocols.dedup();
    protocols
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

    fn rules(panic_threshold: u8, publish_empty: bool) -> Wishes {
        let rules = Rules { panic_threshold, publish_empty, ..Rules::default() };
        Wishes { rules, ..Wishes::default() }
    }

    #[rstest]
    #[case("publish-empty", "true", rules(50, true))]
    #[case("publish-empty", "false", rules(50, false))]
    #[case("max-endpoints", "3", Wishes { rules: Rules { most: 3.try_into().ok(), ..Rules::default() }, ..Wishes::default() })]
    #[case("panic-threshold", "30", rules(30, false))]
    #[case("panic-threshold", "100%", rules(100, false))]
    #[case("cns-zone", "private", Wishes { zone: Zone::Private, ..Wishes::default() })]
    #[case("other", "x", Wishes::default())]
    fn annotations_are_wishes(#[case] name: &str, #[case] text: &str, #[case] wishes: Wishes) {
        assert_eq!(Wishes::read(&annotated(name, text)), (wishes, vec![]));
    }

    #[rstest]
    #[case("publish-empty", "yes", "true or false")]
    #[case("panic-threshold", "101", "a percentage such as 50")]
    #[case("panic-threshold", "-1", "a percentage such as 50")]
    #[case("cns-zone", "network:", "network:NAME")]
    #[case("max-endpoints", "0", "a number from 1")]
    fn what_means_nothing_is_noted_with_what_may_be_there(
        #[case] name: &str,
        #[case] text: &str,
        #[case] allowed: &str,
    ) {
        let (wishes, notes) = Wishes::read(&annotated(name, text));
        assert_eq!(wishes, Wishes::default());
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(
            note.text.contains(name) && note.text.contains(text) && note.text.contains(allowed),
            "{note:?}"
        );
    }

    #[rstest]
    #[case(json!({"loadBalancerIP": "10.0.0.1"}), &["spec.loadBalancerIP"])]
    #[case(json!({"loadBalancerIP": ""}), &[])]
    #[case(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}), &["spec.loadBalancerSourceRanges"])]
    #[case(json!({"loadBalancerSourceRanges": []}), &[])]
    #[case(json!({"sessionAffinity": "ClientIP"}), &["spec.sessionAffinity"])]
    #[case(json!({"sessionAffinity": "None"}), &[])]
    #[case(json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 54, "protocol": "UDP"}]}), &["spec.ports"])]
    #[case(json!({"ports": [{"port": 53, "protocol": "TCP"}]}), &[])]
    fn fields_that_dns_cannot_do_are_named(#[case] spec: Value, #[case] fields: &[&str]) {
        let service = serde_json::from_value(json!({"spec": spec})).unwrap();
        let notes = unsupported(&service, Exposure::LoadBalancer);
        let named: Vec<&str> = notes.iter().filter_map(|note| note.text.split(' ').next()).collect();
        assert_eq!(named, fields);
    }

    #[test]
    fn the_older_annotation_of_source_ranges_is_named_too() {
        let mut service = annotated("x", "y");
        service.spec = Some(ServiceSpec::default());
        let annotations = service.metadata.annotations.as_mut().unwrap();
        annotations.insert(SOURCE_RANGES.to_owned(), "10.0.0.0/8".to_owned());
        assert!(unsupported(&service, Exposure::LoadBalancer)[0].text.contains(SOURCE_RANGES));
        assert_eq!(unsupported(&service, Exposure::Annotated), []);
    }
}
