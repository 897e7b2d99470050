//! Membership in CNS services: the tag `triton.cns.services` (reference 3.3).
//!
//! In the order in which it is computed:
//!
//! - [`exposure`](exposure()): whether a Service is in CNS at all.
//! - [`service_name`](service_name()) and [`name_of`]: the CNS service that a Service is.
//! - [`Directory`]: the Services that are in CNS, and the entries that one pod gets from them.
//! - [`wanted`] and [`merge`](merge()): what to write to an instance whose tags are these, so that other people's entries stay
//!   as they are.
//! - [`foreign_names`]: the names that an instance carries which are not ours, and so are not to be taken.

mod directory;
mod exposure;
mod merge;
mod service_name;

pub use self::directory::{Directory, Member, Membership, Note, NoteReason, ServiceKey};
pub use self::exposure::{DefaultLoadBalancer, Exposure, UnknownLoadBalancer, exposure};
pub use self::merge::{Change, Conflict, Merge, Wanted, foreign_names, merge, own_names, wanted};
pub use self::service_name::{InvalidServiceName, name_of, service_name};
