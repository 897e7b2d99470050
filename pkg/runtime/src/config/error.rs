//! What can be wrong with a configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::exit::Fatal;

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why settings could not be loaded. Every message is one line that names the flag, variable or line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `--help` or `--version` was asked for: not an error; the text is for standard output.
    #[error("{0}")]
    Shown(String),
    /// The command line is wrong; clap's own words, without its usage block.
    #[error("{0}; try --help")]
    Flag(String),
    /// An environment variable has a value that its flag does not take.
    #[error("environment variable {name}: {message}; correct or unset it")]
    Variable {
        /// The variable's name.
        name: String,
        /// What is wrong with the value.
        message: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}; check --config and the file's permissions", file.display())]
    Read {
        /// The file as named.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser said.
        message: String,
    },
    /// The file has a key that no flag bears.
    #[error("{place}: unknown key \"{key}\"; keys are the names of the flags that --help lists")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The whole key, parents joined with dots.
        key: String,
    },
    /// Two keys of the file mean the same flag.
    #[error("{place}: key \"{key}\" sets --{flag} a second time; keep one of them")]
    Repeated {
        /// Where the second one is.
        place: Place,
        /// The whole second key.
        key: String,
        /// The flag that both set.
        flag: String,
    },
    /// The value in the file does not suit its flag.
    #[error("{place}: key \"{key}\": {message}")]
    Value {
        /// Where.
        place: Place,
        /// The whole key.
        key: String,
        /// What is wrong with the value.
        message: String,
    },
}

impl From<ConfigError> for Fatal {
    /// A file that cannot be read is a failure of the system (exit code 1), all else is usage (2).
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Read { .. } => Self::failure(error),
            _ => Self::usage(error),
        }
    }
}
