//! The flags: the framework's names, and its defaults but where these are themselves the bottleneck (Kubernetes
//! reference 2.2).

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};
use cloud_controllers::node_lifecycle::{self, DELETION_SHARE, DELETIONS_PER_MINUTE, Share};
use provider::cns::DefaultLoadBalancer;
use provider::credentials::SecretName;
use provider::names::DEFAULT_CLUSTER;
use runtime::clients::Source;
use runtime::flags::{LeaderFlags, LogFlags, duration};

use crate::balancers::BalancerFlags;
use crate::cmon::CmonFlags;
use crate::controllers::Enabled;
use crate::routes::RouteFlags;
use crate::secure_port::SecurePortFlags;

/// Requests per second to the API server. A Node that joins takes two writes and an event: with the framework's 20 a
/// thousand of them wait for minutes. What the server cannot take it refuses for a while, by its own priorities.
const QPS: f64 = 500.0;

/// Requests at once to the API server; the framework has 30.
const BURST: u32 = 1000;

/// Nodes that are looked at at once; the framework has 1. A look waits for two writes at most, and each that waits has a
/// connection and a Node in memory.
const NODE_SYNCS: &str = "32";

/// Services that are looked at at once; the framework has 1. A look waits for one write or one read at most.
const SERVICE_SYNCS: &str = "64";

/// Runs the cloud controllers of a Kubernetes cluster on Triton machines
#[derive(Debug, Parser)]
#[command(name = crate::PROGRAM, version)]
#[command(
    after_help = "As first words: credentials create and credentials verify make and check the Secret of --credentials-secret; \
doctor checks all that the program needs; explain shows what would be done about a Service or a Node; cleanup removes \
what a cluster that is no more has left in the account. Each has its own --help"
)]
pub(super) struct Flags {
    /// The provider; there is one
    #[arg(long, value_enum, default_value_t)]
    pub(super) cloud_provider: Provider,
    /// A TOML file that says how CloudAPI is reached; left out, the environment does
    #[arg(long, value_name = "FILE")]
    pub(super) cloud_config: Option<PathBuf>,
    /// The Secret that says how CloudAPI is reached, instead of the environment; its changes are taken up without a restart.
    /// The sub-command credentials create makes one
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(super) credentials_secret: Option<SecretName>,
    /// Which controllers run: * for all, name for one, -name for all but one
    #[arg(long, default_value = "*", allow_hyphen_values = true, value_name = "LIST")]
    pub(super) controllers: Enabled,
    /// The cluster's name, which tells its instances from those of others
    #[arg(long, default_value = DEFAULT_CLUSTER, value_name = "NAME")]
    pub(super) cluster_name: String,
    /// The kubeconfig file; left out, the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Requests per second to the API server, in the long run
    #[arg(long, default_value_t = QPS, value_name = "RATE")]
    kube_api_qps: f64,
    /// Requests at once to the API server, after a quiet time
    #[arg(long, default_value_t = BURST, value_name = "COUNT")]
    kube_api_burst: u32,
    /// How often the node lifecycle controller looks at all Nodes though nothing has happened
    #[arg(long, default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub(super) node_monitor_period: Duration,
    /// How often the node controller looks at all Nodes though nothing has happened
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub(super) node_status_update_frequency: Duration,
    /// How many Nodes each controller looks at at once
    #[arg(long, default_value = NODE_SYNCS, value_name = "COUNT")]
    pub(super) concurrent_node_syncs: NonZeroUsize,
    /// How many Services are looked at at once, and as many instances whose CNS services change
    #[arg(long, default_value = SERVICE_SYNCS, value_name = "COUNT")]
    pub(super) concurrent_service_syncs: NonZeroUsize,
    /// What Services of type LoadBalancer without a class are exposed by, cns or none; the virtual kubelet has the same
    /// flag
    #[arg(long, default_value_t, value_name = "NAME")]
    pub(super) default_load_balancer: DefaultLoadBalancer,
    /// Log and count what would be done, and do none of it: neither Triton nor the cluster is written to, also no lease
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(super) dry_run: bool,
    /// At most so many Nodes are deleted in a minute
    #[arg(long, default_value_t = DELETIONS_PER_MINUTE, value_parser = clap::value_parser!(u32).range(1..), value_name = "COUNT")]
    node_deletions_per_minute: u32,
    /// No larger part than this of the cluster's machines is deleted in a minute, above 0 and up to 1
    #[arg(long, default_value_t = DELETION_SHARE.get(), value_parser = share, value_name = "PART")]
    node_deletion_share: f64,
    /// One service account for each controller; not done, and not needed: one role has all rights of this program
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    use_service_account_credentials: bool,
    /// The kind of object that leaders are elected with; there is one
    #[arg(long, value_enum, default_value_t)]
    leader_elect_resource_lock: Lock,
    #[command(flatten)]
    pub(super) balancers: BalancerFlags,
    #[command(flatten)]
    pub(super) route: RouteFlags,
    #[command(flatten)]
    pub(super) cmon: CmonFlags,
    #[command(flatten)]
    pub(super) port: SecurePortFlags,
    #[command(flatten)]
    pub(super) log: LogFlags,
    #[command(flatten)]
    pub(super) leader: LeaderFlags,
}

