//! One of our binaries as a process of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// A process that takes longer to start, to answer or to end has failed.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Which of our binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `triton-virtual-kubelet`
    VirtualKubelet,
    /// `triton-cloud-controller-manager`
    CloudControllerManager,
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::VirtualKubelet => "triton-virtual-kubelet",
            Self::CloudControllerManager => "triton-cloud-controller-manager",
        }
    }

    /// What every test wants: a port on loopback that is free, and a log that can be read.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::VirtualKubelet => &["--metrics-addr=127.0.0.1:0", "--log-format=json"],
            Self::CloudControllerManager => {
                &["--bind-address=127.0.0.1", "--secure-port=0", "--log-format=json"]
            }
        }
    }

    /// The program beside this test. Its package has tests of its own, so whoever builds all tests builds it too; to
    /// build it here would be to build half of the workspace anew with other features.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn binary(self) -> Result<PathBuf> {
        // `<target>/<profile>/deps/suites-<hash>`
        let test = std::env::current_exe().context("this test has no path")?;
        let profile = test.parent().and_then(Path::parent).context("this test is in no target folder")?;
        let binary = profile.join(self.name());
        if !binary.exists() {
            bail!("there is no {}; build it with cargo test --workspace --no-run", binary.display());
        }
        Ok(binary)
    }
}

/// A running process, killed when dropped.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts one on a free port of loopback. `variables` are all that it has.
    ///
    /// # Errors
    /// When there is no program, or it cannot be run.
    pub fn spawn<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: Program,
        kubeconfig: &Path,
        variables: impl IntoIterator<Item = (N, V)>,
        arguments: &[&str],
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the log")?;
        let log = File::create(folder.path().join("log")).context("cannot make the log")?;
        let child = Command::new(program.binary()?)
            .env_clear()
            .envs(variables)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(program.flags())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.name()))?;
        Ok(Self { program, child, folder })
    }

    /// Waits until it says on which address it listens.
    ///
    /// # Errors
    /// When it ends instead, or says nothing; its log is in the error.
    pub async fn address(&mut self) -> Result<String> {
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(address) = self.said_address() {
                return Ok(address);
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{} did not start:\n{}", self.program.name(), self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn said_address(&self) -> Option<String> {
        let log = self.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find_map(|line| line["address"].as_str().map(str::to_owned))
    }

    /// Its process id, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until it has ended, by itself or by a signal.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.with_context(|| format!("cannot wait for {}", self.program.name()))
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
        timeout(BOUND, self.ended()).await.context("it does not end")?
    }
}
