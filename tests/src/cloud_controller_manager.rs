//! The cloud controller manager as a process of its own, with the rights that its manifest gives it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::control_plane::{ControlPlane, Identity};

/// A process that takes longer to start or to answer has failed.
const BOUND: Duration = Duration::from_secs(60);

/// The account that the manifest makes.
const ACCOUNT: Identity<'static> =
    Identity::ServiceAccount { namespace: "kube-system", name: "triton-cloud-controller-manager" };

/// Gives it its rights, by its own manifest, and returns a kubeconfig with just these.
///
/// # Errors
/// When kubectl refuses the manifest.
pub async fn install(plane: &ControlPlane) -> Result<PathBuf> {
    let manifest =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/triton-cloud-controller-manager/rbac.yaml");
    plane.kubectl(&["apply", "--filename", &manifest.display().to_string()]).await?;
    plane.kubeconfig(&ACCOUNT).await
}

/// A running cloud controller manager, killed when dropped.
#[derive(Debug)]
pub struct CloudControllerManager {
    child: Child,
    address: String,
    folder: TempDir,
}

impl CloudControllerManager {
    /// Starts one on a free port of loopback, and waits until it says which. `variables` are all that it has.
    ///
    /// # Errors
    /// When it ends instead; its log is in the error.
    pub async fn start<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        kubeconfig: &Path,
        variables: impl IntoIterator<Item = (N, V)>,
        arguments: &[&str],
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the log")?;
        let log = File::create(folder.path().join("log")).context("cannot make the log")?;
        let child = Command::new(binary()?)
            .env_clear()
            .envs(variables)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--bind-address=127.0.0.1", "--secure-port=0", "--log-format=json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the cloud controller manager")?;
        let mut started = Self { child, address: String::new(), folder };
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(address) = started.said_address() {
                started.address = address;
                return Ok(started);
            }
            if started.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the cloud controller manager did not start:\n{}", started.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn said_address(&self) -> Option<String> {
        let log = self.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.find_map(|line| line["address"].as_str().map(str::to_owned))
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The URL of a path of its port.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What a path of its port answers to curl with these options: status and body. Without any, its certificate goes
    /// unchecked and nobody says who they are.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str, options: &[&str]) -> Result<(u16, String)> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]);
        if !options.contains(&"--cacert") {
            curl.arg("--insecure");
        }
        curl.args(options).arg(self.url(path)).kill_on_drop(true);
        let output = curl.output().await.context("cannot run curl")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("curl {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let (body, status) = text.rsplit_once('\n').context("curl says no status")?;
        Ok((status.parse().context("curl says no status")?, body.to_owned()))
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

/// The program beside this test, which whoever builds all tests builds too.
///
/// # Errors
/// When it has not been built.
pub fn binary() -> Result<PathBuf> {
    // `<target>/<profile>/deps/suites-<hash>`
    let test = std::env::current_exe().context("this test has no path")?;
    let profile = test.parent().and_then(Path::parent).context("this test is in no target folder")?;
    let binary = profile.join("triton-cloud-controller-manager");
    if !binary.exists() {
        bail!("there is no {}; build it with cargo build --workspace", binary.display());
    }
    Ok(binary)
}
