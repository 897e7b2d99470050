//! A Kubernetes node whose pods are Triton instances.
//!
//! The imports point down this list:
//!
//! - [`controller`]: observes both sides, plans with the modules below, acts. The one place with effects on pods
//!   and instances.
//! - [`dry_run`]: plans as a table for people, instead of carrying them out. Pure.
//! - [`explain`]: one pod's plan, with what it is made of. Pure.
//! - [`node`]: the Node object, its lease, its conditions.
//! - [`lifecycle`]: what to do about one pod and its instance, and what the pod's status is. Pure.
//! - [`firewall`]: which rules there should be, what to do about those there are (pure), and the keeper that does it.
//! - [`probes`]: readiness, liveness and startup probes of pods.
//! - [`ssh`]: commands in instances.
//! - [`catalog`]: the packages, images and networks that pods name.
//! - [`pod`]: what a pod asks of Triton, and the instance that it should be. Pure.
//! - [`settings`]: flags, environment, and the provider's file.
//! - [`quantity`]: amounts of resources, as Kubernetes writes them.

pub mod catalog;
pub mod controller;
pub mod dry_run;
pub mod explain;
pub mod firewall;
pub mod lifecycle;
pub mod node;
pub mod pod;
pub mod probes;
pub mod quantity;
pub mod settings;
pub mod ssh;