/// Values of `--cloud-provider`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Provider {
    /// Triton `DataCenter`
    #[default]
    Triton,
}

/// Values of `--leader-elect-resource-lock`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Lock {
    /// A lease
    #[default]
    Leases,
}

impl Flags {
    /// Where the API server is.
    pub(super) fn source(&self) -> Source {
        Source::from_flag(self.kubeconfig.clone())
    }

    /// How many requests it gets.
    pub(super) fn limits(&self) -> runtime::clients::Limits {
        runtime::clients::Limits { rate: self.kube_api_qps, burst: self.kube_api_burst }
    }

    /// How many Nodes may be deleted.
    pub(super) fn deletion_limits(&self) -> node_lifecycle::Limits {
        let share = Share::new(self.node_deletion_share).unwrap_or(DELETION_SHARE);
        node_lifecycle::Limits { per_minute: self.node_deletions_per_minute, share }
    }

    /// What a reader of the log should know of flags that ask for what there is not.
    pub(super) fn notes(&self) -> Vec<&'static str> {
        let credentials =
            "--use-service-account-credentials: all controllers use the one service account of this process";
        self.use_service_account_credentials.then_some(credentials).into_iter().collect()
    }
}

fn share(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().and_then(Share::new);
    part.map(Share::get).ok_or_else(|| "not a number above 0 and up to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use runtime::config::load_from;

    use super::*;

    fn flags(arguments: &[&str]) -> Result<Flags, String> {
        let arguments = ["ccm"].iter().chain(arguments);
        load_from("TRITON_CCM", arguments, |_| None).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_frameworks_but_for_the_bottlenecks() {
        let flags = flags(&[]).unwrap();
        assert_eq!(flags.port.address().to_string(), "0.0.0.0:10258");
        assert_eq!(flags.node_status_update_frequency, Duration::from_secs(300));
        assert_eq!(flags.controllers.0.len(), 5);
        assert_eq!(
            (flags.cluster_name.as_str(), flags.default_load_balancer),
            ("kubernetes", DefaultLoadBalancer::Cns)
        );
        assert_eq!(flags.deletion_limits(), node_lifecycle::Limits::default());
        let params = flags.leader.params(crate::LEASE, "i").unwrap();
        assert_eq!(
            (params.namespace.as_str(), params.name.as_str()),
            ("kube-system", "cloud-controller-manager")
        );
        assert!(flags.notes().is_empty());
    }

    #[test]
    fn the_frameworks_flags_are_taken() {
        let flags = flags(&[
            "--cloud-provider=triton",
            "--controllers=-cloud-node,*",
            "--secure-port=0",
            "--bind-address=127.0.0.1",
            "--node-monitor-period=5s",
            "--concurrent-node-syncs=1",
            "--concurrent-service-syncs=1",
            "--cluster-name=prod",
            "--default-load-balancer=none",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--leader-elect-resource-lock=leases",
            "--kube-api-qps=20",
            "--kube-api-burst=30",
        ])
        .unwrap();
        assert_eq!((flags.controllers.0.len(), flags.notes().len()), (4, 1));
        assert_eq!(
            (flags.cluster_name.as_str(), flags.default_load_balancer),
            ("prod", DefaultLoadBalancer::None)
        );
        assert_eq!(flags.limits(), runtime::clients::Limits::default());
    }

    #[rstest]
    #[case("--no-such-flag", "--no-such-flag")]
    #[case("--cloud-provider=aws", "aws")]
    #[case("--controllers=nodes", "is no controller")]
    #[case("--concurrent-node-syncs=0", "concurrent-node-syncs")]
    #[case("--concurrent-service-syncs=0", "concurrent-service-syncs")]
    #[case("--default-load-balancer=moirai", "there are cns and none")]
    #[case("--node-deletion-share=2", "above 0 and up to 1")]
    #[case("--node-deletions-per-minute=0", "node-deletions-per-minute")]
    fn what_makes_no_sense_is_refused(#[case] argument: &str, #[case] why: &str) {
        let error = flags(&[argument]).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
