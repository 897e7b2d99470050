//! The program as its users run it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests fail"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Flags with which nothing is in anybody's way.
const ANY_PORTS: [&str; 4] =
    ["--cloudapi=127.0.0.1:0", "--admin=127.0.0.1:0", "--cns=127.0.0.1:0", "--cmon=127.0.0.1:0"];

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triton-sim"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRITON_")) {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, part: &str) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.starts_with("triton-sim: ") && said.contains(part), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn the_version_is_told() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).expect("UTF-8"),
        concat!("triton-sim ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(run(&[]).status.code(), Some(2), "help, for there is no command");
}

#[test]
fn bad_input_gets_one_line_and_an_exit_code() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    fails(&["serve", "--frobnicate"], 2, "unexpected argument '--frobnicate'");
    fails(&["serve", "--cloudapi", "8080"], 2, "invalid value '8080'");
    fails(&["exec"], 2, "<COMMAND>...");
    fails(&["serve", "--faults", "/nonexistent"], 1, "check the path given to --faults");
    let faults = file("faults.toml", "seed = 1\n[requests.GetMaschine]\n");
    fails(&["serve", "--faults", &faults], 1, "faults.toml:2: unknown operation \"GetMaschine\"");
    fails(&["serve", "--fault", "feed.lose_rate=2"], 1, "--fault feed.lose_rate=2: 2 is not a rate");
    let key = file("key.pub", "nonsense");
    fails(&["serve", "--key", &key], 1, "give the public half to --key");
    fails(&["serve", "--datacenter", "a b"], 1, "choose another one with --datacenter");
    let certificate = file("cert.pem", "");
    fails(&["serve", "--tls-certificate", &certificate, "--tls-key", &certificate], 1, "cert.pem");
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for flag in ["--cloudapi", "--admin", "--cns", "--cmon"] {
        let wanted = format!("{flag}={address}");
        let others = ANY_PORTS.iter().filter(|other| !other.starts_with(&format!("{flag}=")));
        let arguments: Vec<&str> =
            std::iter::once("serve").chain(others.copied()).chain([wanted.as_str()]).collect();
        fails(&arguments, 1, &address);
        fails(&arguments, 1, flag);
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn serving_prints_the_environment_answers_and_ends_when_it_is_told_to() {
    let state = tempfile::tempdir().expect("a directory");
    let mut command = program();
    command.arg("serve").args(ANY_PORTS);
    command.arg("--state").arg(state.path()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().expect("it runs"));
    let mut lines = BufReader::new(running.0.stdout.take().expect("an output")).lines();
    let mut variables = std::collections::BTreeMap::new();
    for line in lines.by_ref() {
        let line = line.expect("a line");
        match line.strip_prefix("export ").and_then(|pair| pair.split_once('=')) {
            Some((name, value)) => variables.insert(name.to_owned(), value.to_owned()),
            None => break,
        };
    }
    for name in ["TRITON_ACCOUNT", "TRITON_KEY_ID", "TRITON_SIM_ADMIN_URL", "TRITON_SIM_CNS_ADDRESS"] {
        assert!(variables.contains_key(name), "{variables:?}");
    }
    assert!(Path::new(&variables["TRITON_KEY_MATERIAL"]).starts_with(state.path()));
    let address = variables["TRITON_URL"].strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.write_all(b"GET /--ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains(r#""ping":"pong""#), "{answer}");
    let told = Command::new("kill").arg(running.0.id().to_string()).status().expect("kill runs");
    assert!(told.success());
    assert!(running.0.wait().expect("an end").success());
}

#[test]
fn a_command_runs_beside_the_data_center_and_its_code_is_the_result() {
    let output =
        run(&["exec", "--", "sh", "-c", r#"test -f "$TRITON_KEY_MATERIAL" && echo "$TRITON_URL" && exit 7"#]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("private network") {
        assert!(std::env::var_os("CI").is_none(), "{said}");
        eprintln!("skipped: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "http://127.0.0.1:8080\n");
    let killed = run(&["exec", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.status.code(), Some(137));
    fails(&["exec", "--", "/nonexistent/program"], 1, "give a program of this machine after --");
}
