//! The flags of load balancers of class `tritondatacenter.com/moirai`; all ours.

use std::time::Duration;

use clap::Args;
use cloud_controllers::controller::BalancerSettings;
use cloud_controllers::moirai::supplies::{IMAGE, REPLICAS};
use cloud_controllers::moirai::{Defaults, Rules};
use runtime::flags::duration;

/// How load balancers are made where a Service does not say.
#[derive(Debug, Clone, Args)]
pub(super) struct BalancerFlags {
    /// How many load balancers a Service of class tritondatacenter.com/moirai has; annotation load-balancer-replicas
    #[arg(long, default_value_t = replicas(), value_parser = clap::value_parser!(u8).range(1..=32), value_name = "COUNT")]
    load_balancer_replicas: u8,
    /// The image of load balancers, by name or id
    #[arg(long, default_value = IMAGE, value_name = "IMAGE")]
    load_balancer_image: String,
    /// Their package, by name or id; annotation package
    #[arg(long, value_name = "PACKAGE")]
    load_balancer_package: Option<String>,
    /// Their networks, by name or id, separated by commas; annotation networks
    #[arg(long, value_delimiter = ',', value_name = "NETWORKS")]
    load_balancer_networks: Vec<String>,
    /// How long a new load balancer runs before it is taken to carry traffic, and an old one goes
    #[arg(long, default_value = "90s", value_parser = duration, value_name = "DURATION")]
    load_balancer_settle: Duration,
    /// How long a load balancer that is out of DNS stays for clients that still know it
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    load_balancer_drain: Duration,
}

fn replicas() -> u8 {
    u8::try_from(REPLICAS).unwrap_or(1)
}

impl BalancerFlags {
    /// How load balancers are made.
    pub(super) fn settings(&self) -> BalancerSettings {
        let networks = self.load_balancer_networks.iter().map(|name| name.trim().to_owned());
        BalancerSettings {
            defaults: Defaults {
                replicas: self.load_balancer_replicas.into(),
                image: self.load_balancer_image.clone(),
                package: self.load_balancer_package.clone().filter(|package| !package.is_empty()),
                networks: networks.filter(|name| !name.is_empty()).collect(),
            },
            rules: Rules { settle: self.load_balancer_settle, drain: self.load_balancer_drain },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        flags: BalancerFlags,
    }

    fn settings(arguments: &[&str]) -> BalancerSettings {
        Only::try_parse_from(["ccm"].iter().chain(arguments)).unwrap().flags.settings()
    }

    #[test]
    fn the_flags_are_the_settings() {
        assert_eq!(settings(&[]), BalancerSettings::default());
        let flags = [
            "--load-balancer-replicas=3",
            "--load-balancer-package=g1.nano",
            "--load-balancer-networks=external, fabric",
            "--load-balancer-drain=5s",
        ];
        let settings = settings(&flags);
        assert_eq!(settings.defaults.networks, ["external", "fabric"]);
        assert_eq!((settings.defaults.replicas, settings.defaults.package.as_deref()), (3, Some("g1.nano")));
        assert_eq!(settings.rules.drain, Duration::from_secs(5));
        assert!(Only::try_parse_from(["ccm", "--load-balancer-replicas=0"]).is_err());
    }
}
