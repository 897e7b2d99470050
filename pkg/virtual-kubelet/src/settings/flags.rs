//! The command line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};
use diagnostics::Format;
use provider::cns::DefaultLoadBalancer;
use provider::credentials::SecretName;
use provider::names::DEFAULT_CLUSTER;
use runtime::flags::{KubeFlags, LeaderFlags, LogFlags, duration};
use runtime::leader::LeaderParams;
use runtime::logs::LogSettings;
use triton::budget::Limits as Budget;

/// The program's name: in logs, user agents, field managers.
pub const PROGRAM: &str = "triton-virtual-kubelet";

/// The port of the kubelet API on every node.
const KUBELET_PORT: &str = "10250";

/// A node whose pods are Triton instances
#[derive(Debug, Clone, Parser)]
#[command(name = PROGRAM, version)]
#[command(
    after_help = "As first words: doctor checks all that the program needs; explain shows what would be done about a pod. Each has its own --help"
)]
// Go's client defaults would be the wall that users of the original met first (reference, Kubernetes F): a pod costs about
// four requests, and a thousand of them should be a matter of seconds. The API server protects itself.
#[command(
    mut_arg("kube_api_qps", |arg| arg.default_value("1000")),
    mut_arg("kube_api_burst", |arg| arg.default_value("2000")),
)]
pub struct Flags {
    /// The node's name [also: DEFAULT_NODE_NAME]; with several nodes in the provider's file, what they are called together
    #[arg(long, default_value = "virtual-kubelet", value_name = "NAME")]
    pub nodename: NodeName,
    /// Who runs the pods
    #[arg(long, value_enum, default_value_t)]
    pub provider: Provider,
    /// The provider's file (TOML): CPU, Memory, Storage, Pods, OperatingSystem, Region; a table Node for each of several nodes
    #[arg(long, value_name = "FILE")]
    pub provider_config: Option<PathBuf>,
    /// The Secret that says how CloudAPI is reached, instead of the environment; its changes are taken up without a restart
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub credentials_secret: Option<SecretName>,
    /// The cluster's name; instances of several clusters in one account are told apart by it
    #[arg(long, default_value = DEFAULT_CLUSTER, value_name = "NAME")]
    pub cluster_name: ClusterName,
    /// What Services of type LoadBalancer without a class are exposed by, cns or none; the cloud controller manager has
    /// the same flag
    #[arg(long, default_value_t, value_name = "NAME")]
    pub default_load_balancer: DefaultLoadBalancer,
    /// The node's address, at which the kubelet API is reached [also: VKUBELET_POD_IP]
    #[arg(long, value_name = "ADDRESS")]
    pub node_address: Option<IpAddr>,
    /// The port of the kubelet API [also: KUBELET_PORT]
    #[arg(long, default_value = KUBELET_PORT, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub kubelet_port: u16,
    /// The key of the node's taint [also: VKUBELET_TAINT_KEY]
    #[arg(long, default_value = "virtual-kubelet.io/provider", value_parser = taint_key, value_name = "KEY")]
    pub taint_key: String,
    /// The value of the node's taint [also: VKUBELET_TAINT_VALUE]
    #[arg(long, default_value = "triton", value_parser = label_value, value_name = "VALUE")]
    pub taint_value: String,
    /// What the taint does to pods that do not tolerate it [also: VKUBELET_TAINT_EFFECT]
    #[arg(long, default_value = "NoSchedule", value_name = "EFFECT")]
    pub taint_effect: TaintEffect,
    /// Leave the node without a taint of ours
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub disable_taint: bool,
    /// How long CloudAPI may be silent before the node is not ready
    #[arg(long, default_value = "2m", value_parser = duration, value_name = "DURATION")]
    pub cloudapi_grace: Duration,
    /// Requests per second to CloudAPI, in the long run: what it allows the account, or this process' share of that
    #[arg(long, default_value_t = Budget::default().rate, value_name = "RATE")]
    pub cloudapi_qps: f64,
    /// Requests at once to CloudAPI, after a quiet time
    #[arg(long, default_value_t = Budget::default().burst, value_name = "COUNT")]
    pub cloudapi_burst: u32,
    /// The private key by which commands of probes and hooks are run in instances, over SSH; if it is encrypted, set
    /// TRITON_VK_SSH_KEY_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// How often the account's firewall rules are read: so long one that somebody changed or deleted may stay so
    // No event of the changefeed tells of rules, so only a list does.
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub firewall_relist: Duration,
    /// How long a firewall rule that no pod needs any more stays: a rollout that removes the last pod before it makes the
    /// next finds it in place
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub firewall_grace: Duration,
    /// How long an instance must be without its pod, seen so all the time, before it is deleted as an orphan
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub orphan_grace: Duration,
    /// Print what would be done now, do none of it, and end
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub dry_run: bool,
    /// How --dry-run and sub-commands show what they found
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Where to answer /healthz, /livez, /readyz and /metrics; :PORT for all addresses
    // 10255 is what the original's --metrics-addr says; 10258 is the cloud controller manager's.
    #[arg(long, visible_alias = "metrics-addr", default_value = "0.0.0.0:10255", value_parser = listen_address, value_name = "ADDRESS")]
    pub admin_address: SocketAddr,
    /// The API server and the limit on requests to it
    #[command(flatten)]
    pub kube: KubeFlags,
    /// Leader election
    #[command(flatten)]
    pub leader: LeaderFlags,
    /// Logs and traces
    #[command(flatten)]
    pub log: LogFlags,
    /// Has no effect: pods are not worked on by a number of workers
    #[arg(long, hide = true, value_name = "COUNT")]
    pub pod_sync_workers: Option<u32>,
    /// Has no effect: the node always has a lease
    #[arg(long, hide = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub enable_node_lease: Option<bool>,
}

