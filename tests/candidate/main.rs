//! A process as both binaries are, whose work is to count: while it leads, it writes who it is and how far it has come
//! into the ConfigMap `default/counter`. The suites start several of it and look at what it says and writes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use runtime::admin::AdminServer;
use runtime::clients::{Clients, Priority};
use runtime::config;
use runtime::exit::{Fatal, one_line, report};
use runtime::flags::{AdminFlags, KubeFlags, LeaderFlags, LogFlags, duration};
use runtime::health::Health;
use runtime::leader::{Claim, Elector};
use runtime::logs::Logs;
use runtime::metrics::Metrics;
use runtime::process;
use runtime::shutdown::{DRAIN, Shutdown};
use serde_json::json;

const PROGRAM: &str = "candidate";

/// A process that counts while it leads
#[derive(Parser)]
#[command(name = PROGRAM, version)]
struct Settings {
    /// The name of this candidate, in the lease and in what it writes
    #[arg(long)]
    identity: String,
    /// How long it works towards each number
    #[arg(long, default_value = "100ms", value_parser = duration)]
    step: Duration,
    /// The ConfigMap to count in
    #[arg(long, default_value = "counter")]
    counter: String,
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    kube: KubeFlags,
    #[command(flatten)]
    leader: LeaderFlags,
}

#[tokio::main]
async fn main() -> ExitCode {
    report(PROGRAM, run().await)
}

async fn run() -> Result<(), Fatal> {
    let settings: Settings = config::load("CANDIDATE")?;
    let logs = Logs::install(&settings.log.settings(PROGRAM)).map_err(Fatal::usage)?;
    let shutdown = Shutdown::on_signals().map_err(Fatal::failure)?;
    let metrics = Metrics::new().map_err(Fatal::failure)?;
    let health = Health::new();
    let admin = AdminServer::bind(settings.admin.admin_address).await.map_err(Fatal::failure)?;

    let clients = Clients::new(&settings.kube.source(), PROGRAM, settings.kube.limits())
        .await
        .map_err(Fatal::failure)?;
    let Some(params) = settings.leader.params(PROGRAM, &settings.identity) else {
        return Err(Fatal::usage("a candidate needs --leader-elect"));
    };
    let client = clients.election().map_err(Fatal::failure)?;
    let (elector, claim) =
        Elector::new(client, params, jiff::Timestamp::now, fastrand::Rng::new()).map_err(Fatal::usage)?;
    health.add_claim(&claim);
    health.add_shutdown(&shutdown);
    metrics.watch_claim(PROGRAM, &claim).map_err(Fatal::failure)?;

    let client = clients.leading("counter", Priority::Normal, &claim).map_err(Fatal::failure)?;
    let counter: Api<ConfigMap> = Api::namespaced(client, "default");
    tracing::info!(address = %admin.address(), "started");
    tokio::spawn(admin.serve(health, metrics));
    let (step, name, identity) = (settings.step, settings.counter, settings.identity);
    shutdown.spawn(|shutdown| count(shutdown, claim, counter, name, identity, step));
    let ended = process::run(&shutdown, Some(elector), DRAIN).await;
    tokio::task::block_in_place(|| logs.finish());
    ended
}

/// Counts while it leads. A signal lets it end the number that it works towards.
async fn count(
    shutdown: Shutdown,
    claim: Claim,
    counter: Api<ConfigMap>,
    name: String,
    identity: String,
    step: Duration,
) {
    let mut number = 0_u64;
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            led = claim.held() => if led.is_err() { return },
        }
        tracing::info!(number = number + 1, "working");
        tokio::time::sleep(step).await;
        let data = json!({"data": {"writer": identity, "number": (number + 1).to_string()}});
        match counter.patch(&name, &PatchParams::default(), &Patch::Merge(&data)).await {
            Ok(_) => number += 1,
            Err(error) => tracing::warn!(error = %one_line(&error), "not counted"),
        }
    }
}
