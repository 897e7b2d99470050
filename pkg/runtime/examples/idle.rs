//! A process that watches nothing: logs, metrics, the admin server, signals, and, with `--leader-elect`, a lease.
//! For measuring what the process itself costs, and for tests of how it starts and ends:
//!
//! ```text
//! cargo run --release -p runtime --example idle -- --leader-elect=false --admin-address 127.0.0.1:10258
//! grep -E 'VmHWM|VmRSS' /proc/<its process id>/status
//! ```

use std::process::ExitCode;

use clap::Parser;
use runtime::admin::AdminServer;
use runtime::clients::Clients;
use runtime::config;
use runtime::exit::{Fatal, report};
use runtime::flags::{AdminFlags, KubeFlags, LeaderFlags, LogFlags};
use runtime::health::Health;
use runtime::leader::{Claim, Elector, identity};
use runtime::logs::Logs;
use runtime::metrics::Metrics;
use runtime::process;
use runtime::shutdown::{DRAIN, Shutdown};

/// A process that watches nothing
#[derive(Parser)]
#[command(name = "idle", version)]
struct Settings {
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    kube: KubeFlags,
    #[command(flatten)]
    leader: LeaderFlags,
}

fn main() -> ExitCode {
    report("idle", start())
}

fn start() -> Result<(), Fatal> {
    let settings: Settings = config::load("IDLE")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Fatal::failure)?;
    let ended = runtime.block_on(run(settings));
    // Whatever has not ended by now is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run(settings: Settings) -> Result<(), Fatal> {
    let logs = Logs::install(&settings.log.settings("idle")).map_err(Fatal::usage)?;
    let shutdown = Shutdown::on_signals().map_err(Fatal::failure)?;
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let health = Health::new();
    let admin = AdminServer::bind(settings.admin.admin_address).await.map_err(Fatal::failure)?;
    let (elector, claim) = candidate(&settings).await?;
    health.add_claim(&claim);
    health.add_shutdown(&shutdown);
    metrics.watch_claim("idle", &claim).map_err(Fatal::failure)?;
    tracing::info!(address = %admin.address(), "started");
    tokio::spawn(admin.serve(health, metrics));
    let ended = process::run(&shutdown, elector, DRAIN).await;
    tokio::task::block_in_place(|| logs.finish());
    ended
}

async fn candidate(settings: &Settings) -> Result<(Option<Elector>, Claim), Fatal> {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let Some(params) = settings.leader.params("idle", &identity(&host)) else {
        return Ok((None, Claim::without_election()));
    };
    let clients = Clients::new(&settings.kube.source(), "idle/0.1.0", settings.kube.limits())
        .await
        .map_err(Fatal::failure)?;
    let client = clients.election().map_err(Fatal::failure)?;
    let (elector, claim) =
        Elector::new(client, params, jiff::Timestamp::now, fastrand::Rng::new()).map_err(Fatal::usage)?;
    Ok((Some(elector), claim))
}
