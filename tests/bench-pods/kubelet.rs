//! The virtual kubelets that are measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use suites::bench::data_centre::DataCentre;
use suites::bench::process::{Process, Usage};
use suites::control_plane::{ControlPlane, Identity};
use suites::virtual_kubelet::install;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::load::Template;

/// A virtual kubelet that takes longer to make its node ready has failed.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Our node's default name, which the manifest gives rights to.
pub(crate) const NODE: &str = "virtual-kubelet";

/// The port of the Go kubelet's own server, which it cannot do without.
const GO_PORT: &str = "10250";

/// Who runs the Go kubelets at the API server.
const GO_USER: &str = "go-kubelet";

/// A virtual kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// triton-virtual-kubelet with the simulated data centre
    Triton,
    /// The Go virtual-kubelet's library without limits, with a guarded mock
    Lifted,
    /// The Go virtual-kubelet with its mock, as it ships
    Shipped,
}

impl Kind {
    /// What the tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Triton => "triton-virtual-kubelet",
            Self::Lifted => "Go, limits lifted",
            Self::Shipped => "Go, as shipped",
        }
    }

    /// Its user at the API server.
    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::Triton => "system:serviceaccount:kube-system:triton-virtual-kubelet",
            Self::Lifted | Self::Shipped => GO_USER,
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// `triton-virtual-kubelet` and `triton-sim`.
    pub(crate) ours: PathBuf,
    /// `go-kubelet` and `virtual-kubelet`.
    pub(crate) go: PathBuf,
}

/// A running virtual kubelet.
#[derive(Debug)]
pub(crate) struct Kubelet {
    pub(crate) process: Process,
    /// Ours alone needs one.
    pub(crate) data_centre: Option<DataCentre>,
    pub(crate) template: Template,
    start: Start,
    _folder: TempDir,
}

/// How it is started, so that it can be started again.
#[derive(Debug)]
struct Start {
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
}

impl Start {
    fn process(&self) -> Result<Process> {
        Process::start(&self.program, &self.arguments, &self.variables, self.log.clone())
    }
}

impl Kubelet {
    /// Starts one, and waits until its node is ready. `sim` are flags of the data centre, `flags` of our kubelet.
    pub(crate) async fn start(
        kind: Kind,
        programs: &Programs,
        plane: &ControlPlane,
        sim: &[&str],
        flags: &[&str],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("kubelet.log");
        let (start, data_centre) = match kind {
            Kind::Triton => {
                let sim = [&["--no-cns"], sim].concat();
                let data_centre =
                    DataCentre::start(&programs.ours.join("triton-sim"), folder.path(), &sim).await?;
                let kubeconfig = install(plane).await?;
                let mut arguments = vec![
                    format!("--nodename={NODE}"),
                    format!("--kubeconfig={}", kubeconfig.display()),
                    "--metrics-addr=127.0.0.1:0".to_owned(),
                ];
                arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
                let (program, variables) =
                    (programs.ours.join("triton-virtual-kubelet"), data_centre.variables.clone());
                (Start { program, arguments, variables, log }, Some(data_centre))
            }
            Kind::Lifted => {
                let kubeconfig = go_kubeconfig(plane).await?;
                let arguments = vec![NODE.to_owned(), kubeconfig];
                let program = programs.go.join("go-kubelet");
                (Start { program, arguments, variables: Vec::new(), log }, None)
            }
            Kind::Shipped => (shipped(programs, plane, folder.path(), log).await?, None),
        };
        let network = data_centre.as_ref().map(|data_centre| data_centre.network.clone());
        let template = Template { node: NODE.to_owned(), network };
        let process = start.process()?;
        let mut kubelet = Self { process, data_centre, template, start, _folder: folder };
        kubelet.until_ready(plane).await.with_context(|| format!("{} does not start", kind.title()))?;
        Ok(kubelet)
    }

    async fn until_ready(&mut self, plane: &ControlPlane) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let path = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        while plane.kubectl(&["get", "node", NODE, "--ignore-not-found", path]).await? != "True" {
            self.process.must_live()?;
            if Instant::now() > deadline {
                bail!("the node is not ready:\n{}", self.process.said());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Stops the process in good order, does something, and starts it again: when that was.
    pub(crate) async fn restart_after(
        mut self,
        meanwhile: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<(Self, Instant)> {
        self.process.stop().await?;
        meanwhile().await?;
        let begun = Instant::now();
        self.process = self.start.process()?;
        Ok((self, begun))
    }

    /// What the process has used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        self.process.must_live()?;
        self.process.usage()
    }
}

async fn go_kubeconfig(plane: &ControlPlane) -> Result<String> {
    let user = Identity::User { name: GO_USER, groups: &["system:masters"] };
    Ok(plane.kubeconfig(&user).await?.display().to_string())
}

async fn shipped(programs: &Programs, plane: &ControlPlane, folder: &Path, log: PathBuf) -> Result<Start> {
    let provider = folder.join("provider.json");
    let room = serde_json::json!({NODE: {"cpu": "100k", "memory": "100Ti", "pods": "100k"}});
    std::fs::write(&provider, room.to_string())?;
    let arguments = [
        "--nodename",
        NODE,
        "--provider=mock",
        &format!("--provider-config={}", provider.display()),
        "--startup-timeout=60s",
    ];
    let certificates = plane.folder();
    let path = |name: &str| certificates.join(name).display().to_string();
    let variables = [
        ("KUBECONFIG", go_kubeconfig(plane).await?),
        ("APISERVER_CERT_LOCATION", path("apiserver.crt")),
        ("APISERVER_KEY_LOCATION", path("apiserver.key")),
        ("KUBELET_PORT", GO_PORT.to_owned()),
    ];
    Ok(Start {
        program: programs.go.join("virtual-kubelet"),
        arguments: arguments.map(str::to_owned).to_vec(),
        variables: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        log,
    })
}
