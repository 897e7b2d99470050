//! The virtual kubelet on a real control plane, with a simulated data centre whose instances answer.
//!
//! These tests are `#[ignore]`d where instances have no addresses: [`in_a_private_network`] runs them where they have.

mod deployment;
mod stage;

use std::process::Stdio;

use tokio::process::Command;

/// Runs the tests of this module that need instances which answer, in a private network.
#[tokio::test]
async fn in_a_private_network() {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-network"));
    command.arg(this).args(["virtual_kubelet::", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && !text.contains("running 0 tests"), "{text}");
}
