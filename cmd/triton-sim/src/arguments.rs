//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use triton::auth::PublicKey;
use triton_sim::Settings;
use triton_sim::cloudapi::{ThrottleLimits, Tls};
use triton_sim::faults::FaultPlan;
use triton_sim::{fixtures, world};

/// The longest login that Triton takes, in characters.
const LONGEST_LOGIN: usize = 32;

/// A simulated Triton data centre: CloudAPI, CNS, CMON and the guests of its instances in one process.
#[derive(Debug, Parser)]
#[command(name = "triton-sim", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a data centre until it is interrupted, and print the environment for clients
    Serve(ServeArguments),
    /// Run a command beside a data centre, both in a private network in which instances answer on their addresses
    Exec(ExecArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) simulator: SimulatorArguments,
    /// Let instances answer on their own addresses, which have to be local here
    #[arg(long)]
    pub(crate) guests: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    pub(crate) simulator: SimulatorArguments,
    /// What to run, with the environment of `serve`; its exit code is the result
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// How the settings go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Jobs take about a second, nothing is throttled
    Development,
    /// Jobs take as long as in a real data centre, accounts are throttled to 10 requests a second
    Production,
    /// Jobs take no time, nothing is throttled
    Instant,
}

#[derive(Debug, Args)]
pub(crate) struct SimulatorArguments {
    /// Where CloudAPI listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", env = "TRITON_SIM_CLOUDAPI")]
    pub(crate) cloudapi: SocketAddr,
    /// Serve CloudAPI with TLS and a certificate that signs itself
    #[arg(long, conflicts_with_all = ["tls_certificate", "tls_key"])]
    pub(crate) tls: bool,
    /// Serve CloudAPI with TLS and this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where the admin API listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081", env = "TRITON_SIM_ADMIN")]
    pub(crate) admin: SocketAddr,
    /// Run without the admin API
    #[arg(long, conflicts_with = "admin")]
    pub(crate) no_admin: bool,
    /// Where CNS answers questions of DNS
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8053", env = "TRITON_SIM_CNS")]
    pub(crate) cns: SocketAddr,
    /// Run without CNS: instances have no names
    #[arg(long, conflicts_with = "cns")]
    pub(crate) no_cns: bool,
    /// Where CMON listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9163", env = "TRITON_SIM_CMON")]
    pub(crate) cmon: SocketAddr,
    /// Run without CMON
    #[arg(long, conflicts_with = "cmon")]
    pub(crate) no_cmon: bool,
    /// Another service for clients to find, such as docker=tcp://docker.example.com:2376; may be repeated
    #[arg(long, value_name = "NAME=URL", value_parser = service)]
    pub(crate) service: Vec<(String, String)>,
    /// The login of the account
    #[arg(long, value_name = "LOGIN", default_value = "acme", value_parser = login)]
    pub(crate) account: String,
    /// A public key of the account, as in FILE.pub; may be repeated. Without it a key is made
    #[arg(long, value_name = "FILE.pub")]
    pub(crate) key: Vec<PathBuf>,
    /// Where the key that is made is kept; without it, in a temporary directory that goes at the end
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "key", env = "TRITON_SIM_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The name of the data centre
    #[arg(long, value_name = "NAME", default_value = "dc1")]
    pub(crate) datacenter: String,
    /// What all chance follows from: the same seed and the same requests repeat a run
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How the data centre behaves: a TOML file with its delays, its name, its seed, its optional features
    #[arg(long, value_name = "FILE", conflicts_with_all = ["datacenter", "seed"])]
    pub(crate) world: Option<PathBuf>,
    /// Delays and limits that go together
    #[arg(long, value_enum, default_value = "development")]
    pub(crate) preset: Preset,
    /// Throttle accounts: how many requests at once, and how many a second
    #[arg(long, value_name = "BURST:RATE", value_parser = throttle_limits)]
    pub(crate) throttle: Option<ThrottleLimits>,
    /// Do not throttle accounts
    #[arg(long, conflicts_with = "throttle")]
    pub(crate) no_throttle: bool,
    /// How far the clocks of clients may be off
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) clock_skew: u64,
    /// What goes wrong: a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// What goes wrong, such as requests.GetMachine.error_rate=0.1; may be repeated, and overrides the file
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) fault: Vec<String>,
}

fn throttle_limits(text: &str) -> Result<ThrottleLimits, String> {
    let limits = text.split_once(':').and_then(|(burst, rate)| {
        Some(ThrottleLimits { burst: burst.parse().ok()?, rate: rate.parse().ok()? })
    });
    limits.ok_or_else(|| "give two whole numbers, such as 30:10".to_owned())
}

fn service(text: &str) -> Result<(String, String), String> {
    let (name, url) = text
        .split_once('=')
        .filter(|(name, url)| !name.is_empty() && url.contains("://"))
        .ok_or("give a name and a URL, such as docker=tcp://docker.example.com:2376")?;
    match name {
        "cloudapi" | "cmon" => {
            Err(format!("{name} is the simulator's own: choose its address with --{name}"))
        }
        _ => Ok((name.to_owned(), url.to_owned())),
    }
}

