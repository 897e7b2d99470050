//! The flags of the metrics controller; ours.

use std::str::FromStr;

use clap::Args;
use cloud_controllers::controller::{MetricsSettings, ScrapeSettings};
use cloud_controllers::metrics::scrape::Scrape;
use runtime::exit::one_line;
use tokio::sync::watch;
use triton::auth::Signer;
use triton::config::{Config, ConfigError};

/// How Prometheus finds CMON.
#[derive(Debug, Clone, Args)]
pub(super) struct CmonFlags {
    /// Keep a ScrapeConfig of Prometheus' operator of this name, and a Secret with a client certificate for CMON
    #[arg(long, value_name = "NAMESPACE/NAME")]
    cmon_scrape_config: Option<Pair>,
    /// Where Prometheus reaches /sd/cmon of this program
    #[arg(
        long,
        default_value = "https://triton-cloud-controller-manager.kube-system.svc:10258/sd/cmon",
        value_name = "URL"
    )]
    cmon_discovery_url: String,
    /// A Secret in the namespace of the ScrapeConfig, and its key, that has the token with which Prometheus asks
    #[arg(long, value_name = "NAME/KEY")]
    cmon_discovery_token: Option<Pair>,
}

/// Two names with a slash between.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair(String, String);

/// There are no two names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not two names with a slash between, such as monitoring/triton-cmon")]
struct NoPair(String);

impl FromStr for Pair {
    type Err = NoPair;

    fn from_str(text: &str) -> Result<Self, NoPair> {
        match text.split_once('/') {
            Some((first, second)) if !first.is_empty() && !second.is_empty() && !second.contains('/') => {
                Ok(Self(first.to_owned(), second.to_owned()))
            }
            _ => Err(NoPair(text.to_owned())),
        }
    }
}

impl CmonFlags {
    /// Namespace and name of the ScrapeConfig, if one is kept.
    pub(super) fn scrape_config(&self) -> Option<(&str, &str)> {
        self.cmon_scrape_config.as_ref().map(|Pair(namespace, name)| (namespace.as_str(), name.as_str()))
    }

    /// How the metrics controller works. Looks for the account's key where a certificate is to be made, now and whenever
    /// there are other settings.
    pub(super) async fn settings(
        &self,
        cluster: &str,
        configs: watch::Receiver<Config>,
    ) -> Result<MetricsSettings, ConfigError> {
        let scrape = match &self.cmon_scrape_config {
            None => None,
            Some(Pair(namespace, name)) => {
                let triton = configs.borrow().clone();
                let scrape = Scrape {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    url: self.cmon_discovery_url.clone(),
                    token: self.cmon_discovery_token.clone().map(|Pair(name, key)| (name, key)),
                    insecure: triton.tls.insecure,
                };
                let (signers, signer) = watch::channel(triton.authenticator().await?.signer().clone());
                tokio::spawn(follow(configs, signers));
                Some(ScrapeSettings { scrape, account: triton.account, signer })
            }
        };
        Ok(MetricsSettings { cluster: cluster.to_owned(), scrape })
    }
}

/// Has the key of the latest settings sign.
async fn follow(mut configs: watch::Receiver<Config>, signers: watch::Sender<Signer>) {
    while configs.changed().await.is_ok() {
        let config = configs.borrow_and_update().clone();
        match config.authenticator().await {
            Ok(authenticator) => drop(signers.send_replace(authenticator.signer().clone())),
            // It has just signed a request; a key that is in a file or an agent may have gone since.
            Err(error) => {
                tracing::warn!(error = %one_line(&error), "the certificate for CMON stays with the key before");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("monitoring/triton", true)]
    #[case("monitoring", false)]
    #[case("/triton", false)]
    #[case("monitoring/", false)]
    #[case("a/b/c", false)]
    fn a_pair_is_two_names(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<Pair>().is_ok(), good);
    }
}
