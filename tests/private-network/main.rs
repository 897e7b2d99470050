//! Runs a command in a private network in which all addresses of the simulated data centre are local, and nothing
//! else is: `private-network COMMAND ARGUMENTS...`. A suite whose instances answer runs itself through this.

#![allow(clippy::print_stderr, reason = "the edge of a program")]

use std::error::Error as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use ipnet::Ipv4Net;
use triton_sim::guests::namespace;

/// The networks of the data centre that suites use.
const SUBNETS: [&str; 4] = ["10.112.0.0/22", "172.20.0.0/22", "192.168.128.0/22", "203.0.113.0/24"];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: private-network COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    let subnets: Vec<Ipv4Net> = SUBNETS.iter().filter_map(|subnet| subnet.parse().ok()).collect();
    if let Err(error) = namespace::enter(&subnets) {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        eprintln!("private-network: {error}{cause}");
        return ExitCode::FAILURE;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("private-network: cannot run {}: {error}", program.display());
    ExitCode::FAILURE
}
