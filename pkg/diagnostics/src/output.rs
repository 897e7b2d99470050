//! How what a sub-command shows is written: as text for people, or as JSON for programs.

use std::fmt::Display;
use std::io::{self, Write};

use clap::ValueEnum;
use runtime::exit::Fatal;
use serde::Serialize;

/// How something is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Something could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The output is closed, or full.
    #[error("cannot print what was found")]
    Print(#[source] io::Error),
    /// It has no form as JSON.
    #[error("what was found cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// Writes a value, with a line break at the end.
///
/// # Errors
///
/// [`ShowError`]
pub fn show(value: &(impl Display + Serialize), format: Format, to: &mut dyn Write) -> Result<(), ShowError> {
    let text = match format {
        Format::Text => value.to_string(),
        Format::Json => serde_json::to_string_pretty(value).map_err(ShowError::Json)? + "\n",
    };
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).map_err(ShowError::Print)
}

/// Runs a sub-command that calls servers.
///
/// # Errors
///
/// What it ends with, or that there can be no threads.
pub fn block_on(work: impl Future<Output = Result<(), Fatal>>) -> Result<(), Fatal> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = threads.worker_threads(1).enable_all().build().map_err(Fatal::failure)?;
    let ended = runtime.block_on(work);
    // What still reads is not waited for.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{Finding, Report};

    #[rstest]
    #[case(Format::Text, "ok       cns: on\n")]
    #[case(
        Format::Json,
        "{\n  \"findings\": [\n    {\n      \"level\": \"ok\",\n      \"subject\": \"cns\",\n      \"text\": \"on\"\n    }\n  ]\n}\n"
    )]
    fn the_same_is_shown_to_people_and_to_programs(#[case] format: Format, #[case] expected: &str) {
        let mut out = Vec::new();
        show(&Report { findings: vec![Finding::ok("cns", "on")] }, format, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
