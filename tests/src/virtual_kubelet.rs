//! The virtual kubelet as a process of its own, with the rights that its manifest gives it.

use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::control_plane::{ControlPlane, Identity};
use crate::process::{BOUND, Process, Program};

/// The account that the manifest makes.
const ACCOUNT: Identity<'static> =
    Identity::ServiceAccount { namespace: "kube-system", name: "triton-virtual-kubelet" };

/// Gives the virtual kubelet its rights, by its own manifest, and returns a kubeconfig with just these.
///
/// # Errors
/// When kubectl refuses the manifest.
pub async fn install(plane: &ControlPlane) -> Result<PathBuf> {
    install_for(plane, &["virtual-kubelet".to_owned()]).await
}

/// The same for virtual nodes of these names, all of one account.
///
/// # Errors
/// When kubectl refuses the manifest.
pub async fn install_for(plane: &ControlPlane, nodes: &[String]) -> Result<PathBuf> {
    let manifest = std::fs::read_to_string(root().join("deploy/triton-virtual-kubelet/rbac.yaml"))
        .context("cannot read the manifest")?;
    let leases: Vec<String> = nodes.iter().map(|node| format!("triton-{node}")).collect();
    // As the manifest says itself: node names stand alone, and the election's lease has a prefix.
    let manifest = manifest
        .replace("[virtual-kubelet]", &format!("[{}]", nodes.join(", ")))
        .replace("[triton-virtual-kubelet]", &format!("[{}]", leases.join(", ")));
    let mut file = tempfile::NamedTempFile::new().context("cannot make a file for the manifest")?;
    file.write_all(manifest.as_bytes()).context("cannot write the manifest")?;
    plane.kubectl(&["apply", "--filename", &file.path().display().to_string()]).await?;
    plane.kubeconfig(&ACCOUNT).await
}

/// The same for other nodes than the one of the default name, as the manifest says how.
///
/// # Errors
/// When kubectl refuses the manifest, or it cannot be read.
pub async fn install_pools(plane: &ControlPlane, nodes: &[&str]) -> Result<PathBuf> {
    let manifest = root().join("deploy/triton-virtual-kubelet/rbac.yaml");
    let manifest = std::fs::read_to_string(manifest).context("cannot read the manifest")?;
    let default = "resourceNames: [virtual-kubelet]";
    if !manifest.contains(default) {
        bail!("the manifest does not name the node any more");
    }
    let named = manifest.replace(default, &format!("resourceNames: [{}]", nodes.join(", ")));
    let file = plane.folder().join("rbac.yaml");
    std::fs::write(&file, named).context("cannot write the manifest")?;
    plane.kubectl(&["apply", "--filename", &file.display().to_string()]).await?;
    plane.kubeconfig(&ACCOUNT).await
}

/// Runs the program with `--dry-run` to its end.
///
/// # Errors
/// When it cannot be started, or does not end.
pub async fn dry_run(
    kubeconfig: &Path,
    variables: &[(String, String)],
    arguments: &[&str],
) -> Result<std::process::Output> {
    let arguments: Vec<&str> = ["--dry-run"].iter().chain(arguments).copied().collect();
    run(kubeconfig, variables, &arguments).await
}

/// Runs the program, such as a sub-command of it, to its end.
///
/// # Errors
/// When it cannot be started, or does not end.
pub async fn run(
    kubeconfig: &Path,
    variables: &[(String, String)],
    arguments: &[&str],
) -> Result<std::process::Output> {
    let ran = Command::new(Program::VirtualKubelet.binary()?)
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .args(arguments)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(2 * BOUND, ran).await.context("it does not end")?.context("cannot start it")
}

/// A running virtual kubelet, killed when dropped.
#[derive(Debug)]
pub struct VirtualKubelet {
    process: Process,
    address: String,
}

impl VirtualKubelet {
    /// Starts one on a free admin port, and waits until it says which. `variables` tell it where CloudAPI is; it has
    /// no others.
    ///
    /// # Errors
    /// When it ends instead; its log is in the error.
    pub async fn start(
        kubeconfig: &Path,
        variables: &[(String, String)],
        arguments: &[&str],
    ) -> Result<Self> {
        let variables = variables.iter().map(|(name, value)| (name, value));
        let mut process = Process::spawn(Program::VirtualKubelet, kubeconfig, variables, arguments)?;
        let address = process.address().await?;
        Ok(Self { process, address })
    }

    /// What the admin server answers: the body, whatever the status.
    ///
    /// # Errors
    /// When it does not.
    pub async fn get(&self, path: &str) -> Result<String> {
        let exchange = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = timeout(BOUND, exchange).await.context("the admin server is silent")??;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        Ok(body.to_owned())
    }
}

impl Deref for VirtualKubelet {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for VirtualKubelet {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
