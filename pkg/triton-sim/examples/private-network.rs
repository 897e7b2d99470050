//! Runs a command in a private network in which some subnets are local, as `triton-sim exec` does for the data
//! centre's: `private-network 192.168.128.0/22,203.0.113.0/24 COMMAND ARGUMENTS...`.
//!
//! Exit code 77 when the system makes no private networks for this user, 2 for wrong usage, 1 when the command
//! cannot be run; otherwise the command's own.

#![allow(clippy::print_stderr, reason = "the edge of a program")]

use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use ipnet::Ipv4Net;
use triton_sim::guests::namespace;

/// What test drivers take for "skipped", since automake.
const CANNOT: u8 = 77;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let subnets = arguments.next().and_then(|text| subnets(text.to_str()?));
    let (Some(subnets), Some(program)) = (subnets, arguments.next()) else {
        eprintln!("usage: private-network SUBNET[,SUBNET...] COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    if let Err(error) = namespace::enter(&subnets) {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        eprintln!("private-network: {error}{cause}");
        return ExitCode::from(CANNOT);
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("private-network: cannot run {}: {error}", program.display());
    ExitCode::FAILURE
}

fn subnets(text: &str) -> Option<Vec<Ipv4Net>> {
    text.split(',').map(|subnet| subnet.parse().ok()).collect()
}
