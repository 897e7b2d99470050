//! What the process is told: flags, environment, and the provider's file.
//!
//! [`Flags`] are the command line. Each is also an environment variable `TRITON_VK_<FLAG>` and a key of the file that
//! `--config` names, as with every binary of this project; the variables of the original Triton provider go on to
//! work ([`environment`](mod@environment)). [`ProviderFile`] is the original's `triton.toml`. How to reach CloudAPI is what the
//! official client reads: `TRITON_*` or `SDC_*`.

mod environment;
mod flags;
mod provider_file;
mod virtual_node;

use std::ffi::OsString;

use clap::Parser;
use provider::credentials::SecretName;
use runtime::config::ConfigError;
use runtime::exit::Fatal;
use secrecy::SecretString;
use triton::config::{Config, ENVIRONMENT_PROFILE, Environment};

pub(crate) use self::flags::is_qualified as is_label_value;
pub use self::flags::{ClusterName, Flags, NodeName, PROGRAM, Provider, TaintEffect};
pub use self::provider_file::{FileError, NodeTable, ProviderFile};
pub(crate) use self::virtual_node::{FIXED_LABELS, HOSTNAME};
pub use self::virtual_node::{Figures, NodeTaint, PackageFilter, VirtualNode};
use crate::ssh::{Identity, IdentityError};

/// The prefix of our own environment variables.
pub const PREFIX: &str = "TRITON_VK";

/// The variable with the passphrase of `--ssh-key`. There is no such flag: others can read command lines.
pub const SSH_KEY_PASSPHRASE: &str = "TRITON_VK_SSH_KEY_PASSPHRASE";

/// Everything that the process is told, checked as far as that goes without a call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The command line.
    pub flags: Flags,
    /// The virtual nodes: one, or those of the provider's file.
    pub nodes: Vec<VirtualNode>,
    /// How to reach CloudAPI.
    pub triton: CloudApi,
    /// Who we are to the SSH servers of instances; `None` when no commands can be run in them.
    pub ssh: Option<Identity>,
}

/// Where it is said how to reach CloudAPI.
#[derive(Debug, Clone)]
pub enum CloudApi {
    /// In the environment or a profile.
    Settings(Box<Config>),
    /// In this Secret, by `--credentials-secret`.
    Secret(SecretName),
}

/// Why the settings cannot be used. One line each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A flag, a variable, or the file of flags.
    #[error(transparent)]
    Flags(#[from] ConfigError),
    /// The provider's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// How to reach CloudAPI.
    #[error(transparent)]
    Triton(#[from] triton::config::ConfigError),
    /// The key for SSH.
    #[error(transparent)]
    Ssh(#[from] IdentityError),
    /// The passphrase is no text.
    #[error("environment variable {SSH_KEY_PASSPHRASE}: it is not UTF-8")]
    Passphrase,
}

impl From<SettingsError> for Fatal {
    /// What cannot be read is a failure of the system (exit code 1); all else is usage (2).
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Flags(error) => error.into(),
            SettingsError::File(FileError::Read { .. })
            | SettingsError::Ssh(_)
            | SettingsError::Triton(triton::config::ConfigError::Read { .. }) => Self::failure(error),
            _ => Self::usage(error),
        }
    }
}

impl Settings {
    /// Loads the settings of this process.
    ///
    /// # Errors
    ///
    /// [`SettingsError`]; among them the text of `--help` and `--version` as [`ConfigError::Shown`].
    pub fn load() -> Result<Self, SettingsError> {
        let (arguments, environment) = (std::env::args_os(), |name: &str| std::env::var_os(name));
        Self::load_from(arguments, environment, &Environment::from_process())
    }

    /// Like [`Settings::load`], with the command line (the program's name first) and the environment as arguments;
    /// `triton` is the environment as the Triton library reads it.
    ///
    /// # Errors
    ///
    /// [`SettingsError`]
    pub fn load_from<A>(
        arguments: A,
        environment: impl Fn(&str) -> Option<OsString>,
        triton: &Environment,
    ) -> Result<Self, SettingsError>
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
    {
        let flags: Flags = environment::flags(arguments, &environment)?;
        Self::of(flags, environment, triton)
    }

    /// Loads the settings of a sub-command, whose flags are those of the process and some of its own: `flags` says which
    /// are the process's.
    ///
    /// # Errors
    ///
    /// [`SettingsError`]; among them the text of `--help` and `--version` as [`ConfigError::Shown`].
    pub fn load_sub_command<T: Parser>(
        arguments: impl IntoIterator<Item = OsString>,
        flags: impl Fn(&T) -> &Flags,
    ) -> Result<(T, Self), SettingsError> {
        let environment = |name: &str| std::env::var_os(name);
        let own: T = environment::flags(arguments, environment)?;
        let settings = Self::of(flags(&own).clone(), environment, &Environment::from_process())?;
        Ok((own, settings))
    }

    fn of(
        flags: Flags,
        environment: impl Fn(&str) -> Option<OsString>,
        triton: &Environment,
    ) -> Result<Self, SettingsError> {
        let file = match &flags.provider_config {
            Some(path) => ProviderFile::read(path)?,
            None => ProviderFile::default(),
        };
        let ssh = match &flags.ssh_key {
            Some(path) => Some(Identity::load(path, passphrase(&environment)?.as_ref())?),
            None => None,
        };
        let triton = match &flags.credentials_secret {
            Some(name) => CloudApi::Secret(name.clone()),
            None => CloudApi::Settings(Box::new(triton_config(triton)?)),
        };
        let nodes = file.virtual_nodes(&flags);
        Ok(Self { flags, nodes, triton, ssh })
    }
}

fn passphrase(environment: impl Fn(&str) -> Option<OsString>) -> Result<Option<SecretString>, SettingsError> {
    let value = environment(SSH_KEY_PASSPHRASE).filter(|value| !value.is_empty());
    let text = value.map(|value| value.into_string().map(SecretString::from)).transpose();
    // The value, which the error has, must not be shown.
    text.map_err(|_| SettingsError::Passphrase)
}

/// A URL in the environment is meant: a profile file that a user's home directory happens to call the current one
/// must not win over it. `TRITON_PROFILE` does.
fn triton_config(environment: &Environment) -> Result<Config, triton::config::ConfigError> {
    let set = |name| environment.get(name).is_some();
    let meant = (set("TRITON_URL") || set("SDC_URL")) && !set("TRITON_PROFILE");
    Config::load(environment, meant.then_some(ENVIRONMENT_PROFILE))
}

#[cfg(test)]
mod tests;