impl Flags {
    /// The election among the replicas of this node; `None` without one. Several nodes of one cluster have leases of
    /// their own: `triton-<node>`, unless a flag names another.
    pub fn election(&self, identity: &str) -> Option<LeaderParams> {
        let params = self.leader.params(PROGRAM, identity)?;
        let named = self.leader.leader_elect_resource_name.is_some();
        let name = if named { params.name } else { format!("triton-{}", self.nodename) };
        Some(LeaderParams { name, ..params })
    }

    /// What to log. The original's level names that are not ours are taken for the nearest.
    pub fn logs(&self) -> LogSettings {
        let mut settings = self.log.settings(PROGRAM);
        settings.level = match settings.level.as_str() {
            "warning" => "warn".to_owned(),
            "fatal" | "panic" => "error".to_owned(),
            _ => settings.level,
        };
        settings
    }

    /// How many requests CloudAPI gets.
    pub fn budget(&self) -> Budget {
        Budget { rate: self.cloudapi_qps, burst: self.cloudapi_burst }
    }

    /// The flags of the original that were given and have no effect.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let workers = self.pod_sync_workers.map(|_| "--pod-sync-workers");
        let lease = self.enable_node_lease.map(|_| "--enable-node-lease");
        [workers, lease].into_iter().flatten().collect()
    }
}

/// Who runs the pods. The original is one of many providers; this is the only one here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Triton DataCenter.
    #[default]
    Triton,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaintEffect {
    /// They are not scheduled here.
    #[value(name = "NoSchedule")]
    NoSchedule,
    /// They are scheduled here last.
    #[value(name = "PreferNoSchedule")]
    PreferNoSchedule,
    /// They are not scheduled here, and leave when they are here.
    #[value(name = "NoExecute")]
    NoExecute,
}

impl TaintEffect {
    /// Kubernetes' own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// The longest value of a label; the node's name is one.
const LONGEST_LABEL: usize = 63;

/// A name that a node can have, and the label `kubernetes.io/hostname` too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() <= LONGEST_LABEL && text.split('.').all(is_dns_label) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "a node's name has at most {LONGEST_LABEL} characters: small letters, digits, - and ., beginning and ending \
             with a letter or digit"
        ))
    }
}

/// The name of a cluster, which goes into tags and descriptions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterName(String);

impl ClusterName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClusterName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_qualified(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "a cluster's name has at most {LONGEST_LABEL} characters: letters, digits, -, _ and ., beginning and ending with \
             a letter or digit"
        ))
    }
}

fn is_dns_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.starts_with(allowed)
        && text.ends_with(allowed)
        && text.chars().all(|c| allowed(c) || c == '-')
}

/// Whether it can be the name of a label, after its prefix, and its value.
pub(crate) fn is_qualified(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= LONGEST_LABEL
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
}

fn taint_key(text: &str) -> Result<String, String> {
    key(text).map_err(|()| "not a taint's key such as virtual-kubelet.io/provider".to_owned())
}

/// The key of a label or taint: a name, perhaps after a DNS name and a `/`.
pub(super) fn key(text: &str) -> Result<String, ()> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let prefixed = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_dns_label));
    if prefixed && is_qualified(name) {
        return Ok(text.to_owned());
    }
    Err(())
}

pub(super) fn label_value(text: &str) -> Result<String, String> {
    if is_qualified(text) {
        return Ok(text.to_owned());
    }
    Err("a taint's value is made of letters, digits, -, _ and .".to_owned())
}

/// An address to listen on; `:10255` as Go writes it is all addresses.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "not an address such as 127.0.0.1:10255 or :10255".to_owned();
    match text.strip_prefix(':') {
        Some(port) => {
            let port = port.parse().map_err(|_| wrong())?;
            Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        }
        None => text.parse().map_err(|_| wrong()),
    }
}
