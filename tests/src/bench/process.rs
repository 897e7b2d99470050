//! A measured process.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Processor time is counted in hundredths of a second (`USER_HZ`, proc_pid_stat(5)).
const TICK: f64 = 0.01;

/// A process that takes longer to end has failed.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A process with a log, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    id: u32,
    log: PathBuf,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory, in MB of a million bytes.
    pub resident: f64,
    /// The most memory that it ever had, in the same unit.
    pub peak: f64,
    /// Processor time, in seconds.
    pub processor: f64,
}

impl Process {
    /// Starts a program that has no environment but `variables`. All it says goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &Path,
        arguments: &[String],
        variables: &[(String, String)],
        log: PathBuf,
    ) -> Result<Self> {
        // A process that is started again goes on with its log.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot make {}", log.display()))?;
        let child = Command::new(program)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let id = child.id().context("it ended at once")?;
        Ok(Self { child, id, log })
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Looks whether it still runs.
    ///
    /// # Errors
    /// When it has ended; the end of its log is in the error.
    pub fn must_live(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let said = self.said();
            let lines: Vec<&str> = said.lines().rev().take(20).collect();
            bail!("it ended with {status}:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        Ok(())
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        let status = self.proc("status")?;
        let memory = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no memory")?;
            let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
            Ok(kib * 1024.0 / 1e6)
        };
        let stat = self.proc("stat")?;
        // The name of the program, in parentheses, may have blanks.
        let (_, fields) = stat.rsplit_once(") ").context("no statistics")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
        let ticks: u32 = ticks.sum::<Result<u32, _>>()?;
        Ok(Usage { resident: memory("VmRSS")?, peak: memory("VmHWM")?, processor: f64::from(ticks) * TICK })
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.id);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let sent = Command::new("kill").args(["-s", "TERM", &self.id.to_string()]).status().await?;
        if !sent.success() {
            bail!("cannot send SIGTERM to process {}", self.id);
        }
        Ok(timeout(ENDS_WITHIN, self.child.wait()).await.context("it does not end")??)
    }
}
