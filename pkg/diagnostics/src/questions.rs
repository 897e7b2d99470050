//! The calls of the checks. None changes anything.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime::exit::one_line;
use triton::auth::Authenticate;
use triton::changefeed::{Changefeed, Registration};
use triton::client::{ClientIdentity, TlsSettings};
use triton::cmon::{CmonClient, certificate};
use triton::config::Endpoint;
use triton::types::{ListImages, ListInstances, ListNetworks, ListPackages};
use triton::{Client, Error, Kind};

use crate::account;
use crate::clock;
use crate::finding::{Finding, Level};
use crate::settled::Settled;

/// A person waits.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the checks found, and the certificate that they made on the way.
#[derive(Debug, Default)]
pub struct Found {
    /// A line each.
    pub findings: Vec<Finding>,
    /// The client certificate for CMON, where one was there or was made.
    pub cmon: Option<ClientIdentity>,
}

/// What is asked beside what everybody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Ask CMON, too; a certificate is made unless there is one.
    pub cmon: bool,
    /// How good it is when CNS is off.
    pub cns_off: Level,
}

/// Asks everything. What makes all else pointless ends it.
pub async fn ask(settled: &Settled, scope: Scope) -> Found {
    let mut found = Found::default();
    let config = &settled.config;
    found.findings.push(account::key(settled.signature.signer().public_key()));
    found.findings.push(account::endpoint(config));
    let signature = Arc::clone(&settled.signature) as Arc<dyn Authenticate>;
    let built = match Client::configured_with(config, signature) {
        Ok(builder) => builder.deadline(DEADLINE).build().map_err(|error| one_line(&error)),
        Err(error) => Err(one_line(&error)),
    };
    let client = match built {
        Ok(client) => client,
        Err(error) => {
            found.findings.push(Finding::failure("endpoint", error));
            return found;
        }
    };
    let asked = client.get_account().await;
    found.findings.push(account::account(&asked, config));
    if asked.as_ref().is_err_and(|error| error.kind() != Kind::Forbidden) {
        return found;
    }
    found.findings.extend(asked.as_ref().ok().map(|account| account::cns(account, scope.cns_off)));
    found.findings.push(ask_clock(&client).await);
    found.findings.push(account::datacenter(&client.get_datacenter_name().await));
    match client.get_limits().await {
        Ok(limits) => found.findings.extend(account::limits(&limits.items)),
        Err(error) => found.findings.push(Finding::warning("limits", one_line(&error))),
    }
    found.findings.extend(rights(&client).await);
    found.findings.extend(account::untried(config));
    if scope.cmon || settled.cmon.is_some() {
        let (finding, identity) = ask_cmon(settled, &client).await;
        found.findings.push(finding);
        found.cmon = identity;
    }
    found
}

/// Compares the clocks.
async fn ask_clock(client: &Client) -> Finding {
    let asked = SystemTime::now();
    match client.get_clock().await {
        Ok(Some(said)) => clock::clock(&clock::Reading { asked, said, answered: SystemTime::now() }),
        Ok(None) => clock::silent(),
        Err(error) => Finding::failure("clock", one_line(&error)),
    }
}

/// The rights that can be tried.
async fn rights(client: &Client) -> Vec<Finding> {
    let some = ListInstances { limit: Some(1), ..ListInstances::default() };
    let nothing = |tried: Result<(), Error>, action, without| account::right(action, &tried, without);
    vec![
        nothing(
            client.list_instances(&some).await.map(drop),
            "listmachines",
            "no machine can be told from one that is gone",
        ),
        nothing(
            client.list_networks(&ListNetworks::default()).await.map(drop),
            "listnetworks",
            "addresses of nodes cannot be told apart",
        ),
        nothing(
            client.list_packages(&ListPackages::default()).await.map(drop),
            "listpackages",
            "pods get no instances",
        ),
        nothing(
            client.list_images(&ListImages::default()).await.map(drop),
            "listimages",
            "pods get no instances",
        ),
        nothing(
            client.list_firewall_rules().await.map(drop),
            "listfirewallrules",
            "ports of pods stay closed where the firewall is on",
        ),
        nothing(client.list_fabric_vlans().await.map(drop), "listfabricvlans", "there are no routes of pods"),
        nothing(
            Changefeed::open(client, &Registration::everything()).await.map(drop),
            "changefeed",
            "changes are seen by the next list only",
        ),
    ]
}

async fn ask_cmon(settled: &Settled, client: &Client) -> (Finding, Option<ClientIdentity>) {
    let url = match account::cmon_url(&client.list_services().await) {
        Ok(url) => url,
        Err(finding) => return (finding, None),
    };
    let failed =
        |error: &(dyn std::error::Error + 'static)| (Finding::failure("cmon", one_line(error)), None);
    let endpoint: Endpoint = match url.parse() {
        Ok(endpoint) => endpoint,
        Err(error) => return failed(&error),
    };
    let config = &settled.config;
    let identity = match &settled.cmon {
        Some(identity) => identity.clone(),
        None => {
            let signer = settled.signature.signer();
            match certificate::issue(signer, &config.account, certificate::DEFAULT_LIFETIME_DAYS).await {
                Ok(made) => ClientIdentity { certificate_pem: made.certificate_pem, key_pem: made.key_pem },
                Err(error) => return failed(&error),
            }
        }
    };
    let ca = match config.tls.ca_certificates() {
        Ok(ca) => ca,
        Err(error) => return failed(&error),
    };
    let tls = TlsSettings { insecure: config.tls.insecure, ca, client_identity: Some(identity.clone()) };
    let discovered = match CmonClient::builder(endpoint, tls).build() {
        Ok(client) => client.discover(&[]).await,
        Err(error) => return failed(&error),
    };
    match discovered {
        Ok(discovery) => {
            let text =
                format!("{url} accepts the certificate and shows {} instances", discovery.containers.len());
            (Finding::ok("cmon", text), Some(identity))
        }
        Err(error) => (account::cmon_refused(&url, &error), Some(identity)),
    }
}
