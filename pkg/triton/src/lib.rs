//! A client library for Triton DataCenter: CloudAPI, its changefeed, and CMON.

pub mod auth;
pub mod budget;
pub mod changefeed;
pub mod client;
pub mod cmon;
pub mod config;
pub mod error;
pub mod grammar;
pub mod id;
pub mod reflector;
pub mod types;

pub use self::client::Client;
pub use self::error::{Error, Kind};
