//! Runs a command beside a private Kubernetes control plane, which ends with it:
//! `with-control-plane COMMAND ARGUMENTS...`. The command finds `kubectl` and `helm` on its PATH, and in KUBECONFIG an
//! administrator's credentials.

#![allow(clippy::print_stderr, reason = "the edge of a program")]

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use suites::control_plane::{ControlPlane, Identity, Options};
use tokio::process::Command;

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
    let plane = ControlPlane::start(&Options::default()).await?;
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [plane.binaries().to_owned()].into_iter().chain(env::split_paths(&path));
    let status = Command::new(&program)
        .args(arguments)
        .env("PATH", env::join_paths(folders)?)
        .env("KUBECONFIG", plane.kubeconfig(&Identity::Admin).await?)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
