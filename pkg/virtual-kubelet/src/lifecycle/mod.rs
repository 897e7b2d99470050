//! What to do about one pod and its instance, and what the pod's status is. Pure.
//!
//! [`plan`] looks at everything that is known of a pod ([`Observed`]), and says which [`Step`]s to take now, what the
//! status is, what to tell the user, and when to look again. [`Memory`] is what only this process knows; losing it
//! is safe, it saves work and keeps back-offs.

mod memory;
mod observed;
mod plan;
mod step;

pub use self::memory::Memory;
pub use self::observed::{Now, Observed, Recorded, Trust};
pub use self::plan::plan;
pub use self::step::{Note, Outcome, Plan, Step};
