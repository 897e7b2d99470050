//! The Node object: who this node is, whether it is ready, what it can take, and its lease.
//!
//! - [`account`]: what CloudAPI says of the account: its data centre, its limits.
//! - [`contact`]: whether CloudAPI answers, by what the reflector has heard. The node is ready while it does.
//! - [`capacity`]: how much the node can take. Pure.
//! - [`desired`]: the node as it should be. Pure.
//! - [`plan`](mod@plan): what to write so that it is, and nobody else's labels, taints and conditions are touched. Pure.
//! - [`lease`]: the heartbeat that the node's life is judged by.
//! - [`keeper`]: the task that does it, on the leader; one for each node of the process.
//!
//! Nothing here touches a pod: a node that is not ready says so, and its pods stay as they are.

pub mod account;
pub mod capacity;
pub mod contact;
pub mod desired;
pub mod keeper;
pub mod lease;
mod metrics;
pub mod plan;
mod status;

pub use self::account::Facts;
pub use self::contact::Instances;
pub use self::keeper::{Keeper, Parts};
pub use self::metrics::NodeMetrics;
