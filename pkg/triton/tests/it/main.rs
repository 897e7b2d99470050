//! Tests of the library's public interface, against programs and servers that are not its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod signing;
