//! Tests of the virtual kubelet from outside, against simulated servers.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod catalog;
mod instances;
