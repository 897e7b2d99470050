//! Measures the virtual kubelet beside the Go virtual-kubelet, on real control planes. `hack/bench/pods` builds all that
//! it needs and runs it; `docs/benchmarks.md` has what it found.
//!
//! Each measurement has a control plane and a data centre of its own, and one follows the other: what is compared ran
//! on the same machine within minutes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the edge of a program")]

mod churn;
mod kubelet;
mod latency;
mod load;
mod report;
mod restart;
mod throttle;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use self::kubelet::{Kind, Programs};

/// Measures the virtual kubelet beside the Go virtual-kubelet
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder of triton-virtual-kubelet and triton-sim; left out, this program's
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// The folder of go-kubelet and virtual-kubelet
    #[arg(long, value_name = "FOLDER")]
    go: PathBuf,
    /// Whom to measure
    #[arg(long, value_delimiter = ',', value_enum, default_value = "triton,lifted,shipped")]
    kubelets: Vec<Kind>,
    /// How many pods to make and delete
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    pods: Vec<usize>,
    /// How many pods to make and delete under CloudAPI's throttle; 0 for none
    #[arg(long, default_value_t = 100)]
    throttled: usize,
    /// How many instances to stop behind the kubelet's back; 0 for none
    #[arg(long, default_value_t = 500)]
    changed: usize,
    /// How many pods there are when the kubelet is started again; 0 for none
    #[arg(long, default_value_t = 0)]
    restarted: usize,
    /// Leave the Go kubelet as it ships out of runs of more pods: it makes five a second, and deletes two
    #[arg(long, default_value_t = 1000)]
    most_shipped: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-pods: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    // kube takes the process's provider.
    runtime::clients::Clients::from_config(
        kube::Config::new(http::Uri::from_static("http://127.0.0.1")),
        "bench-pods",
        runtime::clients::Limits::default(),
    );
    let beside = std::env::current_exe().context("this program has no path")?;
    let beside = beside.parent().context("this program is in no folder")?.to_owned();
    let programs = Programs { ours: arguments.programs.unwrap_or(beside), go: arguments.go };
    let mut measured = Vec::new();
    for pods in &arguments.pods {
        for kind in &arguments.kubelets {
            if *kind == Kind::Shipped && *pods > arguments.most_shipped {
                continue;
            }
            eprintln!("{} pods, {}", pods, kind.title());
            let run = churn::measure(*kind, &programs, *pods).await;
            let run = run.with_context(|| format!("{pods} pods, {}", kind.title()))?;
            eprint!("{}", report::table(std::slice::from_ref(&run)));
            measured.push(run);
        }
    }
    if !measured.is_empty() {
        println!("{}\n{}", report::table(&measured), report::requests(&measured));
    }
    if arguments.throttled > 0 {
        eprintln!("{} pods under the throttle", arguments.throttled);
        let measured =
            throttle::measure(&programs, arguments.throttled).await.context("under the throttle")?;
        println!("{}", throttle::table(&measured));
    }
    if arguments.changed > 0 {
        eprintln!("{} changes", arguments.changed);
        println!("{}", latency::measure(&programs, arguments.changed).await.context("changes")?);
    }
    if arguments.restarted > 0 {
        eprintln!("a restart with {} pods", arguments.restarted);
        println!("{}", restart::measure(&programs, arguments.restarted).await.context("restart")?);
    }
    Ok(())
}
