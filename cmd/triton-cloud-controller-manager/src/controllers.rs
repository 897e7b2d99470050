//! `--controllers`, as the framework reads it: `*` for all, `name` for one, `-name` for all but one; the names are the
//! framework's, with its older aliases (Kubernetes reference 2.1).

use std::collections::BTreeSet;
use std::str::FromStr;

use cloud_controllers::controller::Kind;

/// The controllers that run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enabled(pub(super) BTreeSet<Kind>);

/// Name, alias, and what this program has for it.
const KNOWN: [(&str, &str, Kind); 5] = [
    ("cloud-node-controller", "cloud-node", Kind::Node),
    ("cloud-node-lifecycle-controller", "cloud-node-lifecycle", Kind::NodeLifecycle),
    ("service-lb-controller", "service", Kind::Service),
    ("node-route-controller", "route", Kind::Route),
    // Ours: the framework has none.
    ("node-metrics-controller", "metrics", Kind::Metrics),
];

/// The list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no controller; there are {names}", names = names())]
pub(super) struct UnknownController(String);

fn names() -> String {
    KNOWN.map(|(name, ..)| name).join(", ")
}

impl FromStr for Enabled {
    type Err = UnknownController;

    fn from_str(list: &str) -> Result<Self, UnknownController> {
        let words: Vec<&str> = list.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        let (mut all, mut named, mut excluded) = (false, BTreeSet::new(), BTreeSet::new());
        for word in words {
            if word == "*" {
                all = true;
                continue;
            }
            let (bare, set) = match word.strip_prefix('-') {
                Some(bare) => (bare, &mut excluded),
                None => (word, &mut named),
            };
            let known = KNOWN.iter().find(|(name, alias, _)| bare == *name || bare == *alias);
            set.insert(known.ok_or_else(|| UnknownController(bare.to_owned()))?.0);
        }
        // As in the framework: a name goes before its exclusion, and that before the star.
        let is_on = |name: &str| named.contains(name) || (all && !excluded.contains(name));
        Ok(Self(KNOWN.into_iter().filter(|(name, ..)| is_on(name)).map(|(.., kind)| kind).collect()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*", &[Kind::Node, Kind::NodeLifecycle, Kind::Service, Kind::Route, Kind::Metrics])]
    #[case("service", &[Kind::Service])]
    #[case("route", &[Kind::Route])]
    #[case("cloud-node", &[Kind::Node])]
    #[case("cloud-node-controller, cloud-node-lifecycle", &[Kind::Node, Kind::NodeLifecycle])]
    #[case("*,-cloud-node-lifecycle", &[Kind::Node, Kind::Service, Kind::Route, Kind::Metrics])]
    #[case("-cloud-node-controller,*,-route,-service-lb-controller,-metrics", &[Kind::NodeLifecycle])]
    #[case("-cloud-node", &[])]
    #[case("", &[])]
    fn lists_read_as_in_the_framework(#[case] list: &str, #[case] expected: &[Kind]) {
        assert_eq!(list.parse::<Enabled>(), Ok(Enabled(expected.iter().copied().collect())));
    }

    #[rstest]
    #[case("*,nodes", "\"nodes\" is no controller")]
    #[case("-typo", "\"typo\" is no controller")]
    fn what_there_is_not_is_refused(#[case] list: &str, #[case] why: &str) {
        let error = list.parse::<Enabled>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
