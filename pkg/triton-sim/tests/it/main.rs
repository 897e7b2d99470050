//! Tests of the simulator from outside.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod cmon;
mod data_center;
mod guests;
