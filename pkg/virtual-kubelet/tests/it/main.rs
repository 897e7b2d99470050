//! The virtual kubelet's parts against a simulated data centre.

mod catalog;
mod instances;
