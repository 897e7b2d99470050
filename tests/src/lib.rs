//! What the suites stand on: a private Kubernetes control plane, the binaries as processes, and the official Triton CLI.

pub mod bench;
pub mod cloud_controller_manager;
pub mod control_plane;
pub mod process;
pub mod triton_cli;
pub mod until;
pub mod virtual_kubelet;
