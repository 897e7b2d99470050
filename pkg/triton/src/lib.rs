//! A client for Triton DataCenter.
