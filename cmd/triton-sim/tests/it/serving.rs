//! `triton-sim serve` while it runs.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process that ends with the test.
struct Running {
    child: Child,
    /// What it told to paste.
    variables: BTreeMap<String, String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(state: &Path, more: &[&str]) -> Self {
        let mut command = super::program();
        command.args(super::serve_with(more)).arg("--state").arg(state).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("an output"));
        let mut running = Self { child, variables: BTreeMap::new() };
        for line in output.lines() {
            let line = line.expect("a line");
            let Some((name, value)) = line.strip_prefix("export ").and_then(|pair| pair.split_once('='))
            else {
                break;
            };
            running.variables.insert(name.to_owned(), value.to_owned());
        }
        running
    }

    /// What is answered at the URL of a variable, with its head.
    fn ask(&self, variable: &str, request: &str) -> String {
        let address = self.variables[variable].strip_prefix("http://").expect("plain HTTP");
        let mut stream = TcpStream::connect(address).expect("connected");
        let request =
            format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn ping(&self) -> String {
        self.ask("TRITON_URL", "GET /--ping")
    }
}

#[test]
fn serving_prints_the_environment_answers_and_ends_when_it_is_told_to() {
    let state = tempfile::tempdir().expect("a directory");
    let mut running = Running::start(state.path(), &[]);
    for name in ["TRITON_ACCOUNT", "TRITON_KEY_ID", "TRITON_SIM_ADMIN_URL", "TRITON_SIM_CNS_ADDRESS"] {
        assert!(running.variables.contains_key(name), "{:?}", running.variables);
    }
    for name in ["TRITON_KEY_MATERIAL", "TRITON_SIM_CMON_CA"] {
        let file = Path::new(&running.variables[name]);
        assert!(file.starts_with(state.path()) && file.exists(), "{name} {file:?}");
    }
    assert!(running.ping().contains(r#""ping":"pong""#));
    let told = Command::new("kill").arg(running.child.id().to_string()).status().expect("kill runs");
    assert!(told.success());
    assert!(running.child.wait().expect("an end").success());
}

#[test]
fn the_key_in_a_state_directory_stays() {
    let state = tempfile::tempdir().expect("a directory");
    let fingerprint = || Running::start(state.path(), &[]).variables["TRITON_KEY_ID"].clone();
    assert_eq!(fingerprint(), fingerprint());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(state.path().join("id_ed25519")).expect("there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn faults_come_from_a_file_and_from_flags_and_go_by_the_admin_api_which_counts_requests() {
    let state = tempfile::tempdir().expect("a directory");
    let file = state.path().join("faults.toml");
    std::fs::write(&file, "[requests.Ping]\nerror_rate = 1\n").expect("written");
    let file = format!("--faults={}", file.display());
    let failing = Running::start(state.path(), &[&file]);
    assert!(failing.ping().starts_with("HTTP/1.1 500 "));
    assert!(failing.ask("TRITON_SIM_ADMIN_URL", "DELETE /faults").starts_with("HTTP/1.1 200 "));
    assert!(failing.ping().starts_with("HTTP/1.1 200 "));
    let counted = failing.ask("TRITON_SIM_ADMIN_URL", "GET /requests");
    assert!(counted.ends_with(r#"{"total":2,"operations":{"Ping":{"200":1,"500":1}}}"#), "{counted}");

    let overridden = ["--fault=requests.Ping.error_rate=0", "--fault=requests.Ping.unavailable_rate=1"];
    let unavailable = Running::start(state.path(), &[&file, overridden[0], overridden[1]]);
    assert!(unavailable.ping().starts_with("HTTP/1.1 503 "));
}
