//! Firewall rules: which there should be, and what to do about those there are. Pure.
