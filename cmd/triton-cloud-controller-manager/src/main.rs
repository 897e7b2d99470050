//! `triton-cloud-controller-manager`: the external cloud provider of clusters whose nodes are Triton machines.

mod balancers;
mod cleanup;
mod cloud_config;
mod cloudapi;
mod cmon;
mod controllers;
mod credentials;
mod datacenter;
mod doctor;
mod explain;
mod flags;
mod routes;
mod secure_port;
mod sub_commands;

use std::process::ExitCode;
use std::sync::Arc;

use cloud_controllers::controller::{Controllers, Kind, MetricsSettings, Parts, ServiceSettings, Settings};
use cloud_controllers::node::labels::Place;
use jiff::Timestamp;
use provider::names::tag;
use runtime::admin::Documents;
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
use triton::config::{Config, Environment};
use triton::reflector::{self, Reflector};
use triton::types::TagValue;

use crate::cloud_config::CloudConfig;
use crate::cloudapi::{Connection, Contradiction, Credentials};
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
    let arguments: Vec<_> = std::env::args_os().collect();
    report(PROGRAM, sub_commands::run(arguments).unwrap_or_else(start))
}

fn start() -> Result<(), Fatal> {
    let flags: Flags = config::load("TRITON_CCM")?;
    let cloud = CloudConfig::load(flags.cloud_config.as_deref()).map_err(Fatal::usage)?;
    let credentials = origin(&flags, &cloud)?;
    let settings = settings(&flags).map_err(Fatal::usage)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(THREADS))
        .enable_all()
        .build()
        .map_err(Fatal::failure)?;
    let ended = runtime.block_on(run(flags, settings, Arc::new(cloud), credentials));
    // Whatever has not ended by now is not waited for.
    runtime.shutdown_background();
    ended
}

/// Where the credentials come from.
fn origin(flags: &Flags, cloud: &CloudConfig) -> Result<Credentials, Fatal> {
    match &flags.credentials_secret {
        Some(_) if cloud.profile.is_some() => Err(Fatal::usage(Contradiction)),
        Some(name) => Ok(Credentials::Secret(name.clone())),
        None => {
            let environment = cloud.environment(&Environment::from_process());
            let config = Config::load(&environment, cloud.profile.as_deref()).map_err(Fatal::usage)?;
            Ok(Credentials::Settings(Box::new(config)))
        }
    }
}

async fn run(
    flags: Flags,
    settings: impl FnOnce(Place, MetricsSettings) -> Settings,
    cloud: Arc<CloudConfig>,
    credentials: Credentials,
) -> Result<(), Fatal> {
    let logs = Logs::install(&flags.log.settings(PROGRAM)).map_err(Fatal::usage)?;
    let shutdown = Shutdown::on_signals().map_err(Fatal::failure)?;
    let (metrics, health) = (Metrics::new().map_err(Fatal::failure)?, Health::new());
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let admin = flags.port.open(&flags.source(), &program(), &host).await?;
    let clients = Clients::new(&flags.source(), &program(), flags.limits()).await.map_err(Fatal::failure)?;
    metrics.watch_limiter(clients.limiter()).map_err(Fatal::failure)?;
    let identity = identity(&host);
    let connection = match flags.dry_run {
        true => Connection::look(credentials, &cloud, &clients, &health).await?,
        false => Connection::prepare(credentials, &cloud, &clients, &health, &identity).await?,
    };
    let (elector, claim) = candidate(&flags, &clients, &identity)?;
    let caches = Caches::new();
    health.add_claim(&claim);
    health.add_shutdown(&shutdown);
    caches.report_to(&health);
    metrics.watch_claim(LEASE, &claim).map_err(Fatal::failure)?;
    let datacenter = datacenter::Search::new(cloud.datacenter.clone(), &health);
    tracing::info!(address = %admin.address(), "started");
    if flags.dry_run {
        tracing::info!("dry run: nothing is written");
    }
    for note in flags.notes() {
        tracing::info!("{note}");
    }
    let documents = Documents::default();
    tokio::spawn(admin.with_documents(documents.clone()).serve(health, metrics.clone()));

    let found = async {
        let (client, configs) = connection.client(&metrics).await?;
        let cmon = flags.cmon.settings(&flags.cluster_name, configs).await.map_err(Fatal::failure)?;
        let datacenter = datacenter.find(&client).await.map_err(Fatal::failure)?;
        Ok::<_, Fatal>((client, cmon, datacenter))
    };
    let (client, cmon, datacenter) = tokio::select! {
        found = found => found?,
        () = shutdown.begun() => return Ok(()),
    };
    let ours = TagValue::from(flags.cluster_name.as_str());
    let reflector =
        Reflector::new(client.clone(), reflector::Settings::default()).deleting(tag::CLUSTER, ours);
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
    let controllers =
        Controllers::start(settings(place(&cloud, datacenter), cmon), parts).map_err(Fatal::failure)?;
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
    if flags.dry_run {
        return Ok((None, Claim::never()));
    }
    let Some(params) = flags.leader.params(LEASE, identity) else {
        return Ok((None, Claim::without_election()));
    };
    let client = clients.election().map_err(Fatal::failure)?;
    let (elector, claim) =
        Elector::new(client, params, Timestamp::now, fastrand::Rng::new()).map_err(Fatal::usage)?;
    Ok((Some(elector), claim))
}

/// How the controllers work, but for what CloudAPI or a Secret may have to say first.
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
    let services = ServiceSettings {
        cluster: flags.cluster_name.clone(),
        default_load_balancer: flags.default_load_balancer,
        looks_at_once: flags.concurrent_service_syncs.get(),
        balancers: flags.balancers.settings(),
    };
    Ok(move |place, metrics| Settings {
        controllers,
        place,
        limits,
        looks_at_once,
        node_pass,
        node_lifecycle_pass,
        services,
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
