//! `serve`: a data centre until it is interrupted.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use triton_sim::keys::KeyPair;
use triton_sim::{Settings, Simulator};

use crate::arguments::{ServeArguments, SimulatorArguments};

/// The settings with a key, where that is, and the directory that goes at the end.
fn with_key(arguments: &SimulatorArguments) -> Result<(Settings, Option<PathBuf>, Option<TempDir>)> {
    let mut settings = arguments.settings()?;
    if !settings.keys.is_empty() {
        return Ok((settings, None, None));
    }
    let (directory, temporary) = match &arguments.state {
        Some(directory) => (directory.clone(), None),
        None => {
            let temporary = tempfile::Builder::new()
                .prefix("triton-sim-")
                .tempdir()
                .context("cannot make a temporary directory for the key: give one with --state")?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let (path, key) = KeyPair::in_directory(&directory)?;
    settings.keys.push(key.public);
    Ok((settings, Some(path), temporary))
}

/// The lines to paste into a shell.
fn environment(simulator: &Simulator, key: Option<&PathBuf>) -> String {
    let mut text = String::new();
    for (name, value) in simulator.environment() {
        text.push_str(&format!("export {name}={value}\n"));
    }
    if let Some(key) = key {
        text.push_str(&format!("export TRITON_KEY_MATERIAL={}\n", key.display()));
        text.push_str(&format!(
            "# The private key; the triton command takes it from an agent: ssh-add {}\n",
            key.display()
        ));
    }
    if let Some(url) = simulator.admin_url() {
        text.push_str(&format!("# Faults, counters and the truth: {url}\n"));
    }
    text
}

/// Serves until the process is interrupted or terminated.
pub(crate) async fn serve(arguments: &ServeArguments) -> Result<()> {
    let (settings, key, _temporary) = with_key(&arguments.simulator)?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let simulator = Simulator::start(settings).await?;
    let text = environment(&simulator, key.as_ref());
    // Whoever closed the output does not want to read it.
    let _ = std::io::stdout().write_all(text.as_bytes());
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    simulator.shutdown().await;
    Ok(())
}
