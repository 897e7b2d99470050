//! A process that this test started.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::{BOUND, until, within};

/// The candidate of these suites, or client-go's; killed when the test ends.
pub(crate) struct Running {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = Arc::default();
        follow(child.stdout.take().unwrap(), &lines);
        follow(child.stderr.take().unwrap(), &lines);
        Self { name: name.to_owned(), child, lines }
    }

    /// A candidate of this name for the lease `default/<lease>`, which counts in a ConfigMap named like the lease.
    /// Returns when its admin server listens.
    pub(crate) async fn candidate(name: &str, lease: &str, kubeconfig: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candidate"));
        command.env_clear().args(["--identity", name, "--counter", lease, "--log-format=json"]);
        command.args(["--leader-elect-resource-namespace=default", "--leader-elect-resource-name", lease]);
        command.args(["--admin-address=127.0.0.1:0", "--kubeconfig"]).arg(kubeconfig).args(flags);
        let running = Self::start(name, &mut command);
        until("the candidate has started", async || running.address().is_some()).await;
        running
    }

    /// A candidate that client-go drives.
    pub(crate) fn client_go(
        program: &Path,
        name: &str,
        lease: &str,
        kubeconfig: &Path,
        flags: &[&str],
    ) -> Self {
        let mut command = Command::new(program);
        command.env_clear().args(["--identity", name, "--name", lease, "--kubeconfig"]).arg(kubeconfig);
        Self::start(name, command.args(flags))
    }

    /// Where the admin server listens, from the log.
    fn address(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line["address"].as_str()?.to_owned())
        })
    }

    /// Whether some line of its output has this in it.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// All that it has said.
    pub(crate) fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits until it has said this.
    pub(crate) async fn until_says(&self, text: &str) {
        until(&format!("{} says {text:?}", self.name), async || self.says(text)).await;
    }

    /// What a path of the admin server answers: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address().unwrap()).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = tokio::time::timeout(Duration::from_secs(20), exchange).await.unwrap();
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}\n{}", self.name, self.output()));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Waits until `/readyz` has this status and this text in it.
    pub(crate) async fn until_ready_says(&self, status: u16, text: &str) {
        self.ready_says_within(BOUND, status, text).await;
    }

    /// Waits, for that long at most, until `/readyz` has this status and this text in it.
    pub(crate) async fn ready_says_within(&self, bound: Duration, status: u16, text: &str) {
        let what = format!("/readyz of {} is {status} {text:?}", self.name);
        let last = Mutex::new(String::new());
        let so = async || {
            let (code, body) = self.get("/readyz").await;
            let so = code == status && body.contains(text);
            *last.lock().unwrap() = body;
            so
        };
        tokio::select! {
            biased;
            () = within(bound + Duration::from_secs(1), &what, so) => {}
            () = tokio::time::sleep(bound) => panic!("not within {bound:?}: {what}; {:?}", last.lock().unwrap()),
        }
    }

    /// Sends a signal, by the name that `kill` knows.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; returns the exit code, -1 after a signal, and all that it said.
    pub(crate) async fn ends(&mut self) -> (i32, String) {
        let ended = tokio::time::timeout(BOUND, self.child.wait()).await;
        let status =
            ended.unwrap_or_else(|_| panic!("{} does not end:\n{}", self.name, self.output())).unwrap();
        // What it said last may still be on its way: the pipes end with the process.
        until("its output has been read", async || Arc::strong_count(&self.lines) == 1).await;
        (status.code().unwrap_or(-1), self.output())
    }
}

/// The line with which a candidate ends; tasks that are still ending may log after it.
pub(crate) fn verdict(output: &str) -> &str {
    output
        .lines()
        .find(|line| line.starts_with("candidate: "))
        .unwrap_or_else(|| panic!("no verdict: {output}"))
}

/// Keeps the lines of a pipe until it ends.
fn follow(pipe: impl AsyncRead + Send + Unpin + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = lines.clone();
    tokio::spawn(async move {
        let mut read = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = read.next_line().await {
            lines.lock().unwrap().push(line);
        }
    });
}
