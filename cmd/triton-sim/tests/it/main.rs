//! The program as its users run it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests fail"
)]

mod demo;
mod serving;

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

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

/// The arguments of `serve` on any ports, with these.
fn serve_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["serve"].iter().chain(&ANY_PORTS).chain(more).copied().collect()
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
    fails(&["serve", "--fault", "feed.lose_rate=2"], 2, "--fault feed.lose_rate=2: 2 is not a rate");
    fails(&["serve", "--fault", "feeds.x=2"], 2, "unknown field `feeds`");
    let key = file("key.pub", "nonsense");
    fails(&["serve", "--key", &key], 1, "give the public half to --key");
    fails(&serve_with(&["--datacenter", "a b"]), 2, "choose another one with --datacenter");
    fails(&["serve", "--account", "a b"], 2, "give a letter and up to 31");
    fails(&serve_with(&["--guests"]), 1, "run clients with triton-sim exec -- COMMAND");
    let state = directory.path().display().to_string();
    file("id_ed25519", "nonsense");
    fails(&["serve", "--state", &state], 1, "remove it to have another made");
    fails(&["serve", "--state", &key], 1, "key.pub");
    fails(&["exec", "--state", &key, "--", "true"], 1, "key.pub");
    let certificate = file("cert.pem", "");
    fails(&["serve", "--tls-certificate", &certificate, "--tls-key", &certificate], 1, "cert.pem");
}

#[test]
fn what_is_to_be_logged_is_read_with_the_same_care() {
    let output =
        program().args(["serve"]).env("TRITON_SIM_LOG", "triton_sim=lodu").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(
        said.starts_with("triton-sim: cannot use TRITON_SIM_LOG=triton_sim=lodu: write it like"),
        "{said}"
    );
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

/// Whether a program said that there are no private networks here, where tests may be skipped. In CI there must be.
fn no_private_network(said: &str) -> bool {
    let skipped = said.contains("private network:") || said.contains("in a new user namespace");
    if skipped {
        assert!(std::env::var_os("CI").is_none(), "{said}");
        eprintln!("skipped: {said}");
    }
    skipped
}

#[test]
fn a_command_runs_beside_the_data_center_and_its_code_is_the_result() {
    let output =
        run(&["exec", "--", "sh", "-c", r#"test -f "$TRITON_KEY_MATERIAL" && echo "$TRITON_URL" && exit 7"#]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if no_private_network(&said) {
        return;
    }
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "http://127.0.0.1:8080\n");
    let killed = run(&["exec", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.status.code(), Some(137));
    fails(&["exec", "--", "/nonexistent/program"], 1, "give a program of this machine after --");
}
