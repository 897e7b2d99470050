//! The cloud controller manager.
fn main() {}
