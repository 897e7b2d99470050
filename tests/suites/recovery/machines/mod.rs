//! The cloud controller manager as a process that dies, and whose calls fail, at every point: Nodes, Services, routes and
//! CMON's part end exactly as they should, and nothing is removed wrongly at any moment.
//!
//! Many lives share one control plane. Each has a data centre, a process, two Nodes and a Service of its own, and its
//! process sees no others: the proxy narrows its lists and watches to objects with the life's label.

mod cluster;
mod history;
mod life;
mod onlooker;
mod phase;
mod points;
mod site;
