//! What the program does instead of running, when the command line's first word asks for it.

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser;
use runtime::config::ConfigError;
use runtime::exit::Fatal;
use virtual_kubelet::settings::{Flags, Settings, SettingsError};

use crate::{doctor, explain};

/// Runs the sub-command that the command line asks for, if any; it begins with the program's name.
pub(super) fn run(arguments: Vec<OsString>) -> Option<Result<(), Fatal>> {
    let run = match arguments.get(1)?.to_str()? {
        "doctor" => doctor::run,
        "explain" => explain::run,
        _ => return None,
    };
    Some(run(arguments))
}

/// The settings of a sub-command, and of the process; `None` when its help was all that was wanted.
pub(super) fn settings<T: Parser>(
    mut arguments: Vec<OsString>,
    flags: impl Fn(&T) -> &Flags,
) -> Result<Option<(T, Settings)>, Fatal> {
    arguments.remove(1);
    match Settings::load_sub_command(arguments, flags) {
        Err(SettingsError::Flags(ConfigError::Shown(text))) => {
            // Whoever closed the output does not want to read it.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(None)
        }
        settings => Ok(Some(settings?)),
    }
}
