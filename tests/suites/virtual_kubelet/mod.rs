//! The virtual kubelet on a real control plane, with a simulated data centre whose instances answer.
//!
//! These tests are `#[ignore]`d where instances have no addresses: [`in_a_private_network`] runs them where they have.

mod changes;
mod commands;
mod deployment;
mod doctor;
mod dry_run;
mod firewall;
mod leaving;
mod node;
mod outages;
mod pools;
mod refusals;
mod scale;
mod services;
mod stage;
mod wishes;
mod workloads;

use std::process::Stdio;

use tokio::process::Command;
use triton_sim::{Preset, Settings};

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

/// Everything about the network, all at once on one node whose kubelet reads firewall rules often.
#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn the_network_is_kept() {
    let stage = stage::Stage::with(Settings::preset(Preset::Development), &["--firewall-relist=1s"]).await;
    tokio::join!(services::services_are_in_cns(&stage), firewall::rules_are_kept(&stage));
}

/// What pods can wish for, all at once on one node.
#[tokio::test]
#[ignore = "needs the private network of in_a_private_network"]
async fn wishes_come_true() {
    let stage = stage::Stage::set().await;
    tokio::join!(
        wishes::a_pod_is_resized_in_place(&stage),
        wishes::environments_are_as_in_any_pod(&stage),
        wishes::a_pod_has_the_address_of_its_network(&stage),
        wishes::protection_ends_with_the_pod_that_asked_for_it(&stage),
        wishes::hooks_come_before_the_stop(&stage),
        wishes::a_deleted_instance_is_replaced(&stage),
    );
}

/// The tests that [`in_a_private_network`] leaves to [`in_another_private_network`], so that both take about as long.
const OTHERS: [&str; 2] = ["virtual_kubelet::everyday_life", "virtual_kubelet::outages"];

/// Runs the tests of this module that need instances which answer, in a private network.
#[tokio::test]
async fn in_a_private_network() {
    let skipped = OTHERS.iter().flat_map(|test| ["--skip", test]);
    run_in_a_private_network(["virtual_kubelet::"].into_iter().chain(skipped)).await;
}

/// Runs the others in another one.
#[tokio::test]
async fn in_another_private_network() {
    run_in_a_private_network(OTHERS.into_iter()).await;
}

pub(crate) async fn run_in_a_private_network(tests: impl Iterator<Item = &'static str>) {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-network"));
    command.arg(this).args(tests).args(["--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && !text.contains("running 0 tests"), "{text}");
}
