//! The sub-command `doctor`: checks all that the process needs, and says what to do about what it lacks.

use std::ffi::OsString;

use clap::Parser;
use diagnostics::Level;
use diagnostics::doctor::{self, Case};
use diagnostics::output::block_on;
use diagnostics::questions::Scope;
use diagnostics::rights::{Manifest, ManifestError, Right};
use provider::cns::DefaultLoadBalancer;
use runtime::clients::Clients;
use runtime::exit::Fatal;
use virtual_kubelet::settings::{CloudApi, Flags, PROGRAM, Settings, VirtualNode};

use crate::cloudapi::load;
use crate::{AGENT, sub_commands};

/// What gives the process its rights, and the name of the node that is in it.
const RBAC: Manifest = Manifest {
    path: "deploy/triton-virtual-kubelet/rbac.yaml",
    text: include_str!("../../../deploy/triton-virtual-kubelet/rbac.yaml"),
};
const NODE: &str = "virtual-kubelet";

/// Checks all that the program needs: credentials, clock, CNS, limits, rights. Exit codes: 0 fine, 1 something fails, 2 usage
#[derive(Debug, Parser)]
#[command(name = "triton-virtual-kubelet doctor", version)]
struct Arguments {
    /// Whose rights are checked; left out, those of --kubeconfig, or of the pod's service account. Such as
    /// system:serviceaccount:kube-system:triton-virtual-kubelet
    #[arg(long = "as", value_name = "USER")]
    acting_as: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the sub-command.
pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Fatal> {
    match sub_commands::settings(arguments, |own: &Arguments| &own.flags)? {
        Some((arguments, settings)) => block_on(examine(arguments, settings)),
        None => Ok(()),
    }
}

async fn examine(arguments: Arguments, settings: Settings) -> Result<(), Fatal> {
    let acting_as = arguments.acting_as;
    let Settings { flags, nodes, triton, .. } = settings;
    let credentials = match triton {
        CloudApi::Settings(config) => doctor::Credentials::Settings(config),
        CloudApi::Secret(name) => doctor::Credentials::Secret(name, load()),
    };
    let clients = Clients::new(&flags.kube.source(), AGENT, flags.kube.limits()).await;
    let clients = match &acting_as {
        Some(user) => clients.and_then(|clients| clients.acting_as(user)),
        None => clients,
    };
    let cns_off = match flags.default_load_balancer {
        DefaultLoadBalancer::Cns => Level::Failure,
        DefaultLoadBalancer::None => Level::Warning,
    };
    let case = Case {
        clients,
        rights: rights(&flags, &nodes).map_err(Fatal::failure)?,
        manifest: RBAC.path,
        credentials,
        scope: Scope { cmon: false, cns_off },
    };
    doctor::tell(case, flags.output).await
}

/// What the manifest says that a process with these flags and nodes needs.
fn rights(flags: &Flags, nodes: &[VirtualNode]) -> Result<Vec<Right>, ManifestError> {
    let election = flags.election("");
    doctor::rights(&[RBAC], |right| {
        if right.name.as_deref() == Some(NODE) {
            return nodes.iter().map(|node| right.clone().renamed(NODE, node.name.as_str())).collect();
        }
        if right.concerns("leases") {
            let election = election.as_ref();
            return election
                .map(|it| right.renamed(PROGRAM, &it.name).moved(&it.namespace))
                .into_iter()
                .collect();
        }
        vec![right]
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use triton::config::Environment;

    use super::*;

    fn needed(arguments: &[&str]) -> Vec<String> {
        let arguments = ["vk"].iter().chain(arguments);
        let variables =
            [("TRITON_URL", "https://a"), ("TRITON_ACCOUNT", "acme"), ("TRITON_KEY_MATERIAL", "/key")];
        let environment: Environment = variables.into_iter().collect();
        let settings = Settings::load_from(arguments, |_| None, &environment).unwrap();
        let rights = rights(&settings.flags, &settings.nodes).unwrap();
        rights.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case(
        &[],
        &["patch nodes/status \"virtual-kubelet\"", "get leases.coordination.k8s.io \"triton-virtual-kubelet\" in kube-system"],
        "\"pool\""
    )]
    #[case(
        &["--nodename=pool"],
        &[
            "patch nodes \"pool\"",
            "create leases.coordination.k8s.io \"pool\" in kube-node-lease",
            "get leases.coordination.k8s.io \"triton-pool\" in kube-system",
        ],
        "virtual-kubelet"
    )]
    #[case(&["--leader-elect=false"], &["delete pods"], "triton-virtual-kubelet")]
    fn the_rights_follow_the_flags(#[case] arguments: &[&str], #[case] has: &[&str], #[case] hasnt: &str) {
        let needed = needed(arguments);
        for right in has {
            assert!(needed.iter().any(|it| it == right), "{right} is not in {needed:#?}");
        }
        assert!(!needed.iter().any(|it| it.contains(hasnt)), "{hasnt} is in {needed:#?}");
    }

    #[test]
    fn its_flags_and_those_of_the_process_go_together() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
