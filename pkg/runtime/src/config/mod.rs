//! Configuration: flags over environment over file.
//!
//! A binary describes its settings once, as a [`clap::Parser`] with long flags. Each of them is also an
//! environment variable (`--log-level` of prefix `TRITON_CCM` is `TRITON_CCM_LOG_LEVEL`) and a key of a TOML file
//! (`log-level = "debug"`, or `level = "debug"` below `[log]`), which `--config` or `<PREFIX>_CONFIG` names. All three
//! go through the same parser of values. Unknown keys are refused with file and line; unknown variables cannot
//! be, because Kubernetes puts its own into every container. An empty variable counts as not set.
//!
//! Secrets belong into files that settings name, never into settings: a refused value is quoted in the error.
//!
//! ```
//! #[derive(clap::Parser, Debug)]
//! #[command(name = "triton-ccm")]
//! struct Settings {
//!     /// How much to log
//!     #[arg(long, default_value = "info")]
//!     log_level: String,
//! }
//!
//! let environment = |name: &str| (name == "TRITON_CCM_LOG_LEVEL").then(|| "debug".into());
//! let settings: Settings = runtime::config::load_from("TRITON_CCM", ["triton-ccm"], environment)?;
//! assert_eq!(settings.log_level, "debug");
//! # Ok::<(), runtime::config::ConfigError>(())
//! ```

mod error;
mod file;
mod load;
#[cfg(test)]
mod tests;

pub use self::error::{ConfigError, Place};
pub use self::load::{load, load_from};
