//! The process that both binaries are: everything but what they do.
//!
//! In the order in which a binary uses it:
//!
//! - [`config`] loads settings from flags, environment and file; [`flags`] are those that every binary has; [`exit`]
//!   ends a process with one line and an exit code.
//! - [`logs`] and traces, [`metrics`], [`health`] checks, and the [`admin`] server that shows them.
//! - [`clients`] of the Kubernetes API with bounds on every call; [`watching`] keeps objects in memory;
//!   [`events`] tells users what happens.
//! - [`queue`]: which objects a controller looks at next.
//! - [`leader`] election, whose claim is checked where a write happens.
//! - [`shutdown`] by signals, and [`process`], the order in which all of it ends.
//!
//! `examples/idle.rs` is all of this in one small program.
//!
//! It knows Kubernetes' API machinery, but neither Triton nor any controller.

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
pub mod queue;
pub mod shutdown;
pub mod watching;
