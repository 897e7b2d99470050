//! What both binaries agree on about instances and Kubernetes objects. Pure but for [`credentials`] and
//! [`cloudapi_metrics`]: no requests, no clocks.
//!
//! - [`names`]: annotations, tags, metadata keys and classes.
//! - [`owner`]: whose instance an instance is, as its tags say.
//! - [`rule_mark`]: which firewall rules are a cluster's.
//! - [`instance_name`] and [`provider_id`]: what an instance is called, at Triton and in Kubernetes.
//! - [`cns`]: which CNS services an instance is a member of, and what to write so that it is.
//! - [`cmon`]: the CMON group of a cluster's instances, and what to write so that one is in it.
//! - [`credentials`]: the Secret that says how to reach CloudAPI, and what follows its changes.
//! - [`cloudapi_metrics`]: the requests to CloudAPI and their budget, as metrics.
//! - [`digest`]: short stable names for what is too long to be one.

pub mod cloudapi_metrics;
pub mod cmon;
pub mod cns;
pub mod credentials;
pub mod digest;
pub mod instance_name;
pub mod names;
pub mod owner;
pub mod provider_id;
pub mod rule_mark;
