//! Suites that need a real control plane or a simulated data centre.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod cloud_controller_manager;
mod cloud_controllers;
mod control_plane;
mod demo;
mod prometheus;
mod recovery;
mod runtime;
mod triton_cli;
mod virtual_kubelet;
