//! `--controllers`, as the framework reads it: `*` for all, `name` for one, `-name` for all but one; the names are the
//! framework's, with its older aliases (Kubernetes reference 2.1).

use std::collections::BTreeSet;
use std::str::FromStr;

use cloud_controllers::controller::Kind;

/// The controllers that run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enabled(pub(super) BTreeSet<Kind>);

/// Name, alias, and what this program has for it.
const KNOWN: [(&str, &str, Option<Kind>); 5] = [
    ("cloud-node-controller", "cloud-node", Some(Kind::Node)),
    ("cloud-node-lifecycle-controller", "cloud-node-lifecycle", Some(Kind::NodeLifecycle)),
    ("service-lb-controller", "service", Some(Kind::Service)),
    ("node-route-controller", "route", Some(Kind::Route)),
    // Ours: the framework has none.
    ("node-metrics-controller", "metrics", Some(Kind::Metrics)),
];

/// The list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ControllersError {
    #[error("{0:?} is no controller; there are {names}", names = names())]
    Unknown(String),
    #[error("this version does not have {0} yet")]
    Missing(&'static str),
}

fn names() -> String {
    KNOWN.map(|(name, ..)| name).join(", ")
}

impl FromStr for Enabled {
    type Err = ControllersError;

    fn from_str(list: &str) -> Result<Self, ControllersError> {
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
            set.insert(known.ok_or_else(|| ControllersError::Unknown(bare.to_owned()))?.0);
        }
        let mut enabled = BTreeSet::new();
        for (name, _, kind) in KNOWN {
            // As in the framework: a name goes before its exclusion, and that before the star.
            match kind {
                _ if !named.contains(name) && (!all || excluded.contains(name)) => {}
                Some(kind) => drop(enabled.insert(kind)),
                None if named.contains(name) => return Err(ControllersError::Missing(name)),
                None => {}
            }
        }
        Ok(Self(enabled))
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
    #[case("route", "node-route-controller")]
    fn what_there_is_not_is_refused(#[case] list: &str, #[case] why: &str) {
        let error = list.parse::<Enabled>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
