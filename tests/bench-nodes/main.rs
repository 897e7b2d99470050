//! Measures the cloud controller manager beside providers on the Go framework `k8s.io/cloud-provider`, on real control
//! planes. `hack/bench/nodes` builds all that it needs and runs it; `docs/benchmarks.md` has what it found.
//!
//! Each measurement has a control plane and a data centre of its own, and one follows the other: what is compared ran
//! on the same machine within minutes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the edge of a program")]

mod cluster;
mod drain;
mod initialise;
mod manager;
mod nodes;
mod report;
mod restart;
mod services;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use self::manager::{Kind, Programs};

/// Measures the cloud controller manager beside providers on the Go framework
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of triton-cloud-controller-manager and triton-sim; left out, this program's
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// The folder of go-cloud-provider
    #[arg(long, value_name = "FOLDER")]
    go: PathBuf,
    /// Whom to measure
    #[arg(long, value_delimiter = ',', value_enum, default_value = "triton,tuned,default")]
    managers: Vec<Kind>,
    /// How many Nodes to register; 0 for none
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    nodes: Vec<usize>,
    /// For how many seconds to count what the steady state asks for; the relist and the framework's pass over all Nodes
    /// are every five minutes
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    steady: u64,
    /// Whom to measure with Services
    #[arg(long, value_delimiter = ',', value_enum, default_value = "triton")]
    service_managers: Vec<Kind>,
    /// How many Services there are when Nodes are drained; 0 for none
    #[arg(long, default_value_t = 50)]
    services: usize,
    /// How many Nodes are drained, of twice as many
    #[arg(long, default_value_t = 100)]
    drained: usize,
    /// How many Services there are when the process is started again; 0 for none
    #[arg(long, default_value_t = 500)]
    restarted: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-nodes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    // kube takes the process's provider.
    runtime::clients::Clients::from_config(
        kube::Config::new(http::Uri::from_static("http://127.0.0.1")),
        "bench-nodes",
        runtime::clients::Limits::default(),
    );
    let beside = std::env::current_exe().context("this program has no path")?;
    let beside = beside.parent().context("this program is in no folder")?.to_owned();
    let programs = Programs { ours: arguments.programs.unwrap_or(beside), go: arguments.go };
    let steady = Duration::from_secs(arguments.steady);
    let mut measured = Vec::new();
    for nodes in arguments.nodes.into_iter().filter(|nodes| *nodes > 0) {
        for kind in &arguments.managers {
            eprintln!("{nodes} nodes, {}", kind.title());
            let run = initialise::measure(*kind, &programs, nodes, steady).await;
            let run = run.with_context(|| format!("{nodes} nodes, {}", kind.title()))?;
            eprint!(
                "{}\n{}",
                report::table(std::slice::from_ref(&run)),
                report::requests(std::slice::from_ref(&run))
            );
            measured.push(run);
        }
    }
    if !measured.is_empty() {
        println!("{}\n{}", report::table(&measured), report::requests(&measured));
    }
    if arguments.services > 0 {
        let mut measured = Vec::new();
        for kind in &arguments.service_managers {
            let what =
                format!("{} drained, {} Services, {}", arguments.drained, arguments.services, kind.title());
            eprintln!("{what}");
            let run = drain::measure(*kind, &programs, arguments.services, arguments.drained).await;
            measured.push(run.context(what)?);
        }
        println!("{}", report::drains(&measured));
    }
    if arguments.restarted > 0 {
        eprintln!("a restart with {} Services", arguments.restarted);
        println!("{}", restart::measure(&programs, arguments.restarted).await.context("restart")?);
    }
    Ok(())
}
