//! Tests of the library through its public interface.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloud;
mod reflector;
mod server;
mod transport;
