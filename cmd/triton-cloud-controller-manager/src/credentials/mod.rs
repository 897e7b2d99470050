//! The sub-command `credentials`: makes and checks the Secret that both binaries read.
//!
//! `create` takes what a user has (a profile of the official client, variables, a key file), proves it by a signed call,
//! says what it finds, and prints or applies the Secret. `verify` says the same of what a user has, or of a Secret that is
//! there. Neither changes anything at Triton.

mod arguments;
mod cluster;
mod passphrase;
mod settings;

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser as _;
use clap::error::ErrorKind;
use diagnostics::questions::{self, Scope};
use diagnostics::{Finding, Level, Settled};
use provider::credentials::{Contents, write};
use runtime::config::ConfigError;
use runtime::exit::Fatal;
use triton::config::Config;

use self::arguments::{Action, Arguments, Create, Format, Verify};

/// What kept a sub-command from what it was to do.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{count} of these checks failed{consequence}")]
    Failed { count: usize, consequence: &'static str },
    #[error("the Secret cannot be printed")]
    Print(#[source] std::io::Error),
    #[error("the Secret cannot be written as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
    #[error("the Secret cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// Runs the sub-command; the command line begins with the program's name.
pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Fatal> {
    let arguments = match Arguments::try_parse_from(arguments.into_iter().skip(2)) {
        Ok(arguments) => arguments,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // Whoever closed the output does not want to read it.
            let _ = write!(std::io::stdout(), "{error}");
            return Ok(());
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Err(Fatal::usage(ConfigError::Flag("say what to do: create or verify".to_owned())));
        }
        Err(error) => {
            let line = error.to_string();
            let line = line.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(Fatal::usage(ConfigError::Flag(line)));
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fatal::failure)?;
    runtime.block_on(async {
        match arguments.action {
            Action::Create(create) => self::create(create).await,
            Action::Verify(verify) => self::verify(verify).await,
        }
    })
}

async fn create(create: Create) -> Result<(), Fatal> {
    let settled = settings::of_user(&create.user, settings::Purpose::PassOn).await?;
    // Standard output is the Secret's.
    let mut say = std::io::stderr();
    let found = questions::ask(&settled, scope(create.cmon)).await;
    tell(&mut say, &found.findings);
    judge(&found.findings, "; no Secret was made")?;
    let contents = settings::contents(&settled, found.cmon.as_ref()).await.map_err(Fatal::failure)?;
    let secret = write(&create.name, contents);
    if create.apply {
        let server = cluster::apply(create.kubeconfig, &create.name, &secret).await?;
        let _ = writeln!(
            say,
            "applied Secret {} to {server}; run with --credentials-secret={}",
            create.name, create.name
        );
        return Ok(());
    }
    let text = match create.output {
        Format::Yaml => {
            serde_saphyr::to_string(&secret).map_err(CommandError::Yaml).map_err(Fatal::failure)?
        }
        Format::Json => {
            serde_json::to_string_pretty(&secret).map_err(CommandError::Json).map_err(Fatal::failure)? + "\n"
        }
    };
    let mut out = std::io::stdout();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(CommandError::Print).map_err(Fatal::failure)
}

async fn verify(verify: Verify) -> Result<(), Fatal> {
    let settled: Settled = match &verify.credentials_secret {
        Some(name) => {
            let secret = cluster::get(verify.kubeconfig, name).await?;
            let load = |contents: &Contents| Config::load(&contents.environment, None);
            Settled::of_secret(name, &secret, load).await.map_err(Fatal::failure)?
        }
        None => settings::of_user(&verify.user, settings::Purpose::Sign).await?,
    };
    let found = questions::ask(&settled, scope(verify.cmon)).await;
    tell(&mut std::io::stdout(), &found.findings);
    judge(&found.findings, "")
}

/// CNS may be turned on later.
fn scope(cmon: bool) -> Scope {
    Scope { cmon, cns_off: Level::Warning }
}

fn tell(to: &mut dyn std::io::Write, findings: &[Finding]) {
    for finding in findings {
        // Nobody is left to tell when the output is closed; the exit code still says it.
        let _ = writeln!(to, "{finding}");
    }
}

fn judge(findings: &[Finding], consequence: &'static str) -> Result<(), Fatal> {
    match findings.iter().filter(|finding| finding.level == Level::Failure).count() {
        0 => Ok(()),
        count => Err(Fatal::failure(CommandError::Failed { count, consequence })),
    }
}
