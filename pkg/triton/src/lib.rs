//! A client for Triton DataCenter.

pub mod auth;
pub mod cmon;
pub mod config;
