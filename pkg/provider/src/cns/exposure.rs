//! Which Services are in CNS at all.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::api::core::v1::Service;

use crate::names::{PREFIX, annotation, class};

/// How a Service comes to be in CNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It is of type LoadBalancer, and its class is CNS or the default.
    LoadBalancer,
    /// It is of type LoadBalancer and of the class of proxy instances, which find their servers in CNS. Clients do not.
    Balanced,
    /// It is of another type, and the annotation `tritondatacenter.com/cns-service` names its CNS service.
    Annotated,
}

/// What Services of type LoadBalancer without a class are exposed by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DefaultLoadBalancer {
    /// CNS.
    #[default]
    Cns,
    /// Nothing of ours: they are somebody else's.
    None,
}

/// The value of a flag is none of those that there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no load balancer; there are cns and none")]
pub struct UnknownLoadBalancer(String);

impl FromStr for DefaultLoadBalancer {
    type Err = UnknownLoadBalancer;

    fn from_str(text: &str) -> Result<Self, UnknownLoadBalancer> {
        match text {
            "cns" => Ok(Self::Cns),
            "none" => Ok(Self::None),
            _ => Err(UnknownLoadBalancer(text.to_owned())),
        }
    }
}

impl fmt::Display for DefaultLoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cns => "cns",
            Self::None => "none",
        })
    }
}

/// How a Service is in CNS, whether or not it is being deleted; `None` when it is not.
pub fn exposure(service: &Service, default: DefaultLoadBalancer) -> Option<Exposure> {
    let spec = service.spec.as_ref()?;
    match spec.type_.as_deref() {
        Some("LoadBalancer") => match spec.load_balancer_class.as_deref() {
            Some(class::CNS) => Some(Exposure::LoadBalancer),
            Some(class::MOIRAI) => Some(Exposure::Balanced),
            Some(_) => None,
            None => (default == DefaultLoadBalancer::Cns).then_some(Exposure::LoadBalancer),
        },
        // The names of other DNS: there is nothing that could be an instance.
        Some("ExternalName") => None,
        Some(_) | None => annotated(service).map(|_| Exposure::Annotated),
    }
}

/// The name that the annotation asks for, as it is written but for blanks around it.
pub(super) fn annotated(service: &Service) -> Option<&str> {
    let is_ours = |key: &str| key.strip_prefix(PREFIX) == Some(annotation::CNS_SERVICE);
    let annotations = service.metadata.annotations.as_ref()?;
    annotations.iter().find(|(key, _)| is_ours(key)).map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::without_a_class(json!({"type": "LoadBalancer"}), false, Some(Exposure::LoadBalancer), None)]
    #[case::our_class(
        json!({"type": "LoadBalancer", "loadBalancerClass": "tritondatacenter.com/cns"}), false,
        Some(Exposure::LoadBalancer), Some(Exposure::LoadBalancer)
    )]
    #[case::proxies(
        json!({"type": "LoadBalancer", "loadBalancerClass": "tritondatacenter.com/moirai"}), false,
        Some(Exposure::Balanced), Some(Exposure::Balanced)
    )]
    #[case::another_class(json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/a"}), true, None, None)]
    #[case::an_annotation_does_not_change_the_class(
        json!({"type": "LoadBalancer"}), true, Some(Exposure::LoadBalancer), None
    )]
    #[case::inside_the_cluster(json!({"type": "ClusterIP"}), false, None, None)]
    #[case::annotated(json!({"type": "ClusterIP"}), true, Some(Exposure::Annotated), Some(Exposure::Annotated))]
    #[case::headless(
        json!({"type": "ClusterIP", "clusterIP": "None"}), true, Some(Exposure::Annotated), Some(Exposure::Annotated)
    )]
    #[case::node_ports(json!({"type": "NodePort"}), true, Some(Exposure::Annotated), Some(Exposure::Annotated))]
    #[case::a_name_elsewhere(json!({"type": "ExternalName"}), true, None, None)]
    fn classes_and_the_annotation_decide(
        #[case] spec: Value,
        #[case] is_annotated: bool,
        #[case] by_default: Option<Exposure>,
        #[case] without_default: Option<Exposure>,
    ) {
        let annotations =
            if is_annotated { json!({"tritondatacenter.com/cns-service": "x"}) } else { json!({}) };
        let service = json!({"metadata": {"annotations": annotations}, "spec": spec});
        let service: Service = serde_json::from_value(service).unwrap();
        assert_eq!(exposure(&service, DefaultLoadBalancer::Cns), by_default);
        assert_eq!(exposure(&service, DefaultLoadBalancer::None), without_default);
    }

    #[rstest]
    #[case("cns")]
    #[case("none")]
    fn the_flags_values_read_as_they_print(#[case] text: &str) {
        assert_eq!(text.parse::<DefaultLoadBalancer>().unwrap().to_string(), text);
        assert!("moirai".parse::<DefaultLoadBalancer>().unwrap_err().to_string().contains("cns and none"));
    }
}
