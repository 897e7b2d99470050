//! The labels of a Node that are ours. Pure.

use std::collections::BTreeMap;

use provider::names::label;
use triton::types::Instance;

use crate::names::{INSTANCE_TYPE, REGION, ZONE};

/// The longest value of a label.
const LONGEST: usize = 63;

/// Where the machines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the data centre, which is in provider IDs.
    pub datacenter: String,
    /// The zone: the data centre.
    pub zone: String,
    /// The region: the data centre too, unless the operator says which data centres belong together.
    pub region: String,
}

/// The labels that a Node of this instance has. What CloudAPI does not say now is left out, and so stays as it is.
pub fn labels(instance: &Instance, place: &Place) -> BTreeMap<&'static str, String> {
    let package = instance.package.as_deref().map(value);
    let brand = instance.brand.as_str();
    let pairs = [
        (INSTANCE_TYPE[0], package.clone()),
        (INSTANCE_TYPE[1], package.clone()),
        (ZONE[0], Some(value(&place.zone))),
        (ZONE[1], Some(value(&place.zone))),
        (REGION[0], Some(value(&place.region))),
        (REGION[1], Some(value(&place.region))),
        (label::COMPUTE_NODE, instance.compute_node.map(|id| id.to_string())),
        (label::BRAND, Some(value(brand))),
        (label::PACKAGE, package),
        (label::IMAGE, instance.image.map(|id| id.to_string())),
    ];
    let known = pairs.into_iter().filter_map(|(key, text)| Some((key, text?)));
    known.filter(|(_, text)| !text.is_empty()).collect()
}

/// A text as the value of a label: what cannot be in one becomes a hyphen, and its ends are letters or digits.
fn value(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let cut: String = text.chars().map(allowed).take(LONGEST).collect();
    cut.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

    fn place() -> Place {
        Place { datacenter: "us-east-1".into(), zone: "us-east-1".into(), region: "us-east".into() }
    }

    #[test]
    fn a_machine_has_type_zone_region_and_what_triton_knows() {
        let instance = json!({
            "id": ID, "brand": "bhyve", "package": "b1.medium", "image": ID, "compute_node": ID, "state": "running",
        });
        let instance: Instance = serde_json::from_value(instance).unwrap();
        let expected = [
            ("beta.kubernetes.io/instance-type", "b1.medium"),
            ("failure-domain.beta.kubernetes.io/region", "us-east"),
            ("failure-domain.beta.kubernetes.io/zone", "us-east-1"),
            ("node.kubernetes.io/instance-type", "b1.medium"),
            ("topology.kubernetes.io/region", "us-east"),
            ("topology.kubernetes.io/zone", "us-east-1"),
            ("tritondatacenter.com/brand", "bhyve"),
            ("tritondatacenter.com/compute-node", ID),
            ("tritondatacenter.com/image", ID),
            ("tritondatacenter.com/package", "b1.medium"),
        ];
        let labels = labels(&instance, &place());
        let labels: Vec<_> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let instance: Instance = serde_json::from_value(json!({"id": ID})).unwrap();
        let labels = labels(&instance, &place());
        assert!(labels.keys().all(|key| key.contains("zone") || key.contains("region")), "{labels:?}");
    }

    #[rstest]
    #[case("g1.micro", "g1.micro")]
    #[case("g4 highcpu/1G", "g4-highcpu-1G")]
    #[case("-x-", "x")]
    #[case("ü", "")]
    fn any_name_fits_into_a_label(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(value(text), expected);
    }

    proptest! {
        #[test]
        fn every_value_is_one_that_kubernetes_takes(text: String) {
            let value = value(&text);
            let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
            prop_assert!(value.len() <= LONGEST && ends(value.chars().next()) && ends(value.chars().last()));
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        }
    }
}
