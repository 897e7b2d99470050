//! One server process, which cannot outlive this one.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// How much of a log is shown when something fails, in bytes.
const SHOWN: i64 = 4000;

/// Starts the server, writes its process id, and kills it when the pipe on standard input closes: that happens when
/// the test drops the server, and also when the test's process dies in whatever way.
const TIED: &str =
    r#""$@" </dev/null & echo "$!" >"$0.pid"; cat >/dev/null; kill -KILL "$!" 2>/dev/null; wait"#;

/// A server, ended when dropped.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    program: PathBuf,
    flags: Vec<String>,
    /// Path of its log and its `.pid` file without extension.
    files: PathBuf,
    /// The shell that the running server is tied to; `None` while it is stopped.
    shell: Option<Child>,
}

impl Server {
    pub(super) fn spawn(root: &Path, program: &Path, flags: &[String]) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = root.join(&name);
        let (program, flags) = (program.to_owned(), flags.to_owned());
        let mut server = Self { name, program, flags, files, shell: None };
        server.start()?;
        Ok(server)
    }

    /// Starts it with the flags that it had before; its log goes on. Does nothing when it was not stopped.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.shell.is_some() {
            return Ok(());
        }
        let name = &self.name;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.files.with_extension("log"))
            .with_context(|| format!("cannot log for {name}"))?;
        let shell = Command::new("sh")
            .arg("-c")
            .arg(TIED)
            .arg(&self.files)
            .arg(&self.program)
            .args(&self.flags)
            // An interrupt at the terminal must not end the shell before it has ended the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.shell = Some(shell);
        Ok(())
    }

    /// Kills it and waits for its end.
    pub(super) fn stop(&mut self) {
        let Some(mut shell) = self.shell.take() else { return };
        // Closes the pipe; the shell kills the server and ends.
        drop(shell.stdin.take());
        let _ = shell.wait();
        // The number may be another process's by now.
        let _ = std::fs::remove_file(self.files.with_extension("pid"));
    }

    /// Whether it ended by itself, which servers do not do when all is well.
    pub(super) fn has_ended(&self) -> bool {
        let Ok(pid) = self.pid() else { return false };
        !Path::new("/proc").join(pid.to_string()).exists()
    }

    /// Sends a signal, by the name that `kill` knows.
    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.pid()?.to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().context("cannot run kill")?;
        if !sent.success() {
            bail!("{} cannot be sent SIG{signal}", self.name);
        }
        Ok(())
    }

    /// The end of its log under its name.
    pub(super) fn end_of_log(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut log = File::open(self.files.with_extension("log"))?;
            let length = i64::try_from(log.metadata()?.len()).unwrap_or(SHOWN);
            log.seek(SeekFrom::End(-length.min(SHOWN)))?;
            let mut text = Vec::new();
            log.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        format!("--- {}\n{}\n", self.name, read().unwrap_or_else(|error| format!("no log: {error}")))
    }

    fn pid(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.files.with_extension("pid"))
            .with_context(|| format!("{} has not begun", self.name))?;
        text.trim().parse().with_context(|| format!("{} has no process id", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
