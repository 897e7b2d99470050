//! The virtual kubelet on a real control plane, with a simulated data centre whose instances answer.
//!
//! These tests are `#[ignore]`d where instances have no addresses: [`in_a_private_network`] runs them where they have.

mod changes;
mod commands;
mod deployment;
mod leaving;
mod node;
mod refusals;
mod stage;
mod workloads;

use std::process::Stdio;

use tokio::process::Command;

/// What users do every day, all at once on one node.
#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn everyday_life() {
    let stage = stage::Stage::set().await;
    tokio::join!(
        workloads::jobs_end_as_their_guests_say(&stage),
        workloads::a_stateful_set_keeps_its_names(&stage),
        workloads::daemon_sets_come_when_they_tolerate_the_taint(&stage),
        workloads::a_bare_pod_gets_the_smallest_package_and_the_default_network(&stage),
        workloads::a_guest_that_fails_is_started_again(&stage),
        refusals::every_bad_pod_says_what_is_wrong(&stage),
        changes::config_maps_secrets_and_labels_reach_the_instance(&stage),
        changes::probes_decide_about_readiness_and_restarts(&stage),
        commands::exec_probes_run_over_ssh(&stage),
    );
}

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
