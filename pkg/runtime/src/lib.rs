//! The process that both binaries are.
//!
//! A binary reads its settings ([`config`]) and ends with one line and an exit code ([`exit`]).

pub mod admin;
pub mod clients;
pub mod config;
pub mod events;
pub mod exit;
pub mod flags;
pub mod health;
pub mod leader;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod shutdown;
pub mod watching;
