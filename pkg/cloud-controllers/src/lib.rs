//! The controllers of clusters whose nodes are Triton machines.
//!
//! The imports point down this list:
//!
//! - [`controller`]: observes both sides, plans with the modules below, acts. The one place with effects.
//! - [`node`]: initialises Nodes and keeps their addresses and labels true. Pure.
//! - [`node_lifecycle`]: deletes Nodes whose machine is proved gone, and taints those whose machine is shut down. Pure.
//! - [`route`]: the routes of fabric networks to the pods of Nodes. Pure.
//! - [`metrics`]: CMON groups, and what Prometheus is told of the cluster's instances. Pure.
//! - [`moirai`]: Services through instances that forward. Pure.
//! - [`service`]: puts Services into CNS, with the nodes that serve them. Pure.
//! - [`identity`]: which machine a Node is. Pure.
//! - [`instances`], [`networks`]: what is known of machines and of the networks they are on.
//! - [`cleanup`]: what a cluster that is no more has left in the account.
//! - [`explain`]: what of all that is shown to operators. Pure.
//! - [`names`]: the names that Kubernetes gives to taints, labels and annotations of Nodes.
//!
//! Their observable behaviour is that of the Kubernetes cloud-provider framework, part A of the Kubernetes reference,
//! without its known defects.

pub mod cleanup;
pub mod controller;
pub mod explain;
pub mod identity;
pub mod instances;
pub mod metrics;
pub mod moirai;
pub mod names;
pub mod networks;
pub mod node;
pub mod node_lifecycle;
pub mod route;
pub mod service;
