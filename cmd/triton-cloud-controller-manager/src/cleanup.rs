//! The sub-command `cleanup`: removes what a cluster that is no more has left in the account.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cloud_controllers::cleanup::account::Account;
use cloud_controllers::cleanup::{Plan, Step};
use diagnostics::Format;
use diagnostics::output::{block_on, show};
use ipnet::IpNet;
use runtime::exit::{Fatal, one_line};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::config::{Config, Environment};

use crate::cloud_config::CloudConfig;
use crate::sub_commands;

/// How long instances may take to go once they were told to.
const GOING: Duration = Duration::from_secs(300);

/// How often it is looked whether they are gone.
const LOOK: Duration = Duration::from_secs(2);

/// Removes what a cluster that is no more has left in the account: instances of pods and load balancers, tags, firewall
/// rules, routes. Only what bears the cluster's mark goes. Exit codes: 0 nothing is left, 1 something is left, or would be
/// removed, 2 usage or not confirmed, 3 CloudAPI does not say what there is
#[derive(Debug, Parser)]
#[command(name = "triton-cloud-controller-manager cleanup", version)]
struct Arguments {
    /// The cluster, as its programs were told by the flag of the same name
    #[arg(long, value_name = "NAME")]
    cluster_name: String,
    /// The addresses that the cluster's pods had; without them routes are left alone
    #[arg(long, value_name = "CIDRS", value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// Shows what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
    /// Removes without asking
    #[arg(long)]
    yes: bool,
    /// How it is shown
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// A TOML file that says how CloudAPI is reached; left out, the environment does
    #[arg(long, value_name = "FILE")]
    cloud_config: Option<PathBuf>,
    /// A profile of the triton tool
    #[arg(long, short, value_name = "NAME", conflicts_with = "cloud_config")]
    profile: Option<String>,
}

/// Why not everything is gone.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("{0} things would be removed; nothing was")]
    Planned(usize),
    #[error("{0} things could not be removed, or are not gone yet; run this again")]
    Left(usize),
    #[error("not confirmed; nothing was removed")]
    Declined,
    #[error("there is no terminal to confirm it on; say --yes, or --dry-run to see what would be removed")]
    NoTerminal,
    #[error("an empty name is no cluster's; say --cluster-name")]
    Nameless,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// It would be taken.
    Planned,
    /// It was taken.
    Done,
    /// It was not.
    Failed(String),
}

/// What is shown.
#[derive(Debug, Default, Serialize)]
struct Report {
    cluster: String,
    steps: Vec<Taken>,
    /// What could be the cluster's and stays.
    kept: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Taken {
    step: String,
    outcome: Outcome,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Taken { step, outcome } in &self.steps {
            match outcome {
                Outcome::Planned => writeln!(f, "would    {step}")?,
                Outcome::Done => writeln!(f, "done     {step}")?,
                Outcome::Failed(why) => writeln!(f, "failed   {step}: {why}")?,
            }
        }
        for kept in &self.kept {
            writeln!(f, "kept     {kept}")?;
        }
        if self.steps.is_empty() {
            writeln!(f, "nothing in the account is cluster {}'s", self.cluster)?;
        }
        Ok(())
    }
}

/// Runs the sub-command.
pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Fatal> {
    match sub_commands::settings::<Arguments>(arguments)? {
        Some(arguments) => block_on(clean_up(arguments)),
        None => Ok(()),
    }
}

async fn clean_up(arguments: Arguments) -> Result<(), Fatal> {
    let (cluster, pods) = (&arguments.cluster_name, &arguments.cluster_cidr);
    if cluster.is_empty() {
        return Err(Fatal::usage(Unfinished::Nameless));
    }
    let client = client(&arguments).await?;
    let account = Account::read(&client, pods).await.map_err(Fatal::unknown)?;
    let plan = account.plan(cluster, pods);
    let mut report = Report { cluster: cluster.clone(), kept: plan.kept.clone(), steps: Vec::new() };
    if arguments.dry_run {
        report.steps.extend(plan.steps.iter().map(|step| Taken::of(step, Outcome::Planned)));
        show(&report, arguments.output, &mut std::io::stdout()).map_err(Fatal::failure)?;
        return match plan.steps.len() {
            0 => Ok(()),
            count => Err(Fatal::failure(Unfinished::Planned(count))),
        };
    }
    if !(arguments.yes || plan.steps.is_empty()) {
        confirm(cluster, &plan)?;
    }
    let left = remove(&client, account, plan, &arguments, &mut report).await?;
    show(&report, arguments.output, &mut std::io::stdout()).map_err(Fatal::failure)?;
    if left == 0 { Ok(()) } else { Err(Fatal::failure(Unfinished::Left(left))) }
}

