//! The controllers as a whole, between a simulated data centre and an API server in memory, under a paused clock.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod api_server;
mod cluster;
mod false_deletion;
mod groups;
mod weather;
