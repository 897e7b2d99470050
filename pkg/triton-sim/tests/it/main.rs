//! Tests of the simulator from outside: raw requests, the client library, and contracts with data that this project
//! did not write.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod admin;
mod client;
mod cmon;
mod cns;
mod data_center;
mod faults;
mod guests;
mod http;
mod migrations;
mod openapi;
mod raw;
mod shared_data;
mod start;
mod wired;
