//! The binaries as processes that die, and whose calls fail, at every point: nothing is doubled, lost, wrongly failed or
//! left behind. Here the virtual kubelet; [`machines`] has the cloud controller manager.
//!
//! Each life has a node, a namespace and a data centre of its own; one control plane serves them all. The process reaches
//! both its servers through proxies in this test, which count its calls and let them go wrong.

mod call;
mod chaos;
mod cluster;
mod exact;
mod fault;
mod life;
mod machines;
mod outages;
mod points;
mod process;
mod proxy;
mod replicas;
mod virtual_node;
