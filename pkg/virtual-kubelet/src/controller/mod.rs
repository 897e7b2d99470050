//! Observes both sides, plans, acts.

pub mod references;
