//! The sub-command `explain`: what the process thinks of one pod, and what it would do about it.

use std::ffi::OsString;

use clap::Parser;
use diagnostics::Explanation;
use diagnostics::object::{self, ObjectName};
use diagnostics::output::{block_on, show};
use runtime::clients::Clients;
use runtime::exit::Fatal;
use virtual_kubelet::settings::{Flags, Settings};

use crate::{AGENT, cloudapi, dry_run, sub_commands};

/// Shows what a pod's instance should be, what is, and what would be done, by the plan of the controller; writes nothing.
/// Exit codes: 0 as it should be, 1 something would be done or warned of, 2 usage or no such pod, 3 a server does not answer
#[derive(Debug, Parser)]
#[command(name = "triton-virtual-kubelet explain", version)]
struct Arguments {
    /// What: pod/NAMESPACE/NAME
    object: String,
    /// The namespace, where it is not said before the name; left out, default
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// There is no such pod, or it is not as it should be.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    #[error("there is no pod {0} on the nodes of this program; say their names by its flags")]
    Missing(String),
    #[error("pod/{name} is not settled: {steps} steps to do, {warnings} warnings")]
    Differs { name: String, steps: usize, warnings: usize },
}

/// Runs the sub-command.
pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Fatal> {
    let Some((own, settings)) = sub_commands::settings(arguments, |own: &Arguments| &own.flags)? else {
        return Ok(());
    };
    let object = ObjectName::parse(&own.object, own.namespace.as_deref(), &[object::POD]);
    block_on(explain(object.map_err(Fatal::usage)?, settings))
}

async fn explain(object: ObjectName, settings: Settings) -> Result<(), Fatal> {
    let Settings { flags, nodes, triton, .. } = settings;
    let source = flags.kube.source();
    let clients = Clients::new(&source, AGENT, flags.kube.limits()).await.map_err(Fatal::unknown)?;
    let client = cloudapi::look(triton, flags.budget(), &clients).await?;
    let shown = dry_run::explain(&flags, &nodes, &clients, client, &object).await?;
    let name = format!("{}/{}", object.namespace, object.name);
    let Some(shown): Option<Explanation> = shown else {
        return Err(Fatal::usage(Unsettled::Missing(name)));
    };
    show(&shown, flags.output, &mut std::io::stdout()).map_err(Fatal::failure)?;
    if shown.is_settled() {
        return Ok(());
    }
    let (steps, warnings) = (shown.plan.len(), shown.warnings());
    Err(Fatal::failure(Unsettled::Differs { name, steps, warnings }))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn its_flags_and_those_of_the_process_go_together() {
        super::Arguments::command().debug_assert();
    }
}
