//! The cloud controller managers that are measured.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use suites::bench::data_centre::DataCentre;
use suites::bench::process::{Process, Usage};
use suites::cloud_controller_manager::install;
use suites::control_plane::{ControlPlane, Identity};
use tempfile::TempDir;

/// Who runs the Go providers at the API server.
const GO_USER: &str = "go-cloud-provider";

/// A cloud controller manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// triton-cloud-controller-manager
    Triton,
    /// The Go framework with its default flags; each instance is read when it is asked for
    Default,
    /// The Go framework with 20 workers, 100 requests/s to the API server and a list of instances that is good for 10 s
    Tuned,
}

impl Kind {
    /// What the tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Triton => "triton-cloud-controller-manager",
            Self::Default => "Go, default",
            Self::Tuned => "Go, tuned",
        }
    }

    /// Its user at the API server.
    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::Triton => "system:serviceaccount:kube-system:triton-cloud-controller-manager",
            Self::Default | Self::Tuned => GO_USER,
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// `triton-cloud-controller-manager` and `triton-sim`.
    pub(crate) ours: PathBuf,
    /// `go-cloud-provider`.
    pub(crate) go: PathBuf,
}

/// A running cloud controller manager, with leader election, as it ships.
#[derive(Debug)]
pub(crate) struct Manager {
    process: Process,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    _folder: TempDir,
}

impl Manager {
    /// Starts one.
    pub(crate) async fn start(
        kind: Kind,
        programs: &Programs,
        plane: &ControlPlane,
        data_centre: &DataCentre,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let mut variables = data_centre.variables.clone();
        let (program, kubeconfig) = match kind {
            Kind::Triton => (programs.ours.join("triton-cloud-controller-manager"), install(plane).await?),
            Kind::Default | Kind::Tuned => {
                let user = Identity::User { name: GO_USER, groups: &["system:masters"] };
                (programs.go.join("go-cloud-provider"), plane.kubeconfig(&user).await?)
            }
        };
        let mut arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--bind-address=127.0.0.1".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        match kind {
            // The framework has nothing like it: it writes one tag on each machine once, a CMON group.
            Kind::Triton => arguments.push("--controllers=*,-metrics".to_owned()),
            Kind::Default | Kind::Tuned => {
                variables.push(("TRITON_NETWORK".to_owned(), data_centre.network.clone()));
                // With the default it ends when it is not told of pods' addresses, of which there are none here.
                arguments.push("--configure-cloud-routes=false".to_owned());
            }
        }
        if kind == Kind::Tuned {
            variables.push(("TRITON_CACHE".to_owned(), "10s".to_owned()));
            arguments.extend(["--concurrent-node-syncs=20".to_owned(), "--kube-api-qps=100".to_owned()]);
        }
        let process = Process::start(&program, &arguments, &variables, log.clone())?;
        Ok(Self { process, program, arguments, variables, log, _folder: folder })
    }

    /// What the process has used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        self.process.must_live()?;
        self.process.usage()
    }

    /// Fails with the end of its log when it has ended.
    pub(crate) fn must_live(&mut self) -> Result<()> {
        self.process.must_live()
    }

    /// The end of its log.
    pub(crate) fn said(&self) -> String {
        let said = self.process.said();
        let lines: Vec<&str> = said.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Stops it in good order, and starts it again.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.process.stop().await.context("it does not stop")?;
        self.process = start(&self.program, &self.arguments, &self.variables, &self.log)?;
        Ok(())
    }
}

fn start(
    program: &Path,
    arguments: &[String],
    variables: &[(String, String)],
    log: &Path,
) -> Result<Process> {
    Process::start(program, arguments, variables, log.to_owned())
}
