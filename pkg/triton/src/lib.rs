//! A client for Triton DataCenter.

pub mod grammar;
