//! The sub-command `doctor`: checks all that the process needs, and says what to do about what it lacks.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Parser;
use cloud_controllers::controller::Kind;
use diagnostics::doctor::{self, Case};
use diagnostics::output::block_on;
use diagnostics::questions::Scope;
use diagnostics::rights::{Manifest, ManifestError, Right};
use diagnostics::{Format, Level};
use provider::credentials::DEFAULT_SECRET;
use runtime::clients::Clients;
use runtime::exit::Fatal;

use crate::cloud_config::CloudConfig;
use crate::cloudapi::{Credentials, load};
use crate::flags::Flags;
use crate::{LEASE, origin, program, sub_commands};

/// What gives the process its rights.
const RBAC: Manifest = Manifest {
    path: "deploy/triton-cloud-controller-manager/rbac.yaml",
    text: include_str!("../../../deploy/triton-cloud-controller-manager/rbac.yaml"),
};

/// What it needs besides for `--cmon-scrape-config`, and the names that are in it.
const SCRAPE_RBAC: Manifest = Manifest {
    path: "deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml",
    text: include_str!("../../../deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml"),
};
const SCRAPE_CONFIG: &str = "triton-cmon";
const SCRAPE_SECRET: &str = "triton-cmon-client";

/// Checks all that the program needs: credentials, clock, CNS, limits, rights. Exit codes: 0 fine, 1 something fails, 2 usage
#[derive(Debug, Parser)]
#[command(name = "triton-cloud-controller-manager doctor", version)]
struct Arguments {
    /// How the findings are shown
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Whose rights are checked; left out, those of --kubeconfig, or of the pod's service account. Such as
    /// system:serviceaccount:kube-system:triton-cloud-controller-manager
    #[arg(long = "as", value_name = "USER")]
    acting_as: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the sub-command.
pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Fatal> {
    match sub_commands::settings::<Arguments>(arguments)? {
        Some(arguments) => block_on(examine(arguments)),
        None => Ok(()),
    }
}

async fn examine(arguments: Arguments) -> Result<(), Fatal> {
    let Arguments { output, acting_as, flags } = arguments;
    let cloud = CloudConfig::load(flags.cloud_config.as_deref()).map_err(Fatal::usage)?;
    let credentials = match origin(&flags, &cloud)? {
        Credentials::Settings(config) => doctor::Credentials::Settings(config),
        Credentials::Secret(name) => doctor::Credentials::Secret(name, load(&Arc::new(cloud))),
    };
    let clients = Clients::new(&flags.source(), &program(), flags.limits()).await;
    let clients = match &acting_as {
        Some(user) => clients.and_then(|clients| clients.acting_as(user)),
        None => clients,
    };
    let cns_off = if flags.controllers.0.contains(&Kind::Service) { Level::Failure } else { Level::Warning };
    let case = Case {
        clients,
        rights: rights(&flags).map_err(Fatal::failure)?,
        manifest: RBAC.path,
        credentials,
        scope: Scope { cmon: false, cns_off },
    };
    doctor::tell(case, output).await
}

/// What the manifests say that a process with these flags needs.
fn rights(flags: &Flags) -> Result<Vec<Right>, ManifestError> {
    let election = flags.leader.params(LEASE, "");
    let secret = flags.credentials_secret.as_ref();
    let default = DEFAULT_SECRET.split_once('/').map_or(DEFAULT_SECRET, |(_, name)| name);
    let mut rights = doctor::rights(&[RBAC], |right| {
        if right.concerns("leases") {
            let election = election.as_ref();
            return election
                .map(|it| right.renamed(LEASE, &it.name).moved(&it.namespace))
                .into_iter()
                .collect();
        }
        if right.concerns("secrets") {
            return secret
                .map(|it| right.renamed(default, &it.name).moved(&it.namespace))
                .into_iter()
                .collect();
        }
        vec![right]
    })?;
    let scrape = flags.cmon.scrape_config().filter(|_| flags.controllers.0.contains(&Kind::Metrics));
    if let Some((namespace, name)) = scrape {
        let client = format!("{name}-client");
        rights.extend(doctor::rights(&[SCRAPE_RBAC], |right| {
            vec![right.moved(namespace).renamed(SCRAPE_SECRET, &client).renamed(SCRAPE_CONFIG, name)]
        })?);
    }
    Ok(rights)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use runtime::config::load_from;

    use super::*;

    fn needed(arguments: &[&str]) -> Vec<String> {
        let arguments = ["ccm"].iter().chain(arguments);
        let flags: Flags = load_from("TRITON_CCM", arguments, |_| None).unwrap();
        rights(&flags).unwrap().iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case(&[], &["patch leases.coordination.k8s.io \"cloud-controller-manager\" in kube-system"], "secrets")]
    #[case(&["--leader-elect=false"], &["delete nodes"], "leases")]
    #[case(
        &["--leader-elect-resource-name=x", "--leader-elect-resource-namespace=y"],
        &["get leases.coordination.k8s.io \"x\" in y", "create leases.coordination.k8s.io in y"],
        "cloud-controller-manager\""
    )]
    #[case(&["--credentials-secret=a/b"], &["watch secrets \"b\" in a", "patch services/status"], "triton-credentials")]
    #[case(
        &["--cmon-scrape-config=m/n"],
        &["patch secrets \"n-client\" in m", "get scrapeconfigs.monitoring.coreos.com \"n\" in m"],
        "triton-cmon"
    )]
    #[case(&["--cmon-scrape-config=m/n", "--controllers=-metrics,*"], &["create tokenreviews.authentication.k8s.io"], "in m")]
    fn the_rights_follow_the_flags(#[case] arguments: &[&str], #[case] has: &[&str], #[case] hasnt: &str) {
        let needed = needed(arguments);
        for right in has {
            assert!(needed.iter().any(|it| it == right), "{right} is not in {needed:#?}");
        }
        assert!(!needed.iter().any(|it| it.contains(hasnt)), "{hasnt} is in {needed:#?}");
    }
}
