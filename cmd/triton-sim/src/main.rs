//! `triton-sim`: a simulated Triton data centre for the command line.

mod arguments;
mod serve;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command, one_line};

/// The exit code for a command line that is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and the version, which are no errors, and help for a command line without a command.
        Err(error) if !error.use_stderr() || error.kind().as_str().is_none() => error.exit(),
        Err(error) => return failed(&one_line(&error), USAGE),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&chain(&error), 1),
    }
}

fn failed(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "triton-sim: {message}");
    ExitCode::from(code)
}

/// An error and its causes in one line, none of them said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().replace('\n', " ");
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

fn run(arguments: &Arguments) -> Result<()> {
    let filter = EnvFilter::try_from_env("TRITON_SIM_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match &arguments.command {
        Command::Serve(serve) => runtime.block_on(serve::serve(serve)),
    }
}
