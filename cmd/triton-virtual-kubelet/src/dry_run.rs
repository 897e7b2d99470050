//! `--dry-run`: what would be done now, as a table, and nothing of it is done.

use std::io::Write as _;
use std::time::Duration;

use diagnostics::object::ObjectName;
use diagnostics::{Explanation, Format};
use runtime::clients::Clients;
use runtime::events::EventRecorder;
use runtime::exit::Fatal;
use runtime::leader::Claim;
use runtime::metrics::Metrics;
use runtime::shutdown::Shutdown;
use runtime::watching::Caches;
use tokio::time::timeout;
use triton::Client;
use virtual_kubelet::dry_run::{self, Report};
use virtual_kubelet::settings::{Flags, VirtualNode};

use crate::wiring::{Account, Process};

/// The caches of a sound cluster are complete in seconds; those of 10,000 instances, throttled, in some more.
const FILLING: Duration = Duration::from_secs(120);

/// What single pods refer to is one request each.
const READING: Duration = Duration::from_secs(10);

/// Why nothing could be shown.
#[derive(Debug, thiserror::Error)]
enum DryRunError {
    /// The caches did not become complete.
    #[error("nothing was written, and what would be is not known after {FILLING:?}: {0}")]
    Incomplete(String),
    /// It was stopped before.
    #[error("stopped before anything was known; nothing was written")]
    Stopped,
    /// The table could not be printed.
    #[error("cannot print what would be done")]
    Print(#[source] std::io::Error),
}

/// Looks, prints, and ends. The claim that all writers ask is one that is never valid, as on a standby: so no write can
/// be sent, to Kubernetes or to CloudAPI.
pub(super) async fn run(
    flags: &Flags,
    nodes: &[VirtualNode],
    clients: &Clients,
    client: Client,
    shutdown: &Shutdown,
) -> Result<(), Fatal> {
    let (caches, claim, events) = (Caches::new(), Claim::never(), EventRecorder::muted());
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let account = Account::follow(client, flags, &caches);
    let wiring = Process {
        flags,
        nodes,
        clients,
        caches: &caches,
        claim: &claim,
        events: &events,
        metrics: &metrics,
        account: &account,
    };
    let keepers = wiring.keepers()?;
    let controller = wiring.controller(None)?;

    let looking = async {
        if timeout(FILLING, complete(&caches, &account)).await.is_err() {
            return Err(DryRunError::Incomplete(lacking(&caches, &account)));
        }
        let mut report = Report::default();
        for keeper in &keepers {
            report.add(dry_run::of_node(keeper.name(), &keeper.preview().await));
        }
        controller.preview(READING, &mut report).await;
        Ok(report)
    };
    let report = tokio::select! {
        report = looking => report,
        () = shutdown.begun() => Err(DryRunError::Stopped),
    };
    let printed = report.and_then(|report| {
        let text = match flags.output {
            Format::Text => report.to_string(),
            Format::Json => report.json().map_err(|error| DryRunError::Print(error.into()))?,
        };
        std::io::stdout().write_all(text.as_bytes()).map_err(DryRunError::Print)
    });
    printed.map_err(Fatal::failure)
}

/// Looks at one pod; `None` when there is no such one on these nodes. Writes nothing, for the same reason.
pub(super) async fn explain(
    flags: &Flags,
    nodes: &[VirtualNode],
    clients: &Clients,
    client: Client,
    pod: &ObjectName,
) -> Result<Option<Explanation>, Fatal> {
    let (caches, claim, events) = (Caches::new(), Claim::never(), EventRecorder::muted());
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let account = Account::follow(client, flags, &caches);
    let wiring = Process {
        flags,
        nodes,
        clients,
        caches: &caches,
        claim: &claim,
        events: &events,
        metrics: &metrics,
        account: &account,
    };
    let controller = wiring.controller(None)?;
    if timeout(FILLING, complete(&caches, &account)).await.is_err() {
        return Err(Fatal::unknown(DryRunError::Incomplete(lacking(&caches, &account))));
    }
    Ok(controller.explain(&pod.namespace, &pod.name, READING).await)
}

/// Waits until everything has been read that all pods depend on.
async fn complete(caches: &Caches, account: &Account) {
    caches.synced().await;
    // The senders live as long as the tasks that read, which never end.
    let _ = account.facts.clone().wait_for(|facts| facts.limits.is_some()).await;
    let _ = account.catalog.subscribe().wait_for(Option::is_some).await;
}

fn lacking(caches: &Caches, account: &Account) -> String {
    let mut lacking = caches.missing();
    if account.facts.borrow().limits.is_none() {
        lacking.push("the account's limits are not read".to_owned());
    }
    if account.catalog.catalog().is_none() {
        let why = account.catalog.failure().map(|why| format!(": {why}")).unwrap_or_default();
        lacking.push(format!("the packages, images and networks are not read{why}"));
    }
    lacking.join("; ")
}
