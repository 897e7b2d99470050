//! `triton-cloud-controller-manager`: the external cloud provider of clusters whose nodes are Triton machines.

mod cloud_config;
mod cmon;
mod controllers;
mod datacenter;
mod flags;
mod routes;

use std::process::ExitCode;

use cloud_controllers::controller::{Controllers, Kind, MetricsSettings, Parts, Settings};
use cloud_controllers::node::labels::Place;
use jiff::Timestamp;
use runtime::admin::{AdminServer, Documents};
use runtime::clients::Clients;
use runtime::config;
use runtime::exit::{Fatal, report};
use runtime::health::Health;
use runtime::leader::{Claim, Elector, identity};
use runtime::logs::Logs;
use runtime::metrics::Metrics;
use runtime::process;
use runtime::shutdown::{DRAIN, Shutdown};
use runtime::watching::Caches;
use triton::Client;
use triton::config::{Config, Environment};
use triton::reflector::{self, Reflector};

use crate::cloud_config::CloudConfig;
use crate::flags::Flags;
use crate::routes::RouteFlagsError;

/// The program's name.
const PROGRAM: &str = "triton-cloud-controller-manager";

/// The name of the lease unless a flag says otherwise: the framework's (Kubernetes reference 2.1).
const LEASE: &str = "cloud-controller-manager";

/// Where Prometheus' HTTP service discovery finds the cluster's instances.
const CMON_DISCOVERY: &str = "/sd/cmon";

/// The work is waiting for answers: more threads would idle, on whatever machine.
const THREADS: usize = 4;

fn main() -> ExitCode {
    report(PROGRAM, start())
}

fn start() -> Result<(), Fatal> {
    let flags: Flags = config::load("TRITON_CCM")?;
    let cloud = CloudConfig::load(flags.cloud_config.as_deref()).map_err(Fatal::usage)?;
    let environment = cloud.environment(&Environment::from_process());
    let triton = Config::load(&environment, cloud.profile.as_deref()).map_err(Fatal::usage)?;
    let settings = settings(&flags).map_err(Fatal::usage)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(THREADS))
        .enable_all()
        .build()
        .map_err(Fatal::failure)?;
    let ended = runtime.block_on(run(flags, settings, cloud, triton));
    // Whatever has not ended by now is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run(
    flags: Flags,
    settings: impl FnOnce(Place, MetricsSettings) -> Settings,
    cloud: CloudConfig,
    triton: Config,
) -> Result<(), Fatal> {
    let logs = Logs::install(&flags.log.settings(PROGRAM)).map_err(Fatal::usage)?;
    let shutdown = Shutdown::on_signals().map_err(Fatal::failure)?;
    let (metrics, health) = (Metrics::new().map_err(Fatal::failure)?, Health::new());
    let admin = AdminServer::bind(flags.admin_address()).await.map_err(Fatal::failure)?;
    let clients = Clients::new(&flags.source(), &program(), flags.limits()).await.map_err(Fatal::failure)?;
    metrics.watch_limiter(clients.limiter()).map_err(Fatal::failure)?;
    let client =
        Client::configured(&triton).await.map_err(Fatal::failure)?.build().map_err(Fatal::failure)?;
    let metrics_settings = flags.cmon.settings(&flags.cluster_name, &triton).await.map_err(Fatal::failure)?;
    let identity = identity(&std::env::var("HOSTNAME").unwrap_or_default());
    let (elector, claim) = candidate(&flags, &clients, &identity)?;
    let caches = Caches::new();
    health.add_claim(&claim);
    health.add_shutdown(&shutdown);
    caches.report_to(&health);
    metrics.watch_claim(LEASE, &claim).map_err(Fatal::failure)?;
    let datacenter = datacenter::find(&client, cloud.datacenter.clone(), &health);
    tracing::info!(address = %admin.address(), "started");
    for note in flags.notes() {
        tracing::info!("{note}");
    }
    let documents = Documents::default();
    tokio::spawn(admin.with_documents(documents.clone()).serve(health, metrics.clone()));

    let datacenter = tokio::select! {
        datacenter = datacenter => datacenter.map_err(Fatal::failure)?,
        () = shutdown.begun() => return Ok(()),
    };
    let reflector = Reflector::new(client.clone(), reflector::Settings::default());
    let parts = Parts {
        clients: &clients,
        claim,
        identity,
        caches,
        metrics: &metrics,
        triton: client,
        instances: reflector.store(),
    };
    tokio::spawn(reflector.run());
    let controllers = Controllers::start(settings(place(&cloud, datacenter), metrics_settings), parts)
        .map_err(Fatal::failure)?;
    if let Some(discovery) = controllers.discovery() {
        documents.add(CMON_DISCOVERY, move || discovery.json());
    }
    shutdown.spawn(|shutdown| async move {
        tokio::select! {
            () = shutdown.begun() => {}
            () = controllers.run() => {}
        }
    });
    let ended = process::run(&shutdown, elector, DRAIN).await;
    tokio::task::block_in_place(|| logs.finish());
    ended
}

fn candidate(flags: &Flags, clients: &Clients, identity: &str) -> Result<(Option<Elector>, Claim), Fatal> {
    let Some(params) = flags.leader.params(LEASE, identity) else {
        return Ok((None, Claim::without_election()));
    };
    let client = clients.election().map_err(Fatal::failure)?;
    let (elector, claim) =
        Elector::new(client, params, Timestamp::now, fastrand::Rng::new()).map_err(Fatal::usage)?;
    Ok((Some(elector), claim))
}

/// How the controllers work, but for where the machines are, which CloudAPI may have to say.
fn settings(
    flags: &Flags,
) -> Result<impl FnOnce(Place, MetricsSettings) -> Settings + use<>, RouteFlagsError> {
    let mut controllers = flags.controllers.0.clone();
    let route = if controllers.contains(&Kind::Route) { flags.route.settings()? } else { None };
    if route.is_none() {
        controllers.remove(&Kind::Route);
    }
    let (limits, looks_at_once) = (flags.deletion_limits(), flags.concurrent_node_syncs.get());
    let (node_pass, node_lifecycle_pass) = (flags.node_status_update_frequency, flags.node_monitor_period);
    Ok(move |place, metrics| Settings {
        controllers,
        place,
        limits,
        looks_at_once,
        node_pass,
        node_lifecycle_pass,
        route: route.unwrap_or_default(),
        metrics,
    })
}

fn place(cloud: &CloudConfig, datacenter: String) -> Place {
    let or_datacenter = |name: &Option<String>| name.clone().unwrap_or_else(|| datacenter.clone());
    Place { zone: or_datacenter(&cloud.zone), region: or_datacenter(&cloud.region), datacenter }
}

/// Name and version, for user agents.
fn program() -> String {
    format!("{PROGRAM}/{}", env!("CARGO_PKG_VERSION"))
}
