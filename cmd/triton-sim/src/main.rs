//! `triton-sim`: a simulated Triton data centre for the command line.

mod arguments;
mod exec;
mod serve;
mod state;

use std::io::{IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;
use triton_sim::StartError;
use triton_sim::faults::FaultPlanError;

use arguments::{Arguments, Command, one_line};

/// The exit code for a command line that is wrong.
const USAGE: u8 = 2;
/// The variable that says what is logged, in the language of `tracing_subscriber::EnvFilter`.
const LOG: &str = "TRITON_SIM_LOG";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
            _ => return failed(&one_line(&error), USAGE),
        },
    };
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => failed(&chain(&error), exit_code(&error)),
    }
}

/// What is wrong with a flag is wrong usage, also when it shows only later.
fn exit_code(error: &anyhow::Error) -> u8 {
    let flag = matches!(error.downcast_ref(), Some(FaultPlanError::Flag { .. }))
        || matches!(error.downcast_ref(), Some(StartError::Zones(_)));
    if flag { USAGE } else { 1 }
}

/// What is logged.
fn log_filter() -> Result<EnvFilter> {
    let Some(text) = std::env::var_os(LOG) else { return Ok(EnvFilter::new("warn")) };
    let text = text.to_string_lossy();
    EnvFilter::try_new(&text)
        .with_context(|| format!("cannot use {LOG}={text}: write it like info or warn,triton_sim=debug"))
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
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if matches!(arguments.command, Command::Exec(_)) {
        exec::enter()?;
    }
    tracing_subscriber::fmt()
        .with_env_filter(log_filter()?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match &arguments.command {
        Command::Serve(serve) => runtime.block_on(serve::serve(serve)).map(|()| ExitCode::SUCCESS),
        Command::Exec(exec) => runtime.block_on(exec::exec(exec)).map(code_of),
    }
}

/// The exit code of a command, as a shell has it for one that was killed.
fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
