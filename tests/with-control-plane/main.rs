//! Runs a command beside a private Kubernetes control plane, which ends with it:
//! `with-control-plane COMMAND ARGUMENTS...`. The command finds `kubectl` and `helm` on its PATH, and in KUBECONFIG an
//! administrator's credentials. An interrupt is the command's to answer; SIGTERM and SIGHUP kill it.

#![allow(clippy::print_stderr, reason = "the edge of a program")]

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use suites::control_plane::{ControlPlane, Identity, Options};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-control-plane COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    match run(program, arguments.collect()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-control-plane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(program: OsString, arguments: Vec<OsString>) -> Result<u8> {
    // An interrupt at the terminal reaches the command as well. Who ends here before the command would leave it and the
    // control plane's folder behind.
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hung_up = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let options = Options::default();
    let plane = tokio::select! {
        plane = ControlPlane::start(&options) => plane?,
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
        _ = hung_up.recv() => bail!("terminated"),
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [plane.binaries().to_owned()].into_iter().chain(env::split_paths(&path));
    let mut child = Command::new(&program)
        .args(arguments)
        .env("PATH", env::join_paths(folders)?)
        .env("KUBECONFIG", plane.kubeconfig(&Identity::Admin).await?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("cannot wait for the command")?,
            _ = interrupted.recv() => {}
            _ = terminated.recv() => child.start_kill().context("cannot end the command")?,
            _ = hung_up.recv() => child.start_kill().context("cannot end the command")?,
        }
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
