//! The process against a simulated API server, under a paused clock.
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
mod api_server;
mod binary;
mod clients;
mod events;
mod leader;
mod process;
mod watching;
