//! A client for Triton DataCenter.

pub mod id;
pub mod types;
