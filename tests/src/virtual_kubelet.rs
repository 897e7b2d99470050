//! The virtual kubelet as a process of its own, with the rights that its manifest gives it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::control_plane::{ControlPlane, Identity};

/// A process that takes longer to start or to answer has failed.
const BOUND: Duration = Duration::from_secs(60);

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
    let ran = Command::new(binary()?)
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
    child: Child,
    address: String,
    folder: TempDir,
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
        let mut started = Self::spawn(kubeconfig, variables, arguments)?;
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(address) = started.said_address() {
                started.address = address;
                return Ok(started);
            }
            if started.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the virtual kubelet did not start:\n{}", started.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The same without the wait, for tests that end it before it says anything. Its admin server cannot be asked.
    ///
    /// # Errors
    /// When there is no program, or it cannot be run.
    pub fn spawn(kubeconfig: &Path, variables: &[(String, String)], arguments: &[&str]) -> Result<Self> {
        let binary = binary()?;
        let folder = tempfile::tempdir().context("cannot make a folder for the log")?;
        let log = File::create(folder.path().join("log")).context("cannot make the log")?;
        let child = Command::new(binary)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--metrics-addr", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the virtual kubelet")?;
        Ok(Self { child, address: String::new(), folder })
    }

    /// Its process id, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it has ended, by itself or by a signal.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for the virtual kubelet")
    }

    fn said_address(&self) -> Option<String> {
        let lines = self.log();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.find_map(|line| line["address"].as_str().map(str::to_owned))
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
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

    /// Asks it to stop with this signal, and waits until it has ended.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub async fn stop(&mut self, signal: &str) -> Result<ExitStatus> {
        let id = self.child.id().context("it has ended before")?.to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().await?;
        if !sent.success() {
            bail!("cannot send SIG{signal}");
        }
        Ok(timeout(BOUND, self.child.wait()).await.context("it does not end")??)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program beside this test. Its package has tests of its own, so whoever builds all tests builds it too; to
/// build it here would be to build half of the workspace anew with other features.
fn binary() -> Result<PathBuf> {
    // `<target>/<profile>/deps/suites-<hash>`
    let test = std::env::current_exe().context("this test has no path")?;
    let profile = test.parent().and_then(Path::parent).context("this test is in no target folder")?;
    let binary = profile.join("triton-virtual-kubelet");
    if !binary.exists() {
        bail!("there is no {}; build it with cargo test --workspace --no-run", binary.display());
    }
    Ok(binary)
}
