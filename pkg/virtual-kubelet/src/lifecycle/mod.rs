//! What to do about one pod and its instance, and what the pod's status is. Pure.
//!
//! [`plan()`] looks at everything that is known of a pod ([`Observed`]), and says which [`Step`]s to take now, what the
//! status is, what to tell the user, and when to look again. [`Memory`] is what only this process knows; losing it
//! is safe, it saves work and keeps back-offs.
//!
//! One pod goes through these modules, in this order:
//!
//! - `existence`: which instance is the pod's, by tag and by status; duplicates; whether absence is proved.
//! - `create`: makes the instance, unless an earlier create is in doubt.
//! - `run`: an instance that exists. Readiness, reboots, drift. `exit`: one that stopped by itself. `terminal`: that
//!   of a pod that is over.
//! - `end`: a pod that is being deleted.
//! - `status`: what the pod's status says of all this. A status that says nothing new is not written.
//!
//! Rules that hold throughout, whatever is lost or repeated:
//!
//! - An instance is made only when none can exist: the store is synced, no instance carries the pod's UID, the one
//!   that the status names is proved gone, and no create is in doubt.
//! - A pod object is removed only when no instance of it can exist, by the same measure.
//! - An error of CloudAPI changes no phase.
//!
//! Status writes of a pod: one when it runs, one more when its readiness comes later by a probe, one when it takes
//! longer than [`PROVISIONING_SHOWN_AFTER`] to be made, two for each restart, none for its deletion unless
//! finalizers keep the object.

mod backoff;
mod create;
mod draft;
mod end;
mod existence;
mod exit;
mod memory;
mod observed;
mod plan;
mod run;
mod status;
mod step;
mod terminal;
#[cfg(test)]
mod tests;
mod was;

pub use self::memory::Memory;
pub use self::observed::{Now, Observed, Recorded, Trust};
pub use self::plan::plan;
pub use self::run::PROVISIONING_SHOWN_AFTER;
pub use self::step::{Note, Outcome, Plan, Step};
pub use self::was::{container_id, recorded_instance};
