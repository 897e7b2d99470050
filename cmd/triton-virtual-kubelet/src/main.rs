//! `triton-virtual-kubelet`: a Kubernetes node whose pods are Triton instances.

mod cloudapi;
mod doctor;
mod dry_run;
mod explain;
mod sub_commands;
mod wiring;

use std::io::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
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
use virtual_kubelet::settings::{PROGRAM, Settings, SettingsError};
use virtual_kubelet::ssh::Connector;

use crate::wiring::{Account, Process};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The work is waiting for answers: more threads would idle, on whatever machine.
const THREADS: usize = 4;

/// Name and version, for user agents.
const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    let arguments = std::env::args_os().collect();
    report(PROGRAM, sub_commands::run(arguments).unwrap_or_else(start))
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
    let Settings { flags, nodes, triton, ssh } = settings;
    let logs = Logs::install(&flags.logs()).map_err(Fatal::usage)?;
    let shutdown = Shutdown::on_signals().map_err(Fatal::failure)?;
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let health = Health::new();
    // Who only looks may do so beside the process that works.
    let admin = match flags.dry_run {
        true => None,
        false => Some(AdminServer::bind(flags.admin_address).await.map_err(Fatal::failure)?),
    };
    for flag in flags.without_effect() {
        tracing::warn!("{flag} has no effect any more; leave it out");
    }

    let clients =
        Clients::new(&flags.kube.source(), AGENT, flags.kube.limits()).await.map_err(Fatal::failure)?;
    let identity = identity(&std::env::var("HOSTNAME").unwrap_or_default());
    // Who only looks tells nobody.
    let events = match flags.dry_run {
        true => EventRecorder::muted(),
        false => {
            let client = clients.client("events", Priority::Background).map_err(Fatal::failure)?;
            let reporter = Reporter { controller: PROGRAM.to_owned(), instance: identity.clone() };
            EventRecorder::start(client, reporter, Timestamp::now)
        }
    };
    let client = cloudapi::connect(triton, flags.budget(), &clients, &events, &health, &metrics);
    let Some(admin) = admin else {
        let ended = tokio::select! {
            client = client => dry_run::run(&flags, &nodes, &clients, client?, &shutdown).await,
            () = shutdown.begun() => Ok(()),
        };
        tokio::task::block_in_place(|| logs.finish());
        return ended;
    };
    let (elector, claim) = candidate(&clients, flags.election(&identity))?;
    // Caches are filled on a standby too, so that it acts as soon as it leads.
    let caches = Caches::new();
    health.add_claim(&claim);
    health.add_shutdown(&shutdown);
    caches.report_to(&health);
    let address = admin.address();
    tokio::spawn(admin.serve(health.clone(), metrics.clone()));
    let client = tokio::select! {
        client = client => client?,
        () = shutdown.begun() => return Ok(()),
    };
    let account = Account::follow(client, &flags, &caches);
    metrics.watch_claim(PROGRAM, &claim).map_err(Fatal::failure)?;
    metrics.watch_limiter(clients.limiter()).map_err(Fatal::failure)?;

    let wiring = Process {
        flags: &flags,
        nodes: &nodes,
        clients: &clients,
        caches: &caches,
        claim: &claim,
        events: &events,
        metrics: &metrics,
        account: &account,
    };
    for keeper in wiring.keepers()? {
        shutdown.spawn(|shutdown| keeper.run(shutdown));
    }
    let controller = wiring.controller(ssh.map(Connector::new))?;
    shutdown.spawn(|shutdown| async move {
        tokio::select! {
            () = shutdown.begun() => {}
            () = controller.run() => {}
        }
    });

    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    tracing::info!(nodes = names.join(","), %address, "started");
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
