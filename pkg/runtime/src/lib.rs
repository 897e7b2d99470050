//! The process that both binaries are: everything but what they do.
//!
//! In the order in which a binary uses it:
//!
//! - [`config`] loads settings from flags, environment and file; [`flags`] are those that every binary has; [`exit`]
//!   ends a process with one line and an exit code.
//! - [`logs`] and traces, [`metrics`], [`health`] checks, and the [`admin`] server that shows them.
//! - [`serving`] HTTP over TLS, and [`access`]: who may ask for what, which the API server says.
//! - [`clients`] of the Kubernetes API with bounds on every call; [`watching`] keeps objects in memory;
//!   [`events`] tells users what happens.
//! - [`queue`]: which objects a controller looks at next.
//! - [`leader`] election, whose claim is checked where a write happens.
//! - [`shutdown`] by signals, and [`process`], the order in which all of it ends.
//!
//! `docs/runtime.md` tells users and operators the same. It knows Kubernetes' API machinery, but neither Triton nor any
//! controller.
//!
//! # A controller
//!
//! Observe, plan, act: caches that fill themselves, a pure function, and writes that only a leader makes. Everything
//! else in a binary is wiring; `examples/idle.rs` has all of it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use k8s_openapi::api::core::v1::Node;
//! use kube::api::{Patch, PatchParams};
//! use kube::runtime::watcher::Config;
//! use kube::{Api, ResourceExt as _};
//! use runtime::clients::{Clients, ClientsError, Priority};
//! use runtime::health::Health;
//! use runtime::leader::Claim;
//! use runtime::shutdown::Shutdown;
//! use runtime::watching::Caches;
//! use serde_json::{Value, json};
//! use tokio::sync::Notify;
//!
//! /// What is to be done: a pure function of what is known.
//! fn plan(nodes: &[Arc<Node>]) -> Vec<(String, Value)> {
//!     let unseen = nodes.iter().filter(|node| !node.labels().contains_key("example.com/seen"));
//!     unseen.map(|node| (node.name_any(), json!({"metadata": {"labels": {"example.com/seen": "yes"}}}))).collect()
//! }
//!
//! fn start(clients: &Clients, claim: Claim, health: &Health, shutdown: &Shutdown) -> Result<(), ClientsError> {
//!     let observing = Api::all(clients.client("labels", Priority::Normal)?);
//!     let acting: Api<Node> = Api::all(clients.leading("labels", Priority::Normal, &claim)?);
//!     let (caches, changed) = (Caches::new(), Arc::new(Notify::new()));
//!     let wake = changed.clone();
//!     let nodes = caches.reflect("nodes", observing, Config::default(), fastrand::Rng::new(), move |_| wake.notify_one());
//!     caches.report_to(health);
//!     shutdown.spawn(|shutdown| async move {
//!         let work = async {
//!             caches.synced().await;
//!             while claim.held().await.is_ok() {
//!                 for (node, patch) in plan(&nodes.state()) {
//!                     // Refused without a claim, cut off when it lapses, and never longer than its deadline.
//!                     let patched = acting.patch(&node, &PatchParams::default(), &Patch::Merge(patch)).await;
//!                     patched.map_or_else(|error| tracing::warn!(%node, %error, "not labelled"), drop);
//!                 }
//!                 // On the next change, and after a while for what failed.
//!                 let _ = tokio::time::timeout(Duration::from_secs(60), changed.notified()).await;
//!             }
//!         };
//!         tokio::select! { () = work => {}, () = shutdown.begun() => {} }
//!     });
//!     Ok(())
//! }
//! ```

pub mod access;
pub mod admin;
pub mod clients;
pub mod config;
pub mod events;
pub mod exit;
pub mod flags;
pub mod health;
pub mod leader;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod queue;
pub mod serving;
pub mod shutdown;
pub mod watching;
