//! `exec`: a data centre and a command in a private network, in which instances answer on their own addresses.

use std::process::ExitStatus;

use anyhow::{Context as _, Result};
use ipnet::Ipv4Net;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use triton_sim::Simulator;
use triton_sim::guests::namespace;

use crate::arguments::ExecArguments;
use crate::state;

/// What is local in the private network: every network that the data centre has, and all private ones that an account
/// may make a fabric of.
const SUBNETS: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"];

/// Enters the private network. To be called before there are threads.
pub(crate) fn enter() -> Result<()> {
    let subnets: Vec<Ipv4Net> = SUBNETS.iter().filter_map(|subnet| subnet.parse().ok()).collect();
    Ok(namespace::enter(&subnets)?)
}

/// Runs the command, and says how it ended.
pub(crate) async fn exec(arguments: &ExecArguments) -> Result<ExitStatus> {
    let (mut settings, state) = state::prepare(&arguments.simulator)?;
    settings.guests = true;
    // An interrupt reaches the command as well, which decides what it means.
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let simulator = Simulator::start(settings).await?;
    let environment = state.environment(&simulator)?;
    let Some((program, rest)) = arguments.command.split_first() else {
        anyhow::bail!("there is no command: give one after --");
    };
    let mut child =
        Command::new(program).args(rest).envs(environment).kill_on_drop(true).spawn().with_context(|| {
            format!("cannot run {}: give a program of this machine after --", program.display())
        })?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("cannot wait for the command")?,
            _ = interrupted.recv() => {}
            _ = terminated.recv() => child.start_kill().context("cannot end the command")?,
        }
    };
    simulator.shutdown().await;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subnet_is_one() {
        assert!(SUBNETS.iter().all(|subnet| subnet.parse::<Ipv4Net>().is_ok()));
    }
}
