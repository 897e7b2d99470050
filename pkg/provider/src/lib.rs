//! What both binaries agree on about instances and Kubernetes objects. Pure: no requests, no clocks.

pub mod cns;
pub mod instance_name;
pub mod names;
pub mod owner;
pub mod provider_id;
