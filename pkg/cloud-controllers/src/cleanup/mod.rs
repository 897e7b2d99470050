//! What a cluster that is no more has left in the account, and how it goes.
//!
//! [`plan`](plan()) finds, purely, what provably is the cluster's; [`account`] reads what there is and takes the steps. Each step is
//! harmless twice, so whatever failed is done by running all of it again.
//!
//! The marks that prove it:
//!
//! - instances of pods and load balancers: the tag `k8s.cluster` has the cluster's name, and the tags are there that say which
//!   object of the cluster they stand for (its namespace, name and UID);
//! - machines of nodes: `k8s.cluster` says that the entries of CNS services which `k8s.cns` records are the cluster's;
//!   the CMON group has the cluster's name in its own. The machines stay: the cluster has not made them;
//! - firewall rules: the description begins with the cluster's mark;
//! - routes have no mark. They are looked at only where it is said which addresses the cluster's pods had, and are the
//!   cluster's when they are inside these and lead to one of its machines, or to nobody.

pub mod account;
mod plan;
#[cfg(test)]
mod tests;

pub use self::plan::{Observed, Plan, Step, plan};
