//! Observes both sides, plans, acts.
