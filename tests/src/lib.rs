//! What the suites stand on: a private Kubernetes control plane, and the binaries as processes.

pub mod control_plane;
pub mod until;
pub mod virtual_kubelet;
