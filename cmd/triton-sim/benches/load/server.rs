//! The program under load, as a process of its own, so that its memory and its processor time are its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// Processor time is counted in hundredths of a second (`USER_HZ`, proc_pid_stat(5)).
const TICK: Duration = Duration::from_millis(10);

/// `triton-sim serve`. It ends with this.
pub(crate) struct Server {
    child: Child,
    variables: BTreeMap<String, String>,
    _state: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How much memory a process has, in MiB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) peak: f64,
}

impl Server {
    /// Starts it with jobs that take no time, and waits until it has told its environment.
    pub(crate) fn start() -> Result<Self> {
        let state = tempfile::tempdir()?;
        let ports = ["--cloudapi", "--admin", "--cns", "--cmon"].map(|flag| format!("{flag}=127.0.0.1:0"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_triton-sim"))
            .args(["serve", "--preset=instant"])
            .args(ports)
            .arg("--state")
            .arg(state.path())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start triton-sim")?;
        let mut variables = BTreeMap::new();
        let output = child.stdout.take().context("no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            let Some((name, value)) = line.strip_prefix("export ").and_then(|pair| pair.split_once('='))
            else {
                break;
            };
            variables.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self { child, variables, _state: state })
    }

    /// A variable of the environment that it told.
    pub(crate) fn variable(&self, name: &str) -> Result<&str> {
        self.variables.get(name).map(String::as_str).with_context(|| format!("no {name}"))
    }

    /// Where a service of it listens, by the variable that has its URL.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr> {
        let url = self.variable(name)?;
        Ok(url.strip_prefix("http://").unwrap_or(url).parse()?)
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = self.proc("status")?;
        let field = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no memory")?;
            let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
            Ok(kib / 1024.0)
        };
        Ok(Memory { resident: field("VmRSS")?, peak: field("VmHWM")? })
    }

    /// How long processors have worked for it.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The name of the program, in parentheses, may have blanks.
        let (_, fields) = stat.rsplit_once(") ").context("no statistics")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
        Ok(ticks.sum::<Result<u32, _>>()? * TICK)
    }
}
