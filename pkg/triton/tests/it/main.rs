//! Tests of the library from outside: through its public interface, and contracts with data that this
//! project did not write.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod cloud;
mod cmon;
mod endpoints;
mod fixtures;
mod openapi;
mod reflector;
mod server;
mod shared_data;
mod signing;
mod tls;
mod transport;
