//! What the suites stand on: a private Kubernetes control plane.

pub mod control_plane;
