//! The container's environment.
