//! The command line of the sub-command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use provider::credentials::{DEFAULT_SECRET, SecretName};

/// Makes and checks the Secret that says how CloudAPI is reached
#[derive(Debug, Parser)]
#[command(name = "triton-cloud-controller-manager credentials", version, no_binary_name = true)]
#[command(bin_name = "triton-cloud-controller-manager credentials")]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) action: Action,
}

/// What to do
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Checks what there is, and prints the Secret, or applies it
    Create(Create),
    /// Checks what there is, or a Secret of the cluster
    Verify(Verify),
}

/// Flags of `create`
#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    pub(super) user: User,
    /// The Secret
    #[arg(long, default_value = DEFAULT_SECRET, value_name = "NAMESPACE/NAME")]
    pub(super) name: SecretName,
    /// Adds a client certificate for CMON
    #[arg(long)]
    pub(super) cmon: bool,
    /// Applies the Secret to the cluster instead of printing it
    #[arg(long)]
    pub(super) apply: bool,
    /// The cluster; left out, KUBECONFIG or ~/.kube/config says which
    #[arg(long, requires = "apply", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// How the Secret is printed
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
}

/// Flags of `verify`
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    pub(super) user: User,
    /// A Secret of the cluster to check instead
    #[arg(long, conflicts_with_all = ["profile", "key_file"], value_name = "NAMESPACE/NAME")]
    pub(super) credentials_secret: Option<SecretName>,
    /// The cluster; left out, KUBECONFIG or ~/.kube/config says which
    #[arg(long, requires = "credentials_secret", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Asks CMON as well
    #[arg(long)]
    pub(super) cmon: bool,
}

/// What a user has. Passphrases are asked for, or in TRITON_KEY_PASSPHRASE; never on the command line
#[derive(Debug, Args)]
pub(super) struct User {
    /// A profile of the triton tool; left out, TRITON_PROFILE, the tool's current one, or the variables TRITON_*
    #[arg(long, short, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// The file of the private key; left out, it is looked for by its fingerprint in the agent and in ~/.ssh
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Certificates in PEM that CloudAPI's is checked against, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

/// How an object is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, and kubectl
    #[default]
    Yaml,
    /// For programs
    Json,
}
