//! The binary as a real process: what bad input gets.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Files that a command line can name.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and gives its path.
    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// A kubeconfig for an API server at port 1 of this machine, where nobody is.
    fn kubeconfig(&self) -> String {
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
            clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]\n\
            users: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n";
        self.file("kubeconfig", text)
    }
}

/// Runs to the end, which must come by itself: the exit code and what it prints on standard error.
fn ends(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triton-virtual-kubelet"));
    command.env_clear().envs(variables.iter().copied()).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

fn check(arguments: &[&str], variables: &[(&str, &str)], code: i32, expected: &str) {
    let (ended, text) = ends(arguments, variables);
    let line = text.strip_prefix("triton-virtual-kubelet: ").unwrap_or_default();
    assert!(line.starts_with(expected) && text.lines().count() == 1, "{arguments:?}: {text}");
    assert_eq!(ended, code, "{arguments:?}: {text}");
}

/// Where CloudAPI is, and who we are to it; nothing answers there.
const TRITON: [(&str, &str); 3] =
    [("SDC_URL", "http://127.0.0.1:1"), ("SDC_ACCOUNT", "acme"), ("SDC_KEY_MATERIAL", "/no/such/key")];

#[test]
fn a_wrong_command_line_gets_one_line_and_code_2() {
    check(&["--watch-nothing"], &TRITON, 2, "unexpected argument '--watch-nothing' found; try --help\n");
    let aws = "invalid value 'aws' for '--provider <PROVIDER>' [possible values: triton]; try --help\n";
    check(&["--provider", "aws"], &TRITON, 2, aws);
    check(&["--log-level", "a=loud"], &TRITON, 2, "\"a=loud\" is not a level");
    let port = [&TRITON[..], &[("KUBELET_PORT", "no")]].concat();
    check(&[], &port, 2, "environment variable KUBELET_PORT: invalid value 'no' for '--kubelet-port <PORT>'");
}

#[test]
fn a_wrong_file_gets_its_line() {
    let folder = Folder::new();
    let file = folder.file("triton.toml", "CPU = \"20\"\nMemory =\n");
    check(&["--provider-config", &file], &TRITON, 2, &format!("{file}:2: "));
    let file = folder.file("triton.toml", "CPU = \"20\"\n\nMemroy = \"40Gi\"\n");
    let expected = format!("{file}:3: unknown field `Memroy`");
    check(&["--provider-config", &file], &TRITON, 2, &expected);
    let file =
        folder.file("triton.toml", "[[Node]]\nName = \"a\"\n[[Node]]\nName = \"b\"\nTaints = [\"x\"]\n");
    check(&["--provider-config", &file], &TRITON, 2, &format!("{file}:5: Taints is not a taint such as"));
    let missing = folder.path("none.toml").display().to_string();
    let expected = format!("cannot read the provider's file {missing}; check --provider-config");
    check(&["--provider-config", &missing], &TRITON, 1, &expected);
}

#[test]
fn missing_credentials_are_all_named() {
    let expected =
        "settings are missing: set TRITON_URL, TRITON_ACCOUNT, TRITON_KEY_ID (or TRITON_KEY_MATERIAL)\n";
    check(&[], &[], 2, expected);
    check(&[], &TRITON[..2], 2, "settings are missing: set TRITON_KEY_ID (or TRITON_KEY_MATERIAL)\n");
}

#[test]
fn a_key_that_cannot_be_used_is_named() {
    let folder = Folder::new();
    let kubeconfig = folder.kubeconfig();
    let arguments = ["--kubeconfig", kubeconfig.as_str(), "--metrics-addr", "127.0.0.1:0"];
    check(&arguments, &TRITON, 1, "cannot use the private key /no/such/key: it cannot be read");
    let key = folder.file("key", "hunter2\n");
    let variables = [TRITON[0], TRITON[1], ("SDC_KEY_MATERIAL", key.as_str())];
    check(&arguments, &variables, 1, &format!("cannot use the private key {key}: "));
    let (_, text) = ends(&arguments, &variables);
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_api_server_that_cannot_be_had_is_named() {
    let folder = Folder::new();
    let admin = ["--metrics-addr", "127.0.0.1:0"];
    check(&admin, &TRITON, 1, "no --kubeconfig is given, and this is no pod with a service account");
    let missing = folder.path("kubeconfig").display().to_string();
    let expected = format!("cannot use kubeconfig {missing}; check --kubeconfig");
    check(&[&admin[..], &["--kubeconfig", &missing]].concat(), &TRITON, 1, &expected);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let expected =
        format!("cannot listen on {address} for health and metrics; choose another with --admin-address");
    check(&["--metrics-addr", &address], &TRITON, 1, &expected);
}

#[test]
fn help_names_every_flag_of_the_original_and_its_variables() {
    let output = Command::new(env!("CARGO_BIN_EXE_triton-virtual-kubelet")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    for word in [
        "--nodename",
        "--provider <",
        "--provider-config",
        "--metrics-addr",
        "--log-level",
        "--disable-taint",
        "--dry-run",
        "--kubeconfig",
        "KUBELET_PORT",
        "VKUBELET_POD_IP",
        "VKUBELET_TAINT_KEY",
        "VKUBELET_TAINT_VALUE",
        "VKUBELET_TAINT_EFFECT",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
}
