//! Firewall rules: which there should be, and what to do about those there are.
//!
//! Rules find instances by tags, so that all pods of a cluster with the same ports share one rule, and all members of
//! a group two. A rule is ours when its description says so ([`RuleKey`]); whatever else is there is never touched.
//!
//! [`Wanted`] is what pods and instances need; [`plan`](plan()) compares it with the account's rules; [`Keeper`] carries
//! that out. All but the keeper is pure.
//!
//! Several virtual kubelets of one cluster may look after the same rules: each makes what its pods need, and none removes
//! what an instance in the account still needs. Rules that two made at the same time are found to be the same, and all but
//! one go.

mod keeper;
mod key;
mod plan;
mod wanted;

pub use self::keeper::{EnsureError, Ensured, Failure, Keeper, RuleError, Settings};
pub use self::key::{Membership, RuleKey};
pub use self::plan::{GRACE, RulePlan, RuleStep, Unneeded, plan};
pub use self::wanted::{Known, Wanted};
