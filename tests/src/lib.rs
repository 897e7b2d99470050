//! What the suites stand on: a private Kubernetes control plane, and the official Triton CLI.

pub mod control_plane;
pub mod triton_cli;
