//! The virtual kubelet on a real control plane, with a simulated data centre, as its own service account.

mod node;
