//! A Kubernetes node whose pods are Triton instances.

fn main() {}
