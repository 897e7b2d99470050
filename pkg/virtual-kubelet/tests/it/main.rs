//! Tests of the virtual kubelet from outside, against a simulated data centre.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod data_center;
mod firewall;
