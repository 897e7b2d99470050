//! Tests of the library from outside: contracts with data that this project did not write.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail the way tests fail"
)]

mod fixtures;
mod openapi;
mod shared_data;
