//! `serve`: a data centre until it is interrupted.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use triton_sim::Simulator;

use crate::arguments::ServeArguments;
use crate::state;

/// The lines to paste into a shell.
fn shown(variables: &[(String, String)], key: Option<&std::path::Path>) -> String {
    let mut text: String =
        variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
    if let Some(key) = key {
        let key = quoted(&key.display().to_string());
        text.push_str(&format!("# The triton command looks for the key in an agent: ssh-add {key}\n"));
    }
    text
}

/// A value as a shell reads it.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@,+=%[]".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Serves until the process is interrupted or terminated.
pub(crate) async fn serve(arguments: &ServeArguments) -> Result<()> {
    let (mut settings, state) = state::prepare(&arguments.simulator)?;
    settings.guests = arguments.guests;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let simulator = Simulator::start(settings).await?;
    let text = shown(&state.environment(&simulator)?, state.key());
    // Whoever closed the output does not want to read it.
    let mut output = std::io::stdout();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    simulator.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_a_shell_needs_it() {
        for (value, expected) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
