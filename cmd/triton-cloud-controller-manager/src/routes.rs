//! The flags of the route controller: the framework's, and one of ours.

use std::time::Duration;

use clap::{ArgAction, Args};
use cloud_controllers::controller::RouteSettings;
use ipnet::IpNet;
use runtime::flags::duration;

/// Which routes there are to be.
#[derive(Debug, Clone, Args)]
pub(super) struct RouteFlags {
    /// Nodes are given addresses for their pods, by kube-controller-manager
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    allocate_node_cidrs: bool,
    /// The addresses of the cluster's pods: one network, or one of each family, separated by a comma
    #[arg(long, default_value = "", value_name = "CIDRS")]
    cluster_cidr: String,
    /// With --allocate-node-cidrs, keep routes to the pods of nodes in fabric networks
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    configure_cloud_routes: bool,
    /// How often the route controller looks though nothing has happened
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    route_reconciliation_period: Duration,
    /// Routes of fabric networks make packets of pods arrive: an operator allows pods' addresses on the nodes' NICs, and
    /// guests follow routes while they run. Only then do nodes become NetworkUnavailable=False; an annotation of the
    /// node, tritondatacenter.com/fabric-routes-effective, goes before this
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    fabric_routes_effective: bool,
}

/// The flags make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RouteFlagsError {
    #[error(
        "--allocate-node-cidrs needs --cluster-cidr; to have no routes, set --configure-cloud-routes=false"
    )]
    NoClusterCidr,
    #[error("--cluster-cidr: {0:?} is no network such as 10.244.0.0/16")]
    Malformed(String),
    #[error("--cluster-cidr has {0} networks; there may be one, or one of IPv4 and one of IPv6")]
    TooMany(usize),
}

impl RouteFlags {
    /// How the route controller works; `None` when it is not to.
    pub(super) fn settings(&self) -> Result<Option<RouteSettings>, RouteFlagsError> {
        let words = self.cluster_cidr.split(',').map(str::trim).filter(|word| !word.is_empty());
        let parse = |word: &str| word.parse().map_err(|_| RouteFlagsError::Malformed(word.to_owned()));
        let cluster = words.map(parse).collect::<Result<Vec<IpNet>, _>>()?;
        let families = cluster.iter().filter(|cidr| cidr.addr().is_ipv4()).count();
        if cluster.len() > 2 || (cluster.len() == 2 && families != 1) {
            return Err(RouteFlagsError::TooMany(cluster.len()));
        }
        if !(self.allocate_node_cidrs && self.configure_cloud_routes) {
            return Ok(None);
        }
        if cluster.is_empty() {
            return Err(RouteFlagsError::NoClusterCidr);
        }
        let cluster = cluster.into_iter().map(|cidr| cidr.trunc()).collect();
        let period = self.route_reconciliation_period;
        let effective = self.fabric_routes_effective;
        Ok(Some(RouteSettings { cluster, period, effective, ..RouteSettings::default() }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        route: RouteFlags,
    }

    fn settings(arguments: &str) -> Result<Option<RouteSettings>, RouteFlagsError> {
        let arguments = std::iter::once("ccm").chain(arguments.split_whitespace());
        Flags::try_parse_from(arguments).unwrap().route.settings()
    }

    #[rstest]
    #[case("")]
    #[case("--cluster-cidr=10.0.0.0/8")]
    #[case("--allocate-node-cidrs --configure-cloud-routes=false")]
    #[case("--allocate-node-cidrs=false --configure-cloud-routes --cluster-cidr=10.0.0.0/8")]
    fn there_are_no_routes_unless_all_is_asked_for(#[case] arguments: &str) {
        assert!(settings(arguments).unwrap().is_none());
    }

    #[test]
    fn routes_are_asked_for_with_the_frameworks_flags() {
        let found =
            settings("--allocate-node-cidrs --cluster-cidr=10.244.0.0/16,fd00::/48").unwrap().unwrap();
        assert_eq!(
            found.cluster.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.244.0.0/16", "fd00::/48"]
        );
        assert_eq!((found.period, found.effective), (Duration::from_secs(10), false));
    }

    #[rstest]
    #[case("--allocate-node-cidrs", RouteFlagsError::NoClusterCidr)]
    #[case("--cluster-cidr=10.0.0.0", RouteFlagsError::Malformed("10.0.0.0".to_owned()))]
    #[case("--cluster-cidr=10.0.0.0/8,172.16.0.0/12", RouteFlagsError::TooMany(2))]
    fn what_makes_no_sense_is_refused(#[case] arguments: &str, #[case] why: RouteFlagsError) {
        assert_eq!(settings(arguments).unwrap_err(), why);
    }
}
