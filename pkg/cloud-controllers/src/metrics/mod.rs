//! The metrics controller's decisions: which instances are in the cluster's CMON group, and what Prometheus is told of
//! them. Pure.
//!
//! CMON measures every running instance from outside and is asked by Prometheus, so nothing has to run in the guests;
//! what CMON does not know is which Node or pod an instance is. [`discovery`] says so in the form of Prometheus' HTTP
//! service discovery.

pub mod discovery;
pub mod groups;
pub mod scrape;
