//! The process that both binaries are.
//!
//! A binary reads its settings ([`config`]) and ends with one line and an exit code ([`exit`]).

pub mod config;
pub mod exit;