/// A login is part of the name of every key and, in lower case, of names in the DNS.
fn login(text: &str) -> Result<String, String> {
    let mut characters = text.chars();
    let is_login = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|it| it.is_ascii_alphanumeric() || "_.@-".contains(it))
        && text.len() <= LONGEST_LOGIN;
    if !is_login {
        return Err(format!(
            "give a letter and up to {} letters, digits, '_', '.', '@' or '-' behind it",
            LONGEST_LOGIN - 1
        ));
    }
    if fixtures::OTHER_LOGINS.contains(&text) {
        return Err("there is another account of this name: choose another one".to_owned());
    }
    Ok(text.to_owned())
}

fn public_key(path: &PathBuf) -> Result<PublicKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key {}: check the path given to --key", path.display()))?;
    PublicKey::from_openssh(&text)
        .with_context(|| format!("cannot use the key {}: give the public half to --key", path.display()))
}

impl SimulatorArguments {
    /// The settings, but for a key that has to be made.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let preset = match self.preset {
            Preset::Development => triton_sim::Preset::Development,
            Preset::Production => triton_sim::Preset::Production,
            Preset::Instant => triton_sim::Preset::Instant,
        };
        let mut settings = Settings::preset(preset);
        settings.cloudapi = self.cloudapi;
        settings.tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::Files { certificate: certificate.clone(), key: key.clone() })
            }
            _ => self.tls.then_some(Tls::SelfSigned),
        };
        settings.admin = (!self.no_admin).then_some(self.admin);
        settings.cns = (!self.no_cns).then_some(self.cns);
        settings.cmon = (!self.no_cmon).then_some(self.cmon);
        settings.services = self.service.iter().cloned().collect();
        settings.account.clone_from(&self.account);
        settings.keys = self.key.iter().map(public_key).collect::<Result<_>>()?;
        settings.world = match &self.world {
            Some(path) => world::Settings::load(path, &settings.world.timing)?,
            None => {
                world::Settings { datacenter: self.datacenter.clone(), seed: self.seed, ..settings.world }
            }
        };
        settings.throttle = if self.no_throttle { None } else { self.throttle.or(settings.throttle) };
        settings.clock_skew = Duration::from_secs(self.clock_skew);
        settings.faults = FaultPlan::load(self.faults.as_deref(), &self.fault)?;
        Ok(settings)
    }
}

/// What is wrong with a command line, in one line.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join("; ").replace(":; ", ": ");
    format!("{}; see triton-sim --help", said.strip_prefix("error: ").unwrap_or(&said))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = ["triton-sim", "serve"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments) {
            Err(error) => Err(one_line(&error)),
            Ok(Arguments { command: Command::Serve(serve) }) => {
                serve.simulator.settings().map_err(|error| format!("{error:#}"))
            }
            Ok(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_flags_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let default = settings(&[]).expect("valid");
        assert_eq!((default.throttle, default.cloudapi.to_string().as_str()), (None, "127.0.0.1:8080"));
        let production = settings(&["--preset", "production", "--tls", "--no-admin"]).expect("valid");
        assert_eq!(production.throttle, Some(ThrottleLimits { burst: 30, rate: 10 }));
        assert_eq!((production.tls, production.admin), (Some(Tls::SelfSigned), None));
        let throttled = settings(&["--throttle", "5:2"]).expect("valid");
        assert_eq!(throttled.throttle, Some(ThrottleLimits { burst: 5, rate: 2 }));
        assert_eq!(settings(&["--preset=production", "--no-throttle"]).expect("valid").throttle, None);
        let services = settings(&["--service", "docker=tcp://x:1?a=b"]).expect("valid").services;
        assert_eq!(services.get("docker").map(String::as_str), Some("tcp://x:1?a=b"));
    }

    #[test]
    fn bad_input_gets_one_line_with_what_to_do() {
        for (arguments, expected) in [
            (&["--cloudapi", "8080"][..], "invalid value '8080' for '--cloudapi <ADDRESS:PORT>'"),
            (&["--frobnicate"], "unexpected argument '--frobnicate' found"),
            (&["--throttle", "5"], "give two whole numbers, such as 30:10"),
            (&["--key", "/nonexistent.pub"], "check the path given to --key"),
            (&["--fault", "x=1"], "--fault x=1: unknown field `x`"),
            (&["--tls-key", "x"], "--tls-certificate"),
            (&["--service", "docker"], "give a name and a URL"),
            (&["--service", "cmon=https://x:1"], "choose its address with --cmon"),
            (&["--account", "a/b"], "give a letter and up to 31"),
            (&["--account", ""], "give a letter"),
            (&["--account", "admin"], "there is another account of this name"),
            (&["--state", "x", "--key", "y"], "cannot be used with"),
            (&["--world", "x", "--seed", "1"], "cannot be used with"),
            (&["--world", "/nonexistent"], "check the path given to --world"),
        ] {
            let error = settings(arguments).expect_err("bad input");
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
