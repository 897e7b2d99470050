//! The Node object, its lease, its conditions.
