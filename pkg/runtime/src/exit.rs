//! How a process ends: one line that says why, and an exit code.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// The exit code of a process that was called wrongly, as clap, bash and the Go flag package have it.
pub const USAGE: u8 = 2;

/// The exit code of everything else that ends a process early.
pub const FAILURE: u8 = 1;

/// The exit code of a tool that could not find out what it was asked: a server did not answer.
pub const UNKNOWN: u8 = 3;

/// Why a process ends: an error with its exit code. The edge of a binary prints it once, as one line.
pub struct Fatal {
    code: u8,
    error: Box<dyn Error + Send + Sync>,
}

impl Fatal {
    /// The command line, the environment or a configuration file is wrong: exit code 2.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: USAGE, error: error.into() }
    }

    /// Anything else: exit code 1.
    pub fn failure(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: FAILURE, error: error.into() }
    }

    /// What a tool was asked cannot be found out now: exit code 3.
    pub fn unknown(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: UNKNOWN, error: error.into() }
    }

    /// The exit code, 1 to 3.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(self.error.as_ref()))
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error and its causes as one line: `a: b: c`. A cause that its parent already quotes is left out, and line
/// breaks and other control characters become spaces, so that a log line cannot be forged.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ends a binary: `main` returns this. A failure is printed to standard error as `name: line`.
pub fn report(name: &str, result: Result<(), Fatal>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{name}: {fatal}");
            ExitCode::from(fatal.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn chain(texts: &[&'static str]) -> Layer {
        let source = (texts.len() > 1).then(|| Box::new(chain(&texts[1..])));
        Layer { text: texts[0], source }
    }

    #[test]
    fn a_chain_of_causes_reads_as_one_line() {
        for (texts, line) in [
            (&["cannot listen"][..], "cannot listen"),
            (&["cannot listen", "address in use"], "cannot listen: address in use"),
            (&["cannot listen: address in use", "address in use"], "cannot listen: address in use"),
            (&["a\nb\t\u{1b}[31m", "c\r\n"], "a b [31m: c"),
        ] {
            assert_eq!(one_line(&chain(texts)), line);
        }
    }

    #[test]
    fn usage_and_failure_have_their_codes() {
        assert_eq!(Fatal::usage("x").code(), 2);
        assert_eq!(Fatal::failure("x").code(), 1);
        assert_eq!(Fatal::unknown("x").code(), 3);
        assert_eq!(format!("{:?}", Fatal::failure(chain(&["a", "b"]))), "a: b");
    }
}