/// The client has the budget that every client has, so a large cluster takes its time.
async fn client(arguments: &Arguments) -> Result<Client, Fatal> {
    let cloud = CloudConfig::load(arguments.cloud_config.as_deref()).map_err(Fatal::usage)?;
    let environment = cloud.environment(&Environment::from_process());
    let profile = arguments.profile.as_deref().or(cloud.profile.as_deref());
    let config = Config::load(&environment, profile).map_err(Fatal::usage)?;
    Client::configured(&config).await.map_err(Fatal::failure)?.build().map_err(Fatal::failure)
}

/// Takes all steps, and waits until what was told to go is gone. How much is left.
async fn remove(
    client: &Client,
    account: Account,
    plan: Plan,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<usize, Fatal> {
    let (cluster, pods) = (&arguments.cluster_name, &arguments.cluster_cidr);
    let mut failed = 0;
    for step in &plan.steps {
        // By its tags a machine is known to be the gateway of a route: they stay until the route is gone.
        let waits = failed > 0 && matches!(step, Step::Untag { .. });
        let outcome = match waits {
            true => Outcome::Failed("a step before it failed".to_owned()),
            false => match account.take(client, step, cluster, pods).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(one_line(&error)),
            },
        };
        failed += usize::from(outcome != Outcome::Done);
        report.steps.push(Taken::of(step, outcome));
    }
    let deadline = Instant::now() + GOING;
    loop {
        let now = Account::read(client, pods).await.map_err(Fatal::unknown)?.plan(cluster, pods);
        let left = now.steps.len() + now.going;
        if left == 0 || failed > 0 || Instant::now() > deadline {
            return Ok(left);
        }
        sleep(LOOK).await;
    }
}

/// Asks whoever is at the terminal.
fn confirm(cluster: &str, plan: &Plan) -> Result<(), Fatal> {
    if !std::io::stdin().is_terminal() {
        return Err(Fatal::usage(Unfinished::NoTerminal));
    }
    let mut said = std::io::stderr();
    for step in &plan.steps {
        let _ = writeln!(said, "would    {step}");
    }
    let _ = write!(said, "To remove this, type the name of the cluster, {cluster}: ");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Fatal::failure)?;
    if line.trim() == cluster { Ok(()) } else { Err(Fatal::usage(Unfinished::Declined)) }
}

impl Taken {
    fn of(step: &Step, outcome: Outcome) -> Self {
        Self { step: step.to_string(), outcome }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_and_programs_are_told_what_became_of_each_step() {
        let taken = |step: &str, outcome| Taken { step: step.to_owned(), outcome };
        let report = Report {
            cluster: "c".to_owned(),
            steps: vec![
                taken("delete a", Outcome::Done),
                taken("delete b", Outcome::Failed("refused".to_owned())),
                taken("delete c", Outcome::Planned),
            ],
            kept: vec!["route d".to_owned()],
        };
        let text = "done     delete a\nfailed   delete b: refused\nwould    delete c\nkept     route d\n";
        assert_eq!(report.to_string(), text);
        let expected = json!({
            "cluster": "c",
            "steps": [
                {"step": "delete a", "outcome": "done"},
                {"step": "delete b", "outcome": {"failed": "refused"}},
                {"step": "delete c", "outcome": "planned"},
            ],
            "kept": ["route d"],
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
        let nothing = Report { cluster: "c".to_owned(), ..Report::default() };
        assert_eq!(nothing.to_string(), "nothing in the account is cluster c's\n");
    }
}
