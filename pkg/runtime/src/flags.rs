//! The flags that every binary has, to flatten into its own, with Kubernetes' names and defaults where it has some.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::clients::{Limits, Source};
use crate::leader::LeaderParams;
use crate::logs::{Format, LogSettings};

/// Logs and traces.
#[derive(Debug, Clone, Args)]
pub struct LogFlags {
    /// What to log: error, warn, info, debug, trace, or a list such as info,runtime=debug
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub log_level: String,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    pub log_format: Format,
    /// An OpenTelemetry collector that takes traces as OTLP over HTTP, such as http://collector:4318
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

impl LogFlags {
    /// The settings, for a program of this name.
    pub fn settings(&self, service: &str) -> LogSettings {
        LogSettings {
            level: self.log_level.clone(),
            format: self.log_format,
            otlp_endpoint: self.otlp_endpoint.clone(),
            service: service.to_owned(),
        }
    }
}

/// The admin server.
#[derive(Debug, Clone, Args)]
pub struct AdminFlags {
    /// Where to answer /healthz, /livez, /readyz and /metrics
    #[arg(long, default_value = "0.0.0.0:10258", value_name = "ADDRESS")]
    pub admin_address: SocketAddr,
}

/// The Kubernetes API.
#[derive(Debug, Clone, Args)]
pub struct KubeFlags {
    /// The kubeconfig file; left out, the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Requests per second to the API server, in the long run
    #[arg(long, default_value_t = Limits::default().rate, value_name = "RATE")]
    pub kube_api_qps: f64,
    /// Requests at once to the API server, after a quiet time
    #[arg(long, default_value_t = Limits::default().burst, value_name = "COUNT")]
    pub kube_api_burst: u32,
}

impl KubeFlags {
    /// Where the API server is.
    pub fn source(&self) -> Source {
        Source::from_flag(self.kubeconfig.clone())
    }

    /// How many requests it gets.
    pub fn limits(&self) -> Limits {
        Limits { rate: self.kube_api_qps, burst: self.kube_api_burst }
    }
}

/// Leader election.
#[derive(Debug, Clone, Args)]
pub struct LeaderFlags {
    /// Whether several replicas elect one that acts; false for a single one
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub leader_elect: bool,
    /// How long a candidate watches an unchanged lease before it takes it, in whole seconds
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub leader_elect_lease_duration: Duration,
    /// How long after its last renewal a leader stops acting
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub leader_elect_renew_deadline: Duration,
    /// How often a leader renews and a candidate looks
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "DURATION")]
    pub leader_elect_retry_period: Duration,
    /// The namespace of the lease
    #[arg(long, default_value = "kube-system", value_name = "NAMESPACE")]
    pub leader_elect_resource_namespace: String,
    /// The name of the lease; left out, the program's
    #[arg(long, value_name = "NAME")]
    pub leader_elect_resource_name: Option<String>,
}

impl LeaderFlags {
    /// The election that these flags ask for; `None` without one. `program` names the field manager, and the
    /// lease unless a flag does.
    pub fn params(&self, program: &str, identity: &str) -> Option<LeaderParams> {
        let namespace = self.leader_elect_resource_namespace.clone();
        let name = self.leader_elect_resource_name.as_deref().unwrap_or(program);
        let params = LeaderParams::new(namespace, name, identity, program);
        self.leader_elect.then_some(LeaderParams {
            lease_duration: self.leader_elect_lease_duration,
            renew_deadline: self.leader_elect_renew_deadline,
            retry_period: self.leader_elect_retry_period,
            ..params
        })
    }
}

/// A duration as Go writes it: `15s`, `1m30s`, `1.5h`, `200ms`. For [`clap`]'s `value_parser`.
///
/// # Errors
///
/// One line when it is not one, or is negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration such as 15s, 1m30s or 200ms".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::load_from;

    #[derive(Parser, Debug)]
    struct All {
        #[command(flatten)]
        log: LogFlags,
        #[command(flatten)]
        admin: AdminFlags,
        #[command(flatten)]
        kube: KubeFlags,
        #[command(flatten)]
        leader: LeaderFlags,
    }

    #[test]
    fn durations_read_as_in_go() {
        for (text, millis) in [
            ("15s", Some(15_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("200ms", Some(200)),
            ("0s", Some(0)),
            ("", None),
            ("15", None),
            ("s", None),
            ("-3s", None),
            ("3 s", None),
            ("1..2s", None),
            ("9e9h", None),
            ("99999999999999999999999h", None),
            ("3ü", None),
        ] {
            assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_duration_panics(text in "[0-9.]{0,30}(ms|s|m|h|\\PC)?[0-9.]{0,30}(ms|s|m|h)?") {
            let _ = duration(&text);
        }
    }

    #[test]
    fn the_defaults_are_those_of_kubernetes_and_can_be_had_without_an_election() {
        let all: All = load_from("X", ["x"], |_| None).unwrap();
        let params = all.leader.params("ccm", "host_1").unwrap();
        assert_eq!(params, LeaderParams::new("kube-system", "ccm", "host_1", "ccm"));
        assert_eq!(all.kube.limits(), Limits::default());
        assert_eq!(all.kube.source(), Source::InCluster);
        assert_eq!(all.admin.admin_address.port(), 10258);
        assert_eq!(all.log.settings("ccm").format, Format::Text);
        for off in [["x", "--leader-elect=false"].as_slice(), &["x", "--leader-elect", "false"]] {
            let all: All = load_from("X", off, |_| None).unwrap();
            assert_eq!(all.leader.params("ccm", "host_1"), None);
        }
        let all: All = load_from("X", ["x", "--leader-elect-resource-name=y"], |_| None).unwrap();
        let params = all.leader.params("ccm", "host_1").unwrap();
        assert_eq!((params.name.as_str(), params.field_manager.as_str()), ("y", "ccm"));
        let all: All = load_from("X", ["x", "--leader-elect"], |name| {
            (name == "X_LEADER_ELECT_LEASE_DURATION").then(|| "1m".into())
        })
        .unwrap();
        assert_eq!(all.leader.params("ccm", "i").unwrap().lease_duration.as_secs(), 60);
    }
}
