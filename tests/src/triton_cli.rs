//! The official Triton CLI, unmodified: runs it against a CloudAPI and hands back what it said.
//!
//! Every [`TritonCli`] has a home folder of its own, so that its keys, its cache and its profiles are those of nobody
//! else, and an empty environment but for what the CLI needs. Commands run in that folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long one command may take. The waits of the tests take seconds, and node starts slowly on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The types of keys that both the CLI and CloudAPI take (reference 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa,
    /// ECDSA on P-256.
    Ecdsa,
}

impl KeyType {
    fn flags(self) -> [&'static str; 4] {
        match self {
            Self::Ed25519 => ["-t", "ed25519", "-b", "256"],
            Self::Rsa => ["-t", "rsa", "-b", "2048"],
            Self::Ecdsa => ["-t", "ecdsa", "-b", "256"],
        }
    }
}

/// A key pair in files, made by `ssh-keygen` without a passphrase.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// The private key; the public one is beside it, with `.pub` added.
    pub path: PathBuf,
    /// The line of the `.pub` file.
    pub public: String,
    /// The MD5 fingerprint as CloudAPI writes it: pairs of digits with colons between them.
    pub fingerprint: String,
}

impl KeyFiles {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When `ssh-keygen` is missing or refuses.
    pub async fn make(path: &Path, kind: KeyType) -> Result<Self> {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(kind.flags()).args(["-q", "-N", "", "-C"]);
        tool(keygen.arg(path.file_name().unwrap_or_default()).arg("-f").arg(path)).await?;
        let public = path.with_extension("pub");
        let shown = tool(Command::new("ssh-keygen").args(["-l", "-E", "md5", "-f"]).arg(&public)).await?;
        let fingerprint = shown.split_whitespace().nth(1).and_then(|it| it.strip_prefix("MD5:"));
        Ok(Self {
            path: path.to_owned(),
            public: std::fs::read_to_string(&public)?.trim().to_owned(),
            fingerprint: fingerprint.with_context(|| format!("ssh-keygen said {shown:?}"))?.to_owned(),
        })
    }
}

/// Runs a tool that must succeed; what it printed.
async fn tool(command: &mut Command) -> Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let done =
        command.stdin(Stdio::null()).output().await.with_context(|| format!("cannot run {program}"))?;
    if !done.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    String::from_utf8(done.stdout).with_context(|| format!("{program} printed no text"))
}

/// What a command of the CLI left behind.
#[derive(Clone, Debug)]
pub struct Said {
    /// The arguments, for messages.
    pub command: String,
    /// The exit code; 3 means "not found" (reference 7.3). None after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The one JSON document on standard output.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON document: {self:?}"))
    }

    /// The lines of standard output, each a JSON document.
    ///
    /// # Errors
    ///
    /// When one is none.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        let line = |line| serde_json::from_str(line).with_context(|| format!("no line of JSON: {self:?}"));
        self.out.lines().filter(|line| !line.is_empty()).map(line).collect()
    }
}

/// The CLI with its home folder and its environment.
#[derive(Debug)]
pub struct TritonCli {
    program: PathBuf,
    home: TempDir,
    environment: Vec<(String, String)>,
}

impl TritonCli {
    /// The installed program, with an empty home. None, and a word about it, where Node.js is missing; but with
    /// `CI=true` that is an error.
    ///
    /// # Errors
    ///
    /// When the CLI cannot be installed, or nothing may be left out and Node.js is missing.
    pub fn find() -> Result<Option<Self>> {
        static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let found = |program: &str| {
            let version = std::process::Command::new(program).arg("--version").output();
            version.is_ok_and(|version| version.status.success())
        };
        if !(found("node") && found("npm")) {
            if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
                bail!("no node or no npm: install Node.js 20 or newer");
            }
            #[expect(clippy::print_stderr, reason = "the reader of the tests must learn what was not tested")]
            {
                eprintln!("skipped: no node or no npm");
            }
            return Ok(None);
        }
        let program = match INSTALLED.get_or_init(|| install().map_err(|error| format!("{error:#}"))) {
            Ok(program) => program.clone(),
            Err(error) => bail!("{error}"),
        };
        let home = tempfile::Builder::new().prefix("triton-cli").tempdir().context("cannot make a home")?;
        std::fs::create_dir(home.path().join(".ssh"))?;
        Ok(Some(Self { program, home, environment: Vec::new() }))
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the CLI looks for keys by itself.
    #[must_use]
    pub fn key_path(&self, name: &str) -> PathBuf {
        self.home().join(".ssh").join(name)
    }

    /// Sets a variable of the environment for all commands from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .current_dir(self.home())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started or does not end within a minute; then it is killed.
    pub async fn run(&self, arguments: &[&str]) -> Result<Said> {
        let command = format!("triton {}", arguments.join(" "));
        let done = timeout(DEADLINE, self.command(arguments).output());
        let done = done.await.with_context(|| format!("{command:?} does not end"))?;
        let done = done.with_context(|| format!("cannot run {command:?}"))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { command, code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
    }

    /// Starts a command that does not end by itself. It is killed when the handle is dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        self.command(arguments).spawn().context("cannot run triton")
    }
}

/// Installs the CLI unless it is; where.
fn install() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/triton-cli");
    let done = std::process::Command::new(&script).output().context("cannot run hack/triton-cli")?;
    if !done.status.success() {
        bail!("hack/triton-cli failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(PathBuf::from(String::from_utf8(done.stdout)?.trim()))
}
