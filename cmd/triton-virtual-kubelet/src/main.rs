//! `triton-virtual-kubelet`: a Kubernetes node whose pods are Triton instances.

mod cloudapi;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use provider::names::tag;
use runtime::admin::AdminServer;
use runtime::clients::{Clients, Priority};
use runtime::config::ConfigError;
use runtime::events::{EventRecorder, Reporter};
use runtime::exit::{Fatal, report};
use runtime::health::Health;
use runtime::leader::{Claim, Elector, LeaderParams, identity};
use runtime::logs::Logs;
use runtime::metrics::Metrics;
use runtime::process;
use runtime::shutdown::{DRAIN, Shutdown};
use runtime::watching::Caches;
use tokio::sync::watch;
use triton::reflector::{self, Reflector};
use triton::types::TagValue;
use virtual_kubelet::catalog::CatalogKeeper;
use virtual_kubelet::controller::{self, Controller};
use virtual_kubelet::node::{Facts, Instances, Keeper, Parts, account};
use virtual_kubelet::settings::{PROGRAM, Settings, SettingsError};
use virtual_kubelet::ssh::Connector;

/// The work is waiting for answers: more threads would idle, on whatever machine.
const THREADS: usize = 4;

fn main() -> ExitCode {
    report(PROGRAM, start())
}

fn start() -> Result<(), Fatal> {
    let settings = match Settings::load() {
        Err(SettingsError::Flags(ConfigError::Shown(text))) => {
            // Whoever closed the output does not want to read it.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return Ok(());
        }
        settings => settings?,
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(THREADS))
        .enable_all()
        .build()
        .map_err(Fatal::failure)?;
    let ended = runtime.block_on(run(settings));
    // Whatever has not ended by now is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run(settings: Settings) -> Result<(), Fatal> {
    let Settings { flags, file, triton, ssh } = settings;
    let logs = Logs::install(&flags.logs()).map_err(Fatal::usage)?;
    let shutdown = Shutdown::on_signals().map_err(Fatal::failure)?;
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let health = Health::new();
    let admin = AdminServer::bind(flags.admin_address).await.map_err(Fatal::failure)?;
    for flag in flags.without_effect() {
        tracing::warn!("{flag} has no effect any more; leave it out");
    }

    let program = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let clients =
        Clients::new(&flags.kube.source(), program, flags.kube.limits()).await.map_err(Fatal::failure)?;
    let identity = identity(&std::env::var("HOSTNAME").unwrap_or_default());
    let (elector, claim) = candidate(&clients, flags.election(&identity))?;
    let client = cloudapi::client(&triton, flags.budget(), &metrics).await?;

    // Caches are filled on a standby too, so that it acts as soon as it leads.
    let caches = Caches::new();
    let relist = reflector::Settings::default();
    let reflector = Reflector::new(client.clone(), relist)
        .deleting(tag::CLUSTER, TagValue::from(flags.cluster_name.as_str()));
    let instances = reflector.store();
    caches.add(Arc::new(Instances::new(instances.clone(), relist.relist_every, flags.cloudapi_grace)));
    tokio::spawn(reflector.run());
    let (facts, known) = watch::channel(Facts::default());
    let account = client.clone();
    tokio::spawn(async move { account::follow(&account, &facts).await });

    let background = clients.client("events", Priority::Background).map_err(Fatal::failure)?;
    let reporter = Reporter { controller: PROGRAM.to_owned(), instance: identity };
    let events = EventRecorder::start(background, reporter, Timestamp::now);

    health.add_claim(&claim);
    health.add_shutdown(&shutdown);
    caches.report_to(&health);
    metrics.watch_claim(PROGRAM, &claim).map_err(Fatal::failure)?;
    metrics.watch_limiter(clients.limiter()).map_err(Fatal::failure)?;

    let keeper = Keeper::new(Parts {
        flags: flags.clone(),
        file,
        clients: &clients,
        caches: &caches,
        claim: claim.clone(),
        instances: instances.clone(),
        facts: known,
        events: events.clone(),
        metrics: &metrics,
    })
    .map_err(Fatal::failure)?;
    shutdown.spawn(|shutdown| keeper.run(shutdown));

    let catalog = CatalogKeeper::new(&client);
    let reading = catalog.clone();
    tokio::spawn(async move { reading.run().await });
    let pods = controller::Settings {
        cluster: flags.cluster_name.to_string(),
        node: flags.nodename.to_string(),
        host_ip: flags.node_address,
        cloudapi_grace: flags.cloudapi_grace,
        firewall_relist: flags.firewall_relist,
        orphan_grace: flags.orphan_grace,
    };
    let controller = Controller::start(
        pods,
        controller::Parts {
            kube: clients.leading("pods", Priority::Normal, &claim).map_err(Fatal::failure)?,
            events,
            caches: caches.clone(),
            triton: client,
            instances,
            catalog,
            ssh: ssh.map(Connector::new),
            claim: claim.clone(),
            metrics: &metrics,
        },
    )
    .map_err(Fatal::failure)?;
    shutdown.spawn(|shutdown| async move {
        tokio::select! {
            () = shutdown.begun() => {}
            () = controller.run() => {}
        }
    });

    tracing::info!(node = %flags.nodename, address = %admin.address(), "started");
    tokio::spawn(admin.serve(health, metrics));
    let ended = process::run(&shutdown, elector, DRAIN).await;
    tokio::task::block_in_place(|| logs.finish());
    ended
}

fn candidate(clients: &Clients, params: Option<LeaderParams>) -> Result<(Option<Elector>, Claim), Fatal> {
    let Some(params) = params else {
        return Ok((None, Claim::without_election()));
    };
    let client = clients.election().map_err(Fatal::failure)?;
    let (elector, claim) =
        Elector::new(client, params, Timestamp::now, fastrand::Rng::new()).map_err(Fatal::usage)?;
    Ok((Some(elector), claim))
}
