//! The binary as a real process: what bad input gets.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::process::{Command, Stdio};

/// Runs to the end, which must come by itself: the exit code and what it prints on standard error.
fn ends(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triton-cloud-controller-manager"));
    command.env_clear().envs(variables.iter().copied()).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Where no CloudAPI is, which nobody asks here.
const PLACE: [(&str, &str); 3] = [
    ("TRITON_URL", "https://127.0.0.1:1"),
    ("TRITON_ACCOUNT", "acme"),
    ("TRITON_KEY_MATERIAL", "/nowhere/key"),
];

#[test]
fn what_is_wrong_is_one_line_with_a_remedy_and_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]\n\
        users: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n";
    std::fs::write(&kubeconfig, text).unwrap();
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let cloud = folder.path().join("cloud.toml");
    std::fs::write(&cloud, "profile = \"work\"\n").unwrap();
    let cloud = format!("--cloud-config={}", cloud.display());
    let secret = "--credentials-secret=kube-system/triton-credentials";
    let port = "--secure-port=0";
    for (arguments, code, part) in [
        (&["--no-such-flag"][..], 2, "--no-such-flag"),
        (&[], 2, "set TRITON_URL, TRITON_ACCOUNT"),
        (&["--credentials-secret=triton"], 2, "NAMESPACE/NAME"),
        (&["--cert-dir=/tmp", secret], 2, "certificates are not kept on disk"),
        (&[secret, &cloud], 2, "leave one out"),
        (
            &[secret, port, "--tls-cert-file=/nowhere/a", "--tls-private-key-file=/nowhere/b", &kubeconfig],
            2,
            "/nowhere/a",
        ),
        (&[secret, port, "--client-ca-file=/nowhere/c", &kubeconfig], 2, "check --client-ca-file"),
        (&[secret, port], 1, "no --kubeconfig is given"),
        (&["credentials"], 2, "create or verify"),
        (&["credentials", "verify"], 2, "set TRITON_URL, TRITON_ACCOUNT"),
        (&["credentials", "create", "--profile=work"], 2, "cannot look for the profile \"work\""),
        (&["credentials", "create", "--name=a"], 2, "NAMESPACE/NAME"),
        (&["credentials", "create", "--passphrase=x"], 2, "--passphrase"),
        (&["credentials", "verify", secret], 2, "give --kubeconfig"),
    ] {
        let (ended, said) = ends(arguments, &[]);
        assert_eq!((ended, said.lines().count()), (code, 1), "{arguments:?}: {said}");
        assert!(
            said.starts_with("triton-cloud-controller-manager: ") && said.contains(part),
            "{arguments:?}: {said}"
        );
    }
    let (ended, said) = ends(&["credentials", "verify"], &PLACE);
    assert_eq!((ended, said.contains("cannot use the private key /nowhere/key")), (1, true), "{said}");
}
